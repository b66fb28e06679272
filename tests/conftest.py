"""Tiny data sets, the paper's data, and trainers that write nowhere else."""

from __future__ import annotations

import functools

import pytest
from helpers.paths import SHARED
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer

from recbole_mqsa.runs import logs
from recbole_mqsa.settings.config import Config


@pytest.fixture
def toy(tmp_path):
    """Writes the data set 'toy' and returns its settings: ``toy({"ann": "a b c"}, "Pop", topk=5)``.

    A user's items are named from old to new. RecBole numbers users and items as they first appear.
    """

    def write(sequences: dict[str, str], model: str = "MQSATED", **settings) -> Config:
        lines = ["user_id:token\titem_id:token\ttimestamp:float"]
        for user, items in sequences.items():
            lines += [f"{user}\t{item}\t{time}" for time, item in enumerate(items.split())]
        (tmp_path / "toy").mkdir(exist_ok=True)
        (tmp_path / "toy" / "toy.inter").write_text("\n".join(lines) + "\n")
        settings = {"data_path": str(tmp_path), "checkpoint_dir": str(tmp_path), **settings}
        return Config(model, "toy", config_dict=settings)

    return write


@pytest.fixture(scope="session")
def paper_data():
    """Training, validation and test loaders of one of the paper's data sets, each loaded once."""

    @functools.cache
    def load(name: str):
        if not (SHARED / name).is_dir():
            pytest.skip(f"the paper's data are not in {SHARED / name}")
        config = Config("Pop", name, config_dict={"data_path": str(SHARED)})
        return data_preparation(config, create_dataset(config))

    return load


@pytest.fixture
def trainer_for(tmp_path):
    """Model and trainer as RecBole builds them from a training loader; what they write stays in tmp_path."""
    token = logs.tensorboard_folder.set(tmp_path / "tensorboard")

    def build(train_data, name: str | None = None):
        config = train_data._dataset.config
        config["checkpoint_dir"] = str(tmp_path)
        name = name or config["model"]
        model = get_model(name)(config, train_data._dataset).to(config["device"])
        return get_trainer(config["MODEL_TYPE"], name)(config, model)

    yield build
    logs.tensorboard_folder.reset(token)

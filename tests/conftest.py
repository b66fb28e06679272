"""Tiny data sets, trainers that write nowhere else, and how tests share the cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import torch
from helpers.chain import write_chain
from recbole.utils import get_model, get_trainer

from recbole_mqsa.runs import logs
from recbole_mqsa.settings.config import Config

MOST_WORKERS = 4
"""Each holds torch and some data, 0.7 GB."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A plain ``pytest`` takes several cores where pytest-xdist is installed; ``-n0`` prevents it."""
    option, cores = config.option, len(os.sched_getaffinity(0))
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS and not option.usepdb
    if (
        whole
        and cores > 1
        and getattr(option, "numprocesses", 0) is None
        and not hasattr(config, "workerinput")
    ):
        option.numprocesses, option.dist = min(cores, MOST_WORKERS), "loadfile"


def pytest_configure(config: pytest.Config) -> None:
    """One thread for each process: the numbers are then the same whatever the machine, and workers share it."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def no_tensorboard() -> Iterator[None]:
    """What trains outside of a run writes no events into the current folder."""
    token = logs.tensorboard_folder.set(logs.NOWHERE)
    yield
    logs.tensorboard_folder.reset(token)


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


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory of its own with the chain, and no command line for RecBole to read."""
    write_chain(tmp_path, certainty=0.8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    return tmp_path


@pytest.fixture
def trainer_for(tmp_path):
    """Model and trainer as RecBole builds them from a training loader; what they write stays in tmp_path."""

    def build(train_data, name: str | None = None):
        config = train_data._dataset.config
        config["checkpoint_dir"] = str(tmp_path)
        name = name or config["model"]
        model = get_model(name)(config, train_data._dataset).to(config["device"])
        return get_trainer(config["MODEL_TYPE"], name)(config, model)

    return build

"""A run read back from its checkpoint: the same model, settings and data, and nothing that could run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.runs import trained

from recbole_mqsa.errors import UserError
from recbole_mqsa.training.build import build_trainer
from recbole_mqsa.training.load import load_checkpoint, load_data_and_model
from recbole_mqsa.training.run import Run, read_run


def metrics_again(run: Run) -> dict[str, float]:
    """The test metrics of what was read back."""
    trainer = build_trainer(run.config, run.model)
    return dict(trainer.evaluate(run.loaders[2], load_best_model=False))


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("MQSATED", {}),
        ("MQSATED", {"transition": "ges"}),
        ("SASRec", {"transition": "ted", "hidden_size": 16, "MAX_ITEM_LIST_LENGTH": 12, "epochs": 1}),
        ("LightGCN", {"epochs": 2, "embedding_size": 16}),
        ("Pop", {}),
    ],
    ids=str,
)
def test_a_run_is_read_back_whole(home: Path, model: str, settings: dict[str, object]) -> None:
    """RecBole's own models, too, come back with this package's data path and mask."""
    finished = trained(home, "mine", model, **settings)
    again = read_run(home / "mine")
    assert again.result == finished.result and again.folder == finished.folder
    assert type(again.model).__name__ == again.config["model"] == model
    assert again.dataset.item_num == 41
    assert metrics_again(again) == finished.result["test"]


def test_settings_come_back_as_they_were(home: Path) -> None:
    finished = trained(home, "mine", query_windows=[1, 2], lambda_kd=0.3)
    config = load_checkpoint(finished.folder / "checkpoint.pth").config
    assert (config["query_windows"], config["lambda_kd"], config["train_neg_sample_args"]) == (
        [1, 2],
        0.3,
        {"distribution": "none", "sample_num": "none", "alpha": "none", "dynamic": False, "candidate_num": 0},
    )
    assert Path(config["data_path"]) == home / "chain"


def test_recboles_function_gives_the_same(home: Path) -> None:
    finished = trained(home, "mine")
    config, model, dataset, *loaders = load_data_and_model(str(finished.folder / "checkpoint.pth"))
    again = load_checkpoint(finished.folder / "checkpoint.pth")
    assert config.final_config_dict == again.config.final_config_dict
    assert all(map(torch.equal, model.state_dict().values(), again.model.state_dict().values()))
    assert [len(loader._dataset) for loader in loaders] == [len(one._dataset) for one in again.loaders]
    assert dataset.item_num == again.dataset.item_num


def test_what_is_no_run_is_said(home: Path) -> None:
    with pytest.raises(UserError, match="holds no finished run; name a folder with a result"):
        read_run(home)
    with pytest.raises(UserError, match=r"checkpoint\.pth cannot be read"):
        load_checkpoint(home / "checkpoint.pth")

"""What those get who enter through RecBole: our models on our data path, checked settings, a safe way to load."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.runs import settings, trained
from recbole.config import Config as PlainConfig
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.utils import get_trainer
from recbole.utils.case_study import full_sort_topk

from recbole_mqsa.errors import UserError


@pytest.mark.parametrize("model", ["MQSATED", "Pop", "ItemTransition"])
def test_recboles_own_entry_gives_the_same(home: Path, model: str) -> None:
    theirs = run_recbole(model=model, dataset="chain", config_dict=settings(home, model))
    ours = trained(home, "ours", model=model).result
    assert dict(theirs["test_result"]) == ours["test"]
    assert dict(theirs["best_valid_result"]) == ours["valid"]


def test_recboles_entry_masks_seen_items(home: Path) -> None:
    masked = run_recbole(model="Pop", dataset="chain", config_dict=settings(home, "Pop"))
    unmasked = run_recbole(
        model="Pop", dataset="chain", config_dict={**settings(home, "Pop"), "mask_seen": False}
    )
    assert masked["test_result"] != unmasked["test_result"]


def test_recboles_entry_runs_on_its_own_data(home: Path) -> None:
    result = run_recbole(
        model="MQSATED",
        dataset="ml-100k",
        config_dict={"epochs": 1, "show_progress": False, "state": "ERROR"},
    )
    assert result["test_result"]["hit@20"] > 0.02  # 20 of 1,682 items are 0.012 by chance


def test_recboles_own_settings_of_our_models_are_checked(home: Path) -> None:
    with pytest.raises(UserError, match="tau is 0; it has to be a number above 0"):
        PlainConfig("MQSATED", "chain", config_dict=settings(home, "MQSATED", tau=0))
    # A name of ours may mean something else to others.
    assert PlainConfig("BPR", "chain", config_dict=settings(home, "BPR", tau=0))["tau"] == 0


def test_recboles_own_models_have_recboles_own_settings(home: Path) -> None:
    """Our yaml files serve our models, and RecBole's only under our Config."""
    ours, theirs = (
        PlainConfig(model, "chain", config_dict={"data_path": str(home)}) for model in ("MQSATED", "BPR")
    )
    assert ours["mask_seen"] is True and theirs["mask_seen"] is None
    assert (ours["valid_metric"], theirs["valid_metric"]) == ("NDCG@20", "MRR@10")


def test_recboles_trainer_tests_what_is_loaded(home: Path) -> None:
    finished = trained(home, "mine")
    config, model, _, _, _, test_data = load_data_and_model(str(finished.folder / "checkpoint.pth"))
    assert config["query_windows"] == [1, 3]
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    assert dict(trainer.evaluate(test_data, load_best_model=False)) == finished.result["test"]


def test_a_loaded_counting_model_recommends_from_what_the_test_knows(home: Path) -> None:
    finished = trained(home, "mine", model="Pop")
    _, model, _, _, _, test_data = load_data_and_model(str(finished.folder / "checkpoint.pth"))
    scores, _ = full_sort_topk([1], model, test_data, k=1)
    counts = test_data._dataset.item_counts()
    seen = test_data._dataset.history(0)
    counts[test_data._dataset.sequences.items[slice(*map(int, seen))]] = 0
    assert scores.item() == counts.max()

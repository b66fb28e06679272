"""The one path: what a run leaves, that it repeats itself, and what ends it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.paths import ROOT
from helpers.runs import settings, trained

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.run import run


def test_leaves_one_folder_and_nothing_beside_it(home: Path) -> None:
    before = {path.name for path in home.iterdir()}
    finished = trained(home, "mine")
    assert {path.name for path in home.iterdir()} - before == {"mine"}
    left = {
        "result.json",
        "run.log",
        "checkpoint.pth",
        "epochs.csv",
        "epochs.png",
        "ranks.npz",
        "tensorboard",
        ".lock",
        "ids.npz",
        "state.pth",
    }
    assert {path.name for path in finished.folder.iterdir()} == left

    result = json.loads((finished.folder / "result.json").read_text())
    assert len(result.pop("checksum")) == 64
    assert result == finished.result
    assert (result["model"], result["dataset"], result["seed"]) == ("MQSATED", "chain", 2020)
    assert set(result["test"]) == {"hit@5", "hit@20", "ndcg@5", "ndcg@20"}
    assert result["users"] == {"valid": 400, "test": 400}
    assert result["settings"]["query_windows"] == [1, 3]
    assert result["peak_memory_bytes"]["process"] > 50e6
    assert (
        result["versions"]["torch"] == torch.__version__.split("+")[0] or "+" in result["versions"]["torch"]
    )

    with open(finished.folder / "epochs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    scores = [float(row["ndcg@20"]) for row in rows]
    assert result["best_epoch"] == scores.index(max(scores))
    assert result["valid"]["ndcg@20"] == max(scores)
    assert float(rows[2]["loss_recommendation"]) < float(rows[0]["loss_recommendation"])
    assert (finished.folder / "epochs.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_prints_no_warning_of_other_peoples_code(home: Path) -> None:
    """FutureWarnings of RecBole's own lines under pandas 2, torch 2.13 and numpy 2 (`compat.quiet_warnings`)."""
    command = [sys.executable, "-m", "recbole_mqsa", "--dataset=chain", f"--data_path={home}", "--epochs=1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "HR@20" in done.stdout


def test_metrics_of_values_need_no_ranks(home: Path) -> None:
    """Their scores have one dimension, as ranks have."""
    given = {"metrics": ["AUC"], "valid_metric": "AUC", "epochs": 1}
    mode = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "uni10"}
    test = trained(home, "run", "Pop", eval_args=mode, **given).result["test"]
    assert 0 < test["auc"] <= 1


def test_what_counts_trains_for_one_epoch(home: Path) -> None:
    """Whatever a data set's file says of epochs."""
    assert trained(home, "run", "Pop", epochs=9).result["epochs_run"] == 1


def test_without_output_dir_runs_never_share_a_folder(home: Path) -> None:
    config = Config("Pop", "chain", config_dict=settings(home, "Pop"))
    first, second = run(config), run(config)
    assert first.folder != second.folder
    assert {first.folder.parent.name, second.folder.parent.name} == {"runs"}


def test_a_finished_run_is_never_overwritten(home: Path) -> None:
    trained(home, "mine", model="Pop")
    before = (home / "mine" / "result.json").read_bytes()
    with pytest.raises(UserError, match="already holds a finished run"):
        trained(home, "mine", model="Pop")
    assert (home / "mine" / "result.json").read_bytes() == before


def test_of_two_runs_in_one_folder_one_is_refused(home: Path) -> None:
    """Also before either has finished: the other's checkpoint would be tested, with exit code 0."""

    def meanwhile(epoch: int, score: float) -> None:
        with pytest.raises(UserError, match="already holds an unfinished run"):
            trained(home, "mine", model="ItemTransition")

    finished = run(Config("Pop", "chain", config_dict=settings(home, "Pop")), home / "mine", meanwhile)
    assert finished.result["model"] == "Pop"


def test_refused_data_leaves_nothing(home: Path) -> None:
    before = sorted(home.rglob("*"))
    for output_dir in (None, home / "mine"):
        with pytest.raises(UserError, match="no action left after filtering"):
            run(
                Config(
                    "Pop", "chain", config_dict=settings(home, "Pop", item_inter_num_interval="[999,inf)")
                ),
                output_dir,
            )
    assert [path for path in sorted(home.rglob("*")) if path.name != "runs"] == before


def test_what_recbole_says_of_settings_is_a_sentence(home: Path) -> None:
    with pytest.raises(UserError, match=r"cannot prepare data set 'chain'.*alias"):
        trained(home, "mine", model="Pop", alias_of_item_id=["timestamp"], alias_of_user_id=["timestamp"])


def test_an_interrupted_run_keeps_its_epochs(home: Path) -> None:
    def interrupt(epoch: int, score: float) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Config("MQSATED", "chain", config_dict=settings(home, "MQSATED")), home / "mine", interrupt)
    with open(home / "mine" / "epochs.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_same_seed_same_numbers_other_seed_others(home: Path) -> None:
    first, second, other = (trained(home, str(n), seed=seed).result for n, seed in enumerate((7, 7, 8)))
    assert first["test"] == second["test"] and first["valid"] == second["valid"]
    assert first["test"] != other["test"]


def test_early_stopping_and_callback(home: Path) -> None:
    seen = []
    still = {"epochs": 12, "stopping_step": 2, "learning_rate": 1e-30}
    config = Config("MQSATED", "chain", config_dict=settings(home, "MQSATED", **still))
    finished = run(config, home / "stopped", callback=lambda epoch, score: seen.append((epoch, score)))
    # The model never changes; RecBole counts an equal score as better, so nothing stops it.
    assert finished.result["epochs_run"] == 12 == len(seen)

    config = Config(
        "MQSATED",
        "chain",
        config_dict=settings(home, "MQSATED", epochs=50, stopping_step=1, learning_rate=0.5),
    )
    finished = run(config, home / "early")
    assert finished.result["epochs_run"] < 50
    assert finished.result["best_epoch"] == finished.result["epochs_run"] - 3


def test_a_callback_can_end_the_run(home: Path) -> None:
    class Pruned(Exception):
        pass

    def prune(epoch: int, score: float) -> None:
        raise Pruned

    with pytest.raises(Pruned):
        run(Config("Pop", "chain", config_dict=settings(home, "Pop")), home / "pruned", callback=prune)
    assert not (home / "pruned" / "result.json").exists()

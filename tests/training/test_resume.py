"""A run that is killed and resumed repeats, bit for bit, the one that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.chain import write_chain
from helpers.runs import Killed, kill_after, without_seconds

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs.folder import FORMER, STATE
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer
from recbole_mqsa.training.resume import Resume
from recbole_mqsa.training.run import Run, read_run, run

SMALL = {
    "epochs": 6, "stopping_step": 3, "train_batch_size": 128, "show_progress": False, "state": "ERROR",
    "hidden_size": 16, "inner_size": 16, "embedding_size": 16, "learning_rate": 0.01, "MAX_ITEM_LIST_LENGTH": 12,
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.8)
    return tmp_path


def config(home: Path, model: str, **more: object) -> Config:
    return Config(model, "chain", config_dict={**SMALL, "data_path": str(home), **more}, allow_unknown=True)


def record(result: dict) -> dict:
    return {key: result[key] for key in ("valid", "test", "best_epoch", "epochs_run", "slices")}


def broken_off(folder: Path, config: Config, last: int, interval: float = 0.0) -> None:
    """A run that ends after its epoch ``last``; its state is written before each epoch, or at this interval."""
    with pytest.raises(Killed):
        run(config, folder, kill_after(last), resume=True, state_interval=interval)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("MQSATED", {"learning_rate": 0.3, "stopping_step": 9}),  # its best epoch is not its last
        ("MQSATED", {"learning_rate": 0.3, "stopping_step": 1}),  # stops early
        ("SASRec", {"learning_rate": 0.3, "stopping_step": 9}),
        ("Pop", {}),
    ],
    ids=str,
)
def test_killed_between_its_last_epoch_and_its_result(
    home: Path, model: str, settings: dict[str, Any]
) -> None:
    whole = run(config(home, model, **settings), home / "run")
    if model != "Pop":
        assert whole.result["best_epoch"] < whole.result["epochs_run"] - 1
        assert (settings["stopping_step"] == 1) == (whole.result["epochs_run"] < SMALL["epochs"])
    kept = (home / "run" / "checkpoint.pth").read_bytes()
    (home / "run" / "result.json").unlink()
    resumed = run(config(home, model, **settings), home / "run", resume=True)
    assert record(resumed.result) == record(whole.result)
    assert (home / "run" / "checkpoint.pth").read_bytes() == kept


# Whole sequences; items drawn, and an optimiser of our own; negatives drawn by numpy; masks drawn by Python.
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("MQSATED", {}),
        ("MQSATED", {"negatives": 8, "sparse_gradients": True}),
        ("LightGCN", {}),
        ("BERT4Rec", {}),
    ],
)
def test_goes_on_where_it_was(home: Path, model: str, settings: dict[str, Any]) -> None:
    whole = run(config(home, model, **settings), home / "whole")
    for last in (1, 3):
        broken_off(home / "broken", config(home, model, **settings), last)
    assert (home / "broken" / STATE).exists()
    resumed = run(config(home, model, **settings), home / "broken", resume=True)
    assert record(resumed.result) == record(whole.result)
    assert without_seconds(home / "broken") == without_seconds(home / "whole")
    assert not (home / "broken" / FORMER).exists()


def test_the_best_weights_are_those_of_the_state(home: Path) -> None:
    """The checkpoint of an epoch after the state may never come again, where numbers differ in their last digits."""
    made, folder = config(home, "MQSATED"), home / "broken"
    broken_off(folder, made, 3)
    best = torch.load(folder / STATE, weights_only=True)["checkpoint"].numpy().tobytes()
    checkpoint = folder / "checkpoint.pth"
    checkpoint.write_bytes(b"of an epoch that was lost")
    train, _, test = build_loaders(made, build_dataset(made))
    trainer = build_trainer(made, build_model(made, train._dataset))
    Resume(folder, made, {}).load(trainer, train)
    assert trainer.start_epoch == 3 and trainer.best_epoch < 3
    assert checkpoint.read_bytes() == best
    assert set(trainer.evaluate(test, model_file=checkpoint)) == set(trainer.best_valid_result)


def test_a_finished_run_is_returned_as_it_is(home: Path) -> None:
    first = run(config(home, "Pop"), home / "run", resume=True)
    before = (home / "run" / "result.json").stat().st_mtime_ns
    again = run(config(home, "Pop"), home / "run", resume=True)
    assert isinstance(again, Run) and again.result == first.result
    assert (home / "run" / "result.json").stat().st_mtime_ns == before


def test_other_settings_are_refused(home: Path) -> None:
    broken_off(home / "run", config(home, "MQSATED"), 2)
    with pytest.raises(UserError, match=r"other settings \(tau\)"):
        run(config(home, "MQSATED", tau=0.2), home / "run", resume=True)
    run(config(home, "MQSATED", show_progress=True), home / "run", resume=True)


def test_without_resume_an_unfinished_run_is_refused(home: Path) -> None:
    broken_off(home / "run", config(home, "Pop"), 0)
    with pytest.raises(UserError, match="already holds an unfinished run"):
        run(config(home, "Pop"), home / "run")


def test_a_short_epoch_is_not_slowed_by_its_state(home: Path) -> None:
    broken_off(home / "run", config(home, "MQSATED"), 3, interval=3600.0)
    state = torch.load(home / "run" / STATE, weights_only=True)
    assert state["epoch"] == 1  # the first is written at once, the second after an hour


def test_a_finished_run_that_goes_on_is_finished_no_more(home: Path) -> None:
    """Its checkpoint may be of a later epoch than its result, until it has ended again."""
    folder = home / "run"
    first = run(config(home, "MQSATED", epochs=2), folder)
    broken_off(folder, config(home, "MQSATED"), 3)
    assert json.loads((folder / "result.former.json").read_text())["test"] == first.result["test"]
    with pytest.raises(UserError, match="holds no finished run"):
        read_run(folder)
    whole = run(config(home, "MQSATED"), home / "whole")
    assert record(run(config(home, "MQSATED"), folder, resume=True).result) == record(whole.result)
    assert not (folder / "result.former.json").exists()


def test_what_keeps_a_finished_run_from_going_on_leaves_it_finished(home: Path) -> None:
    first = run(config(home, "MQSATED", epochs=2), home / "run")
    (home / "other").mkdir()
    write_chain(home / "other", certainty=0.5)
    with pytest.raises(UserError, match="the data are not those"):
        run(config(home / "other", "MQSATED"), home / "run", resume=True)
    assert read_run(home / "run").result["test"] == first.result["test"]

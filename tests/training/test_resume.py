"""A run that is killed and resumed repeats, bit for bit, the one that is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.chain import write_chain
from helpers.paths import ROOT

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training import resume
from recbole_mqsa.training.run import run
from recbole_mqsa.training.trainer import RunTrainer

SMALL = {
    "epochs": 6, "stopping_step": 3, "train_batch_size": 128, "show_progress": False, "state": "ERROR",
    "hidden_size": 16, "embedding_size": 16, "learning_rate": 0.01,
}  # fmt: skip


class Killed(Exception):
    pass


def config(home: Path, model: str, **more: object) -> Config:
    return Config(model, "chain", config_dict={**SMALL, "data_path": str(home), **more}, allow_unknown=True)


def kill_after(last: int):
    def callback(epoch: int, score: float) -> None:
        if epoch == last:
            raise Killed

    return callback


def record(result: dict) -> dict:
    return {key: result[key] for key in ("valid", "test", "best_epoch", "epochs_run", "slices")}


def losses(folder: Path) -> list[list[str]]:
    rows = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
    kept = [index for index, name in enumerate(rows[0]) if not name.endswith("seconds")]
    return [[row[index] for index in kept] for row in rows]


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
def test_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    write_chain(tmp_path, certainty=0.8)
    whole = run(config(tmp_path, model, **settings), tmp_path / "whole")
    for last in (1, 3):
        with pytest.raises(Killed):
            run(config(tmp_path, model, **settings), tmp_path / "broken", kill_after(last), resume=True)
    assert (tmp_path / "broken" / resume.STATE).exists()
    resumed = run(config(tmp_path, model, **settings), tmp_path / "broken", resume=True)
    assert record(resumed.result) == record(whole.result)
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert not (tmp_path / "broken" / resume.STATE).exists()


def test_the_best_weights_are_those_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint of an epoch after the state may never come again, where numbers differ in their last digits."""
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    write_chain(tmp_path, certainty=0.8)
    whole = run(config(tmp_path, "MQSATED"), tmp_path / "whole")
    with pytest.raises(Killed):
        run(config(tmp_path, "MQSATED"), tmp_path / "broken", kill_after(3))
    state, checkpoint = (tmp_path / "broken" / name for name in (resume.STATE, "checkpoint.pth"))
    best = torch.load(state, weights_only=True)["checkpoint"].numpy().tobytes()
    checkpoint.write_bytes(b"of an epoch that was lost")
    monkeypatch.setattr(
        RunTrainer, "_valid_epoch", lambda *_, **__: (0.0, {})
    )  # nothing is better from here on
    resumed = run(config(tmp_path, "MQSATED"), tmp_path / "broken", resume=True)
    assert checkpoint.read_bytes() == best
    assert resumed.result["best_epoch"] <= 3 and set(resumed.result["test"]) == set(whole.result["test"])


def test_a_finished_run_is_returned_as_it_is(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.8)
    first = run(config(tmp_path, "Pop"), tmp_path / "run", resume=True)
    before = (tmp_path / "run" / "result.json").stat().st_mtime_ns
    again = run(config(tmp_path, "Pop"), tmp_path / "run", resume=True)
    assert again.result == first.result
    assert (tmp_path / "run" / "result.json").stat().st_mtime_ns == before


def test_other_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    write_chain(tmp_path, certainty=0.8)
    with pytest.raises(Killed):
        run(config(tmp_path, "MQSATED"), tmp_path / "run", kill_after(2))
    with pytest.raises(UserError, match=r"other settings \(tau\)"):
        run(config(tmp_path, "MQSATED", tau=0.2), tmp_path / "run", resume=True)
    run(config(tmp_path, "MQSATED", show_progress=True), tmp_path / "run", resume=True)


def test_without_resume_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.8)
    with pytest.raises(Killed):
        run(config(tmp_path, "Pop", epochs=3), tmp_path / "run", kill_after(0))
    with pytest.raises(UserError, match="already holds an unfinished run"):
        run(config(tmp_path, "Pop", epochs=3), tmp_path / "run")


def test_a_run_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.8)
    hold = "import sys; from recbole_mqsa import run_folder\n"
    hold += "with run_folder.claimed('m', 'd', sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="being written by another run"):
            run(config(tmp_path, "Pop"), tmp_path / "run", resume=True)
        other.kill()  # a lock ends with its process, however that ends
        other.wait()
        time.sleep(0.1)
    assert run(config(tmp_path, "Pop"), tmp_path / "run", resume=True).result["test"]


def test_a_short_epoch_is_not_slowed_by_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SECONDS", 3600.0)
    write_chain(tmp_path, certainty=0.8)
    with pytest.raises(Killed):
        run(config(tmp_path, "MQSATED"), tmp_path / "run", kill_after(3))
    assert not (tmp_path / "run" / resume.STATE).exists()

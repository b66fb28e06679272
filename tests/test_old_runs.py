"""What an earlier version of the program has written is still read, and an interrupted run of it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers.paths import FIXTURES
from helpers.regression import machine
from helpers.runs import without_seconds

import recbole_mqsa
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_trainer
from recbole_mqsa.training.run import run

SAME_MACHINE = machine() == json.loads((FIXTURES / "regression.json").read_text())["machine"]


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, which is the current one, as the runs name their data from there."""
    folder = tmp_path / "old_run"
    shutil.copytree(FIXTURES / "old_run", folder)
    monkeypatch.chdir(folder)
    return folder


def test_a_finished_run_is_loaded(old: Path) -> None:
    loaded = recbole_mqsa.load("finished")
    assert loaded.result == json.loads((old / "finished" / "result.json").read_text())
    assert (loaded.config["hidden_size"], loaded.config["transition"]) == (8, "ted")
    trainer = build_trainer(loaded.config, loaded.model)
    tested = dict(trainer.evaluate(loaded.loaders[2], load_best_model=False))
    assert tested == pytest.approx(loaded.result["test"], abs=0 if SAME_MACHINE else 0.1)
    saved = torch.load(old / "finished" / "checkpoint.pth", weights_only=True)["state_dict"]
    assert all(torch.equal(weight, saved[name]) for name, weight in loaded.model.state_dict().items())


def test_an_interrupted_run_goes_on_to_the_numbers_of_the_whole_one(old: Path) -> None:
    resumed = run(Config("MQSATED", "tiny", ["settings.yaml"]), old / "interrupted", resume=True)
    header, *rows = without_seconds(old / "interrupted")
    expected_header, *expected = without_seconds(old / "finished")
    assert header == expected_header and rows[:2] == expected[:2]  # of the third epoch it had begun
    recorded = json.loads((old / "finished" / "result.json").read_text())
    kept = ("best_epoch", "epochs_run", "valid", "test", "slices", "parameters", "flops")
    if SAME_MACHINE:
        assert rows == expected
        assert {key: resumed.result[key] for key in kept} == {key: recorded[key] for key in kept}
    for row, other in zip(rows, expected):
        losses = [float(value) for value, name in zip(row, header) if name.startswith("loss")]
        assert losses == pytest.approx(
            [float(value) for value, name in zip(other, header) if name.startswith("loss")], rel=1e-2
        )

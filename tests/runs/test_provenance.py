"""Where a run's numbers come from: read at its start and at its end, without paths of one machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import recbole
import torch
from helpers.paths import ROOT

from recbole_mqsa.runs.provenance import environment, from_start_to_end, peak_memory_bytes, portable


def test_the_environment_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "run_recbole_mqsa.py"), "--epochs=1"])
    found = environment()
    assert found["command"] == ["run_recbole_mqsa.py", "--epochs=1"]
    assert found["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["versions"]["recbole"].split("+")[0] == recbole.__version__
    assert found["hardware"]["threads"] == torch.get_num_threads() and found["hardware"]["processor"]
    assert environment(["mine"])["command"] == ["mine"]


def test_a_program_elsewhere_is_recorded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/somebody/bin/recbole-mqsa"])
    assert environment()["command"] == ["recbole-mqsa"]


def test_what_changed_while_a_run_lasted_is_recorded() -> None:
    start = {"date": "1", "commit": "a", "versions": {"torch": "2"}, "hardware": {"threads": 1}}
    assert from_start_to_end(start, {**start, "date": "2"}) == start
    end = {**start, "commit": "a-dirty", "hardware": {"threads": 2}}
    assert from_start_to_end(start, end) == {
        **start,
        "changed_while_running": {"commit": "a-dirty", "hardware": {"threads": 2}},
    }


def test_memory_is_in_bytes() -> None:
    assert 50e6 < peak_memory_bytes()["process"] < 1e12


def test_data_inside_recbole_has_no_path_of_this_machine(tmp_path: Path) -> None:
    inside = Path(recbole.__file__).resolve().parent / "dataset_example" / "ml-100k"
    assert portable({"data_path": str(inside), "a": 1}) == {
        "data_path": "recbole/dataset_example/ml-100k",
        "a": 1,
    }
    assert portable({"data_path": str(tmp_path)}) == {"data_path": str(tmp_path)}

"""A run's folder: nobody else's while it is written, never overwritten, and what its files hold."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs.folder import (
    claimed,
    new_folder,
    read_result,
    write_epochs,
    write_ranks,
    write_result,
)

HOLD = """
import sys
from recbole_mqsa.runs.folder import claimed
with claimed("m", "d", sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_names_are_never_shared() -> None:
    assert len({new_folder("Pop", "chain") for _ in range(50)}) == 50
    assert new_folder("Pop", "chain").parent == Path("runs")


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed("m", "d", folder) as claim:
        assert claim == folder
        with pytest.raises(UserError, match="already holds an unfinished run"), claimed("m", "d", folder):
            pytest.fail("two runs have it")
    write_result(folder, {})
    with (
        pytest.raises(UserError, match="already holds a finished run; name another"),
        claimed("m", "d", folder),
    ):
        pytest.fail("it was overwritten")
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "x"
    with (
        pytest.raises(UserError, match="file is a file; name a folder"),
        claimed("m", "d", tmp_path / "file"),
    ):
        pytest.fail("a file is a folder")
    with (
        pytest.raises(UserError, match=r"cannot be \w+ \(Not a directory\)"),
        claimed("m", "d", below),
    ):
        pytest.fail("a file holds a folder")


def test_what_is_refused_leaves_no_folder_and_anything_else_stays(tmp_path: Path) -> None:
    for error, left in ((UserError, False), (ZeroDivisionError, True)):
        folder = tmp_path / error.__name__
        with pytest.raises(error), claimed("m", "d", folder):
            raise error("of this kind")
        assert folder.exists() == left
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").touch()
    with pytest.raises(UserError), claimed("m", "d", mine):
        raise UserError("bad data")
    assert [path.name for path in mine.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


@pytest.mark.parametrize("kept", ["state.pth", "state.former.pth", "checkpoint.pth"])
def test_a_refused_resume_keeps_the_folder_a_run(tmp_path: Path, kept: str) -> None:
    for name in ("run.log", kept):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="other settings"), claimed("m", "d", tmp_path, resume=True):
        raise UserError("begun with other settings")
    with claimed("m", "d", tmp_path, resume=True):
        assert (tmp_path / "run.log").exists()


def test_a_run_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match="being written by another run"),
            claimed("m", "d", folder, resume=True),
        ):
            pytest.fail("two runs have it")
        other.kill()  # a lock ends with its process, however that ends
        other.wait()
        time.sleep(0.1)
    with claimed("m", "d", folder, resume=True) as claim:
        assert claim == folder


def test_a_result_means_that_the_run_is_finished(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    result = {"settings": {"name": "é"}, "test": {"hit@5": 0.5}}
    write_result(tmp_path, result)
    assert {key: (read_result(tmp_path) or {})[key] for key in result} == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_rank_beyond_every_list_is_minus_one(tmp_path: Path) -> None:
    never = torch.iinfo(torch.long).max
    write_ranks(tmp_path, torch.tensor([3, 4]), torch.tensor([7, never]), np.array([0, 2]))
    with np.load(tmp_path / "ranks.npz") as kept:
        assert {name: kept[name].tolist() for name in kept} == {
            "users": [3, 4], "ranks": [7, -1], "frequency": [0, 2],
        }  # fmt: skip
        assert {kept[name].dtype for name in kept} == {np.dtype(np.int32)}


def test_an_epoch_without_an_evaluation_has_empty_cells(tmp_path: Path) -> None:
    write_epochs(tmp_path, [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 1.0, "hit@5": 0.25}])
    with open(tmp_path / "epochs.csv", newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "loss", "hit@5"], ["0", "1.5", ""], ["1", "1.0", "0.25"]]
    write_epochs(tmp_path, [])

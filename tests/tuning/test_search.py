"""Searches with trials that take no time, each in its process; a real one is killed in test_worker.py."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT
from helpers.toy_trial import WORKER, toy_plan

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs.atomic import locked

pytest.importorskip("optuna")

from recbole_mqsa.tuning.record import Tried
from recbole_mqsa.tuning.search import Search


def search(folder: Path, count: int = 4, **more: object) -> Search:
    plan = toy_plan(**more.pop("plan", {}))  # type: ignore[arg-type]
    return Search(folder, plan, count, seeds=0, worker=WORKER, **more)  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_all_trials_end_once_and_each_is_told_and_recorded(tmp_path: Path) -> None:
    told: list[Tried] = []
    said: list[str] = []
    one = search(tmp_path / "a", callback=told.append)
    assert one.run(said.append)
    assert (
        [trial.number for trial in told]
        == [0, 1, 2, 3]
        == [int(row["trial"]) for row in rows(tmp_path / "a")]
    )
    best = max((trial for trial in told if trial.state == "finished"), key=lambda trial: trial.value or 0)
    kept = yaml.safe_load((tmp_path / "a" / "best.yaml").read_text())
    assert kept == {"model": "MQSATED", "dataset": "toy", "seed": 7, **best.settings}
    assert one.best == best and sum("running" in line for line in said) == 4
    page = (tmp_path / "a" / "tune.html").read_text()
    assert "MQSATED tuned on toy" in page and "src=" not in page and "http-equiv" in page


def test_a_trial_that_fails_says_why_and_the_search_goes_on(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.4, "high": 0.9}, "tau": [0.1]}
    with pytest.raises(
        UserError, match=r"no trial of .* is finished; the last one failed: the training loss became NaN"
    ):
        search(tmp_path / "a", 2, plan={"space": space}).run(lambda _: None)
    assert [row["reason"] for row in rows(tmp_path / "a")] == ["the training loss became NaN"] * 2
    assert not (tmp_path / "a" / "best.yaml").exists()
    mixed = {"learning_rate": [0.01, 0.5], "tau": [0.1]}
    assert search(tmp_path / "b", 2, plan={"space": mixed, "sampler": "grid"}).run(lambda _: None)
    assert sorted(row["state"] for row in rows(tmp_path / "b")) == ["failed", "finished"]


def test_more_trials_go_on_where_fewer_ended(tmp_path: Path) -> None:
    search(tmp_path / "a", 2).run(lambda _: None)
    before = rows(tmp_path / "a")
    with pytest.raises(UserError, match="holds a search already; go on with it by --resume"):
        search(tmp_path / "a", 4).run(lambda _: None)
    search(tmp_path / "a", 4, resume=True).run(lambda _: None)
    assert rows(tmp_path / "a")[:2] == before and len(rows(tmp_path / "a")) == 4
    search(tmp_path / "whole", 4).run(lambda _: None)
    assert rows(tmp_path / "whole") == rows(tmp_path / "a")  # as if it had never stopped


def test_two_at_once_share_the_study(tmp_path: Path) -> None:
    search(tmp_path / "a", 5, jobs=2).run(lambda _: None)
    found = rows(tmp_path / "a")
    assert [int(row["trial"]) for row in found] == list(range(5))
    assert len({row["learning_rate"] for row in found}) == 5


def test_a_grid_ends_by_itself(tmp_path: Path) -> None:
    small = {"learning_rate": [0.01, 0.02], "tau": [0.1]}
    search(tmp_path / "a", 9, plan={"space": small, "sampler": "grid"}).run(lambda _: None)
    assert sorted(row["learning_rate"] for row in rows(tmp_path / "a")) == ["0.01", "0.02"]


def test_a_folder_in_use_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        search(tmp_path / "file").run(lambda _: None)
    (tmp_path / "a").mkdir()
    with locked(tmp_path / "a", "me"), pytest.raises(UserError, match="being written by another search"):
        search(tmp_path / "a").run(lambda _: None)


PROGRAM = """
import sys
from pathlib import Path
from helpers.toy_trial import WORKER, toy_plan
from recbole_mqsa.tuning.search import Search
plan = toy_plan(settings={"pause": 0.1})
Search(Path(sys.argv[1]), plan, 5, jobs=2, seeds=0, resume=True, worker=WORKER).run()
"""


def test_killed_at_any_moment_a_search_goes_on_to_the_number_asked_for(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a")]
    for wait in (0, 0.6):  # once the first has begun, and after some more
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    found = rows(tmp_path / "a")
    assert [int(row["trial"]) for row in found] == list(range(5))
    assert {row["state"] for row in found} <= {"finished", "failed"}
    assert all(row["reason"].endswith("became NaN") for row in found if row["state"] == "failed")


def test_another_best_trial_is_tested_elsewhere(tmp_path: Path) -> None:
    """Else what an earlier best was tested with would pass for the later one's."""
    one = search(tmp_path / "a", 1)
    one.run(lambda _: None)
    one.seeds = 2
    first = one.final
    assert first is not None and [variant.name for variant in first.variants] == ["tuned"]  # the model's own
    later = search(tmp_path / "a", 6, resume=True)
    later.run(lambda _: None)
    later.seeds = 2
    second = later.final
    assert second is not None and later.best.number != 0 and second.folder != first.folder
    assert [variant.settings for variant in second.variants] == [later.best.settings, {}]
    assert list(second.seeds) == [8, 9] and later.plan.seed == 7

"""Trials and their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.made_up import write_cell, write_plan

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.compare import read_compared
from recbole_mqsa.experiments.report.write import write_report
from recbole_mqsa.experiments.trials import Trial, Variant, read_benchmark, trials_of
from recbole_mqsa.runs.folder import CHECKSUM, write_result

VARIANTS = [Variant("one", "Pop", {}), Variant("two", "Pop", {"topk": [5, 20]})]


def test_a_trial_for_each_data_set_variant_and_seed(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["a", "b"], [1, 2])
    named = [(trial.dataset, trial.variant.name, trial.seed) for trial in trials]
    assert named[:3] == [("a", "one", 1), ("a", "one", 2), ("a", "two", 1)] and len(set(named)) == 8
    assert trials[2].folder == tmp_path / "cells" / "a" / "two" / "seed-1"


@pytest.mark.parametrize(
    ("variants", "datasets", "seeds", "says"),
    [
        ([Variant("a/b", "Pop", {})], ["data"], [1], "variant 'a/b'"),
        ([Variant("..", "Pop", {})], ["data"], [1], r"variant '\.\.'"),
        (VARIANTS, ["data", "data"], [1], "data set 'data' is named twice"),
        (VARIANTS, ["data"], [1, 1], "seed '1' is named twice"),
        ([], ["data"], [1], "at least one variant"),
    ],
)
def test_trials_need_folders_of_their_own(
    tmp_path: Path, variants: Any, datasets: Any, seeds: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        trials_of(tmp_path, variants, datasets, seeds)


@pytest.fixture
def written(tmp_path: Path) -> Trial:
    """A finished trial as a run writes it, beside another."""
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for row in ("A", "MQSATED"):
        cell = write_cell(tmp_path, "d", row, 1, {"ndcg@20": 0.1})
        write_result(cell, json.loads((cell / "result.json").read_text()))
    return read_benchmark(tmp_path)[1][1]


def test_a_result_is_read_as_every_other_command_reads_it(tmp_path: Path, written: Trial) -> None:
    write_report(tmp_path)
    assert CHECKSUM not in written.result and written.result == read_compared(written.folder).result


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("0.1", "0.2"), "is not what the run wrote"),
        (lambda text: text[:-20], "is damaged"),
        (lambda text: "{}", "is damaged"),
        (lambda text: "", "is damaged"),
    ],
)
def test_a_result_that_no_run_has_written_is_named_in_place_of_a_report(
    tmp_path: Path, written: Trial, change: Any, says: str
) -> None:
    """As compare does; to leave it out, or to show it, would be to say something else than the runs found."""
    write_report(tmp_path)
    before = (tmp_path / "report.md").read_bytes()
    file = written.folder / "result.json"
    file.write_text(change(file.read_text()))
    for read in (lambda: write_report(tmp_path), lambda: read_compared(written.folder)):
        with pytest.raises(UserError, match=says) as refused:
            read()
        assert str(refused.value).startswith(str(file))
    assert (tmp_path / "report.md").read_bytes() == before


def test_a_record_of_a_former_version_has_no_checksum_and_is_read(tmp_path: Path, written: Trial) -> None:
    file = written.folder / "result.json"
    record = json.loads(file.read_text())
    del record[CHECKSUM]
    file.write_text(json.dumps(record))
    write_report(tmp_path)
    assert written.result == record


def test_a_trial_that_is_not_finished_has_no_result(tmp_path: Path) -> None:
    (trial,) = trials_of(tmp_path, VARIANTS[:1], ["a"], [1])
    assert not trial.finished and not trial.tested
    with pytest.raises(UserError, match=r"seed-1 holds no finished run; run the benchmark again"):
        _ = trial.result

"""What counts as a result: a run that is finished and was tested."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from helpers.made_up import write_cell, write_plan

from recbole_mqsa.experiments.report.write import write_report


def trained_on_all_actions(cell: Path) -> None:
    """Make a run one that has nothing to test."""
    nothing = dict.fromkeys(("test", "valid", "slices", "best_epoch", "flops"))
    result = {**json.loads((cell / "result.json").read_text()), **nothing, "users": {"valid": 0, "test": 0}}
    (cell / "result.json").write_text(json.dumps(result))


def test_a_run_without_a_test_has_no_result_and_stops_no_report(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "B", "MQSATED"], ["d"], [1, 2])
    for row, seed in itertools.product(("A", "B", "MQSATED"), (1, 2)):
        history = [{"epoch": 0, "train_seconds": 2.0}]
        cell = write_cell(tmp_path, "d", row, seed, {"ndcg@20": 0.1 * seed}, history=history)
        if row == "B" or (row, seed) == ("A", 2):
            trained_on_all_actions(cell)
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "6 of 6 runs finished, 3 of them without a test." in text
    assert "| A (1 of 2 seeds) | <u>0.1000</u> |" in text and "| B | not tested |" in text
    for row, seed in (("A", 2), ("B", 1), ("B", 2)):
        assert f"| d | {row} | {seed} | not tested: trained on all actions |" in text
    assert "No run of B has a result." in text
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert "d,A,1,all,ndcg@20,0.1" in lines and {"d,A,2,,,", "d,B,1,,,", "d,B,2,,,"} <= set(lines)
    assert "not tested: trained on all actions" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("kind", [None, {"kind": "sweep", "param": "p", "values": [1]}])
def test_a_report_of_runs_without_a_test(tmp_path: Path, kind: object) -> None:
    write_plan(tmp_path, [("p=1", "MQSATED", {"p": 1}), "MQSATED"], ["d"], [1], kind)
    for row in ("p=1", "MQSATED"):
        trained_on_all_actions(write_cell(tmp_path, "d", row, 1, {}))
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "No run has a result." in text and "2 of 2 runs finished, 2 of them without a test." in text
    assert (tmp_path / "results.csv").read_text().splitlines()[1:] == ["d,p=1,1,,,", "d,MQSATED,1,,,"]

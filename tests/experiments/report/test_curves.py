"""The course and the cost of a training, against hand arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.made_up import write_cell, write_plan

from recbole_mqsa.experiments.report.costs import costs
from recbole_mqsa.experiments.report.curves import curve, seconds_to_best
from recbole_mqsa.experiments.trials import read_benchmark


def epochs(*scores: float | None) -> list[dict[str, float]]:
    return [
        {
            "epoch": number,
            "train_seconds": 2.0,
            **({} if score is None else {"valid_seconds": 0.5, "ndcg@20": score}),
        }
        for number, score in enumerate(scores)
    ]


def test_curves_end_where_the_first_seed_stops(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A"], ["d"], [1, 2])
    write_cell(tmp_path, "d", "A", 1, {"ndcg@20": 0.1}, history=epochs(0.1, None, 0.3, 0.9))
    write_cell(tmp_path, "d", "A", 2, {"ndcg@20": 0.1}, history=epochs(0.2, 0.2, 0.5))
    found = curve(read_benchmark(tmp_path)[1], "ndcg@20")
    assert found is not None
    assert found.epochs == [0, 2]
    assert found.mean == pytest.approx([0.15, 0.4])
    assert found.deviation == pytest.approx([math.sqrt(0.005), math.sqrt(0.02)])


def test_the_chosen_epoch_is_each_seed_s_own(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A"], ["d"], [1, 2, 3])
    for seed, best, scores in ((1, 3, (0.1, 0.2, 0.3, 0.9)), (2, 1, (0.2, 0.4, 0.1)), (3, 7, (0.2, 0.3))):
        history = epochs(*scores)
        write_cell(tmp_path, "d", "A", seed, {"ndcg@20": 0.1}, history=history, best_epoch=best)
    found = curve(read_benchmark(tmp_path)[1], "ndcg@20")
    assert found is not None
    assert found.epochs == [
        0,
        1,
    ]  # the shortest; the first seed's best epoch is beyond, and shown all the same
    assert found.chosen == [(3, 0.9), (1, 0.4)]  # no epoch 7 is recorded


def test_costs(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "B"], ["d"], [1, 2])
    for seed, total in ((1, 100.0), (2, 140.0)):
        seconds = {"training": total / 2, "validation": total / 2, "test": 1.0}
        history = epochs(0.1, None, 0.3, 0.2)
        changes = {"seconds": seconds, "best_epoch": 2, "flops": None, "parameters": 10}
        write_cell(tmp_path, "d", "A", seed, {"ndcg@20": 0.1}, history=history, **changes)
    trials = read_benchmark(tmp_path)[1]
    assert seconds_to_best(trials[0]) == pytest.approx(3 * 2.0 + 2 * 0.5)
    a, b = costs(trials, "d")
    assert (a.parameters, a.flops, a.total_seconds, a.epochs, a.best_epoch) == (10, None, 120, 4, 2)
    assert a.epoch_seconds == pytest.approx((50 / 4 + 70 / 4) / 2)
    assert (b.parameters, b.total_seconds) == (None, None)

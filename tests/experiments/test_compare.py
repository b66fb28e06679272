"""Runs side by side, against means and intervals computed sample by sample."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from helpers.made_up import write_cell

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.compare import compare

RANKS = {"a": [0, 1, 5, -1, 19, 3], "b": [0, 0, 2, 7, -1, 4]}
T_OF_5 = 2.570581835636314
"""Student's t at 97.5 % with five degrees of freedom."""


def gains(ranks: list[int]) -> list[float]:
    return [1 / math.log2(rank + 2) if 0 <= rank < 5 else 0.0 for rank in ranks]


def write(folder: Path, name: str, users: range = range(1, 7), **changes: object) -> Path:
    ranks = RANKS[name]
    test = {"ndcg@5": statistics.fmean(gains(ranks)), "giniindex@5": 0.25}
    settings = {"learning_rate": 0.1 if name == "a" else 0.2, "seed": 1, "device": name}
    return write_cell(folder, "toy", name, 1, test, dict(zip(users, ranks)), settings=settings, **changes)


def half(values: list[float]) -> float:
    return T_OF_5 * statistics.stdev(values) / len(values) ** 0.5


def test_settings_and_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    assert main(["compare", str(a), str(b)]) == 0
    text = capsys.readouterr().out
    assert text.rstrip("\n") == compare([a, b])
    settings, metrics = text.split("\n\n")
    assert [line.split() for line in settings.splitlines()[1:]] == [["learning_rate", "0.1", "0.2"]]
    left, right = gains(RANKS["a"]), gains(RANKS["b"])
    mean_a, mean_b = statistics.fmean(left), statistics.fmean(right)
    rows = {line.split()[0]: line for line in metrics.splitlines()}
    ndcg = f"NDCG@5 {mean_a:.4f} ± {half(left):.4f} {mean_b:.4f} ± {half(right):.4f}"
    assert rows["NDCG@5"].split() == ndcg.split()
    apart = [y - x for x, y in zip(left, right)]
    assert f"{mean_b - mean_a:+.4f} ± {half(apart):.4f}" in metrics
    assert "+0.0000" in metrics  # of what ranks do not tell there is no interval


def test_other_users_are_not_paired(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b", users=range(2, 8))
    difference = next(line for line in compare([a, b]).splitlines() if line.startswith("  difference"))
    assert "±" not in difference


def test_ranks_of_another_evaluation_give_no_interval(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    np.savez(b / "ranks.npz", users=np.arange(1, 7), ranks=np.zeros(6, dtype=int))
    line = next(line for line in compare([a, b]).splitlines() if line.startswith("NDCG@5"))
    assert line.count("±") == 1


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    with pytest.raises(UserError, match="compare takes two runs or more: compare runs/a runs/b"):
        compare([a])
    with pytest.raises(UserError, match=r"holds no finished run; name folders with a result\.json"):
        compare([a, tmp_path])
    result = json.loads((b / "result.json").read_text())
    (b / "result.json").write_text(json.dumps({**result, "test": None}))
    with pytest.raises(
        UserError, match="was trained on all actions, so it has no test to compare; leave it out"
    ):
        compare([a, b])

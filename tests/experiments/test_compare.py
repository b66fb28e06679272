"""Runs side by side, against means and intervals computed sample by sample."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.made_up import write_cell

from recbole_mqsa.cli.main import main
from recbole_mqsa.data.identity import IDS, Identity, Ids
from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.compare import compare

RANKS = {"a": [0, 1, 5, -1, 19, 3], "b": [0, 0, 2, 7, -1, 4]}
ALIKE = {"mask_seen": True, "eval_args": {"mode": "full"}}
T_OF_5 = 2.570581835636314
"""Student's t at 97.5 % with five degrees of freedom."""


def gains(ranks: list[int]) -> list[float]:
    return [1 / math.log2(rank + 2) if 0 <= rank < 5 else 0.0 for rank in ranks]


def write(
    folder: Path,
    name: str,
    users: Sequence[int] = range(1, 7),
    people: list[str] | None = None,
    data: str = "same",
    **protocol: object,
) -> Path:
    ranks = RANKS[name]
    test = {"ndcg@5": statistics.fmean(gains(ranks)), "giniindex@5": 0.25}
    settings = {"learning_rate": 0.1 if name == "a" else 0.2, "seed": 1, "device": name, **protocol}
    cell = write_cell(folder, "toy", name, 1, test, dict(zip(users, ranks)), settings=settings)
    identity(people or list("uvwxyz"), data).save(cell / IDS)
    return cell


def identity(people: list[str], data: str) -> Identity:
    return Identity(Ids(np.array(["[PAD]", *people]), np.array(["[PAD]", "i"])), data, 6)


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


def differences(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("  difference"))


def test_users_are_paired_by_their_names(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b", users=[6, 5, 4, 3, 2, 1], people=list("zyxwvu"))
    apart = [y - x for x, y in zip(gains(RANKS["a"]), gains(RANKS["b"]))]
    assert f"{statistics.fmean(apart):+.4f} ± {half(apart):.4f}" in differences(compare([a, b]))


def test_other_users_are_not_paired(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b", people=list("UVWXYZ"))
    assert "±" not in differences(compare([a, b]))


def test_users_of_unknown_names_are_not_paired(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    (a / IDS).unlink()
    text = compare([a, b])
    assert "±" not in differences(text) and "+0.1375" in differences(text)
    assert f"whether {b} has the data of {a} is not known, as {a} has no ids.npz" in text


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"data": "others"}, "data"),
        ({"mask_seen": False}, "mask_seen"),
        ({"eval_args": {"mode": "uni100"}, "mask_seen": False}, "eval_args, mask_seen"),
    ],
)
def test_tests_that_differ_have_no_difference(tmp_path: Path, other: dict[str, Any], what: str) -> None:
    a, b = write(tmp_path, "a", **ALIKE), write(tmp_path, "b", **{**ALIKE, **other})
    text = compare([a, b])
    assert differences(text).split() == ["difference", "-"]
    assert f"{b} was tested otherwise than {a} ({what}), so their metrics do not compare the models" in text
    assert "tested otherwise" not in compare([a, a])


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

"""Runs side by side: the settings in which they differ, and their test metrics with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ..errors import UserError
from ..interfaces import Json
from ..runs.folder import read_result
from ..settings.compare import differing
from .report.formatting import metric_label, metric_order
from .report.significance import AGREEMENT, GAINS

LEVEL = 0.95
"""Of the intervals."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """One of the runs.

    Args:
        folder: as it was named.
        result: its ``result.json``.
        users, ranks: [S] of the test samples; None where the run has no ranks.
    """

    folder: Path
    result: Json
    users: NDArray[np.int64] | None
    ranks: NDArray[np.int64] | None

    def gains(self, metric: str) -> Array | None:
        """[S] what each test sample adds to a metric; None where ranks do not tell, or are of another evaluation."""
        name, _, cut_off = metric.partition("@")
        if self.ranks is None or name not in GAINS or not cut_off.isdigit():
            return None
        hit = (self.ranks >= 0) & (self.ranks < int(cut_off))
        gained = np.where(hit, GAINS[name](np.maximum(self.ranks, 0)), 0.0)
        agrees = len(gained) and abs(gained.mean() - self.result["test"][metric]) <= AGREEMENT
        return gained if agrees else None


def read_compared(folder: Path) -> Compared:
    """A finished run with a test.

    Raises:
        UserError: there is none in the folder.
    """
    result = read_result(folder)
    if result is None:
        raise UserError(f"{folder} holds no finished run; name folders with a result.json")
    if not result["test"]:
        raise UserError(f"{folder} was trained on all actions, so it has no test to compare; leave it out")
    try:
        with np.load(folder / "ranks.npz", allow_pickle=False) as arrays:
            return Compared(
                folder, result, arrays["users"].astype(np.int64), arrays["ranks"].astype(np.int64)
            )
    except (OSError, ValueError, KeyError, BadZipFile):
        return Compared(folder, result, None, None)


def interval(values: Array) -> float:
    """Half the width of the interval of a mean, by Student's t; 0 where the values are alike."""
    if len(values) < 2:
        return float("nan")
    return float(student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)


def compare(folders: Sequence[Path]) -> str:
    """A text of two tables: settings that differ, and each test metric, with its difference to the first run's.

    Intervals are of 95 % over test samples. That of a difference pairs the samples of the two runs, where these are of
    the same users in the same order; it says nothing about other seeds.

    Raises:
        UserError: fewer than two runs, or a folder without one.
    """
    if len(folders) < 2:
        raise UserError("compare takes two runs or more: compare runs/a runs/b")
    runs = [read_compared(folder) for folder in folders]
    names = [str(run.folder) for run in runs]
    lines = [_row("setting", names), *_settings(runs), "", _row("test", names)]
    metrics = set.intersection(*(set(run.result["test"]) for run in runs))
    for metric in sorted(metrics, key=metric_order):
        lines.append(_row(metric_label(metric), [_metric(run, metric) for run in runs]))
        lines.append(_row("  difference", ["", *(_difference(runs[0], run, metric) for run in runs[1:])]))
    if not metrics:
        lines.append("no metric in common")
    return "\n".join(line.rstrip() for line in lines)


def _settings(runs: Sequence[Compared]) -> list[str]:
    found = [run.result["settings"] for run in runs]
    keys = sorted({key for other in found[1:] for key in differing(found[0], other)})
    absent = object()
    rows = [_row(key, [_shown(one.get(key, absent), absent) for one in found]) for key in keys]
    return rows or ["no setting differs that changes a result"]


def _shown(value: object, absent: object) -> str:
    return "-" if value is absent else str(value)


def _metric(run: Compared, metric: str) -> str:
    gains = run.gains(metric)
    value = f"{run.result['test'][metric]:.4f}"
    return value if gains is None else f"{value} ± {interval(gains):.4f}"


def _difference(first: Compared, other: Compared, metric: str) -> str:
    value = f"{other.result['test'][metric] - first.result['test'][metric]:+.4f}"
    mine, theirs = first.gains(metric), other.gains(metric)
    if mine is None or theirs is None or not _same_samples(first, other):
        return value
    return f"{value} ± {interval(theirs - mine):.4f}"


def _same_samples(first: Compared, other: Compared) -> bool:
    same = (
        first.result["dataset"] == other.result["dataset"]
        and first.users is not None
        and other.users is not None
    )
    return bool(same and np.array_equal(first.users, other.users))  # type: ignore[arg-type]


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:<28}" + "".join(f"  {cell:<24}" for cell in cells)

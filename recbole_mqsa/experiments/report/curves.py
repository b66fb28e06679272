"""The course of a training: what ``epochs.csv`` holds of each epoch, and its mean over seeds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import UserError
from ..cells import Cell
from .statistics import spread


@dataclass(frozen=True)
class Curve:
    """A metric by epoch; ``deviation`` is the sample standard deviation over seeds, 0 for a single one."""

    epochs: list[int]
    mean: list[float]
    deviation: list[float]
    seeds: int


def history(cell: Cell) -> list[dict[str, float]]:
    """A finished cell's epochs, without what was not measured in one; empty if nothing was written.

    Raises:
        UserError: ``epochs.csv`` is damaged.
    """
    path = cell.folder / "epochs.csv"
    if not cell.finished or not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except (TypeError, ValueError) as problem:
        raise UserError(
            f"{path} is damaged ({problem}): remove the folder and run the benchmark again"
        ) from problem


def curve(cells: Sequence[Cell], metric: str) -> Curve | None:
    """Mean over one row's finished seeds, for the epochs that every one of them has evaluated.

    Seeds stop at different epochs; a mean that went on over the rest would jump where one leaves.
    """
    runs = []
    for cell in cells:
        run = {int(row["epoch"]): row[metric] for row in history(cell) if metric in row}
        if run:
            runs.append(run)
    shared = sorted(set.intersection(*map(set, runs))) if runs else []
    if not shared:
        return None
    means, deviations = [], []
    for epoch in shared:
        mean, deviation = spread([run[epoch] for run in runs])
        means.append(mean or 0.0)
        deviations.append(deviation or 0.0)
    return Curve(shared, means, deviations, len(runs))


def seconds_to_best(cell: Cell) -> float | None:
    """Training and validation up to and with the epoch that was tested."""
    rows, best = history(cell), cell.result["best_epoch"]
    if not rows or best is None:
        return None
    spent = [row for row in rows if row["epoch"] <= best]
    return sum(row.get("train_seconds", 0.0) + row.get("valid_seconds", 0.0) for row in spent)

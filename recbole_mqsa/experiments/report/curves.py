"""The course of a training: what ``epochs.csv`` holds of each epoch, and its mean over seeds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import UserError
from ..trials import Trial
from .statistics import spread


@dataclass(frozen=True)
class Curve:
    """A metric by epoch.

    Attributes:
        epochs: those that every seed has evaluated.
        mean: over seeds, by epoch.
        deviation: the sample standard deviation over seeds, by epoch; 0 with a single one.
        chosen: for each seed the epoch that was tested, and this seed's own metric in it.
    """

    epochs: list[int]
    mean: list[float]
    deviation: list[float]
    chosen: list[tuple[int, float]]


def history(trial: Trial) -> list[dict[str, float]]:
    """A finished run's epochs, without what was not measured in one; empty if nothing was written.

    Raises:
        UserError: ``epochs.csv`` is damaged.
    """
    path = trial.folder / "epochs.csv"
    if not trial.tested or not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in line.items() if v} for line in csv.DictReader(file)]
    except (TypeError, ValueError) as problem:
        raise UserError(
            f"{path} is damaged ({problem}): remove the folder and run the benchmark again"
        ) from problem


def curve(trials: Sequence[Trial], metric: str) -> Curve | None:
    """Mean over one variant's finished seeds, for the epochs that every one of them has evaluated.

    Seeds stop at different epochs; a mean that went on over the rest would jump where one leaves.
    """
    courses, chosen = [], []
    for trial in trials:
        course = {int(line["epoch"]): line[metric] for line in history(trial) if metric in line}
        if course:
            courses.append(course)
            best = trial.result["best_epoch"]
            chosen += [(best, course[best])] if best in course else []
    shared = sorted(set.intersection(*map(set, courses))) if courses else []
    if not shared:
        return None
    spreads = [spread([course[epoch] for course in courses]) for epoch in shared]
    means, deviations = ([number or 0.0 for number in numbers] for numbers in zip(*spreads))
    return Curve(shared, means, deviations, chosen)


def seconds_to_best(trial: Trial) -> float | None:
    """Training and validation up to and with the epoch that was tested."""
    epochs, best = history(trial), trial.result["best_epoch"]
    if not epochs or best is None:
        return None
    spent = [epoch for epoch in epochs if epoch["epoch"] <= best]
    return sum(epoch.get("train_seconds", 0.0) + epoch.get("valid_seconds", 0.0) for epoch in spent)

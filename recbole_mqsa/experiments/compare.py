"""Runs side by side: the settings in which they differ, and their metrics with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.identity import IDS, Identity
from ..errors import UserError
from ..interfaces import Json
from ..runs.folder import read_result
from ..settings.compare import differing
from .report.formatting import MISSING, metric_label, metric_order
from .report.results import ALL, Entry
from .report.significance import by_user
from .trials import Trial, Variant

COVERED, DEVIATIONS = "95 %", 1.959964
"""What an interval covers, and how many standard errors that is to either side."""
PROTOCOL = ("eval_args", "mask_seen")
"""Settings without which metrics of the same data are not of the same task."""


class Interval(NamedTuple):
    """A mean over users, and how far chance among users may have moved it; None where users are not known."""

    mean: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.half is None else f" ± {self.half:.4f}")


@dataclass(frozen=True)
class Compared:
    """A finished run.

    Args:
        folder: the run's.
        result: the content of ``result.json``.
    """

    folder: Path
    result: Json

    @property
    def settings(self) -> Json:
        settings: Json = self.result["settings"]
        return settings

    @property
    def metrics(self) -> dict[str, float]:
        """Of the test part; none if the run was not tested."""
        return self.result["test"] or {}

    @cached_property
    def identity(self) -> Identity | None:
        """Its data, if it kept which they are."""
        file = self.folder / IDS
        return Identity.read(file) if file.exists() else None

    def of_users(self, metric: str) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
        """Numbers of the users, and each one's part of a metric; None where the ranks do not tell."""
        variant = Variant(self.folder.name, self.result["model"], {})
        trial = Trial(self.result["dataset"], variant, 0, self.folder)
        return by_user(Entry(variant, (trial,), {0: self.metrics[metric]}, None, None), (0,), metric, ALL)

    def interval(self, metric: str) -> Interval | None:
        """A metric of this run; None if it does not have it."""
        if metric not in self.metrics:
            return None
        known = self.of_users(metric)
        return Interval(self.metrics[metric], None if known is None else half_width(known[1]))

    def is_like(self, other: Compared) -> bool:
        """Whether both were tested on the same targets of the same data."""
        same = all(self.settings.get(key) == other.settings.get(key) for key in PROTOCOL)
        mine, theirs = self.identity, other.identity
        return same and mine is not None and theirs is not None and mine.fingerprint == theirs.fingerprint

    def minus(self, other: Compared, metric: str) -> Interval | None:
        """The difference of a metric, user by user; None where that cannot be told."""
        if not (self.is_like(other) and metric in self.metrics and metric in other.metrics):
            return None
        mine, theirs = self.of_users(metric), other.of_users(metric)
        if mine is None or theirs is None:
            return None
        assert self.identity is not None and other.identity is not None
        names, others = self.identity.ids.users[mine[0]], other.identity.ids.users[theirs[0]]
        common, left, right = np.intersect1d(names, others, assume_unique=True, return_indices=True)
        if not len(common):
            return None
        differences = mine[1][left] - theirs[1][right]
        return Interval(float(differences.mean()), half_width(differences))


def half_width(values: NDArray[np.float64]) -> float | None:
    """Half the interval of the mean of independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(DEVIATIONS * values.std(ddof=1) / np.sqrt(len(values)))


def read_runs(folders: Sequence[Path]) -> list[Compared]:
    """The finished runs in some folders.

    Raises:
        UserError: fewer than two, one given twice, or one without a finished run.
    """
    if len(folders) < 2:
        raise UserError("compare needs at least two folders of runs, as in compare runs/a runs/b")
    if twice := [one for place, one in enumerate(folders) if one in folders[:place]]:
        raise UserError(f"{twice[0]} is given twice; compare different runs")
    results = [read_result(folder) for folder in folders]
    for folder, result in zip(folders, results):
        if result is None:
            raise UserError(f"{folder} holds no finished run; name a folder with a result.json")
    return [Compared(folder, result) for folder, result in zip(folders, results) if result is not None]


def side_by_side(runs: Sequence[Compared]) -> str:
    """What differs, as text: a table of settings, one of metrics, and how to read them."""
    first, *others = runs
    parts = [_settings(runs), _metrics(runs)]
    parts += [
        f"{other.folder} and {first.folder} were not tested on the same targets of the same data, so the difference of "
        "their metrics tells nothing of the models."
        for other in others
        if not other.is_like(first)
    ]
    parts.append(
        f"Intervals cover {COVERED} of what chance among users does; * is a difference whose interval leaves out 0. "
        "What another seed would change is not in them: a benchmark with several seeds tells that."
    )
    return "\n\n".join(parts)


def _settings(runs: Sequence[Compared]) -> str:
    first, *others = runs
    keys = sorted({key for other in others for key in differing(first.settings, other.settings)})
    if not keys:
        return "The settings are the same."
    head = ["setting", *(str(run.folder) for run in runs)]
    return _table([head, *([key, *(_value(run, key) for run in runs)] for key in keys)])


def _value(run: Compared, key: str) -> str:
    return str(run.settings[key]) if key in run.settings else MISSING


def _metrics(runs: Sequence[Compared]) -> str:
    metrics = sorted({key for run in runs for key in run.metrics}, key=metric_order)
    if not metrics:
        return "None of the runs was tested."
    rows = [["metric", "run", "test", f"difference from {runs[0].folder}"]]
    for metric in metrics:
        for place, run in enumerate(runs):
            own, difference = run.interval(metric), run.minus(runs[0], metric) if place else None
            label = "" if place else metric_label(metric)
            rows.append([label, str(run.folder), str(own or MISSING), _difference(difference)])
    return _table(rows)


def _difference(of: Interval | None) -> str:
    if of is None:
        return ""
    beyond = of.half is not None and abs(of.mean) > of.half
    return f"{'+' if of.mean >= 0 else ''}{of}" + (" *" if beyond else "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)

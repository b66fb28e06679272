"""Runs side by side: the settings in which they differ, and their test metrics with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..data.identity import IDS, Identity
from ..errors import UserError
from ..interfaces import Json
from ..runs.folder import read_result
from ..settings.compare import differing
from .report.formatting import metric_label, metric_order
from .report.significance import AGREEMENT, gained, half_width

PROTOCOL = ("eval_args", "mask_seen")
"""Settings without which metrics on the same data measure different tasks."""
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

    @cached_property
    def identity(self) -> Identity | None:
        """Its data; None of a run that has not kept which they are."""
        file = self.folder / IDS
        return Identity.read(file) if file.exists() else None

    @cached_property
    def people(self) -> tuple[NDArray[np.str_], NDArray[np.int64]] | None:
        """[S] the users' names in order, and the place of each one's test sample; None where names are not known."""
        if (
            self.identity is None
            or self.users is None
            or self.users.max(initial=0) >= len(self.identity.ids.users)
        ):
            return None
        names = self.identity.ids.users[self.users]
        order = np.argsort(names, kind="stable")
        return names[order], order

    def gains(self, metric: str) -> Array | None:
        """[S] what each test sample adds to a metric; None where ranks do not tell, or are of another evaluation."""
        gain = None if self.ranks is None else gained(metric, self.ranks)
        if gain is None or not len(gain):
            return None
        return gain if abs(gain.mean() - self.result["test"][metric]) <= AGREEMENT else None


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


def compare(folders: Sequence[Path]) -> str:
    """A text of two tables: settings that differ, and each test metric, with its difference to the first run's.

    Intervals are of 95 % over test samples. That of a difference pairs the samples of the two runs by the names of
    their users; it says nothing about other seeds. Runs that were tested on other data or in another way than the first
    have no difference, and a sentence says so.

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
    lines += [f"\n{said}" for said in (_caution(runs[0], run) for run in runs[1:]) if said]
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
    return value if gains is None else f"{value} ± {half_width(gains):.4f}"


def _difference(first: Compared, other: Compared, metric: str) -> str:
    if _otherwise(first, other):
        return "-"
    value = f"{other.result['test'][metric] - first.result['test'][metric]:+.4f}"
    mine, theirs = first.gains(metric), other.gains(metric)
    places = _paired(first, other)
    if mine is None or theirs is None or places is None:
        return value
    return f"{value} ± {half_width(theirs[places[1]] - mine[places[0]]):.4f}"


def _paired(first: Compared, other: Compared) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The samples of both runs, person by person; None where these are not known to be the same people."""
    if first.people is None or other.people is None or not np.array_equal(first.people[0], other.people[0]):
        return None
    return first.people[1], other.people[1]


def _otherwise(first: Compared, other: Compared) -> list[str]:
    """In what two tests differ, so that their metrics do not compare models."""
    mine, theirs = first.identity, other.identity
    data = mine is not None and theirs is not None and mine.fingerprint != theirs.fingerprint
    data = data or first.result["dataset"] != other.result["dataset"]
    differ = differing(first.result["settings"], other.result["settings"])
    return ["data"] * data + [key for key in PROTOCOL if key in differ]


def _caution(first: Compared, other: Compared) -> str:
    """What to know before two runs are compared; nothing if they were tested alike."""
    if found := _otherwise(first, other):
        return (
            f"{other.folder} was tested otherwise than {first.folder} ({', '.join(found)}), so their metrics do not "
            "compare the models"
        )
    unknown = [run.folder for run in (first, other) if run.identity is None]
    if unknown:
        return (
            f"whether {other.folder} has the data of {first.folder} is not known, as {unknown[0]} has no {IDS}; "
            "differences are without intervals"
        )
    return ""


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:<28}" + "".join(f"  {cell:<24}" for cell in cells)

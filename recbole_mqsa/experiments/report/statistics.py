"""The numbers of a report: means, deviations, who is best, by how much, and whether chance explains it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy.stats import ttest_rel

from ...errors import UserError
from ...evaluation.slices import SLICES
from ..cells import Cell, Row
from .formatting import metric_order

PROPOSED, PROPOSED_IN = "MQSATED", {"ablation": "full"}
"""The row that improvements are reported for, and that of some kinds of study."""

BASELINES = {"SASRec-whole"}
"""Rows of the proposed model that are somebody else's model; its other rows are variants of it."""

SIGNIFICANT = 0.05
MIN_SEEDS = 3
"""With fewer seeds in common, the test pairs users."""

AGREEMENT = 1e-4
"""How far a metric may be from the one that the ranks give; RecBole rounds metrics to four places or more."""

ALL = "all"
"""The slice of all test samples, whose metrics are ``test`` in ``result.json``."""

SMALLER_IS_BETTER = {"averagepopularity", "giniindex", "logloss", "mae", "rmse"}

# What one sample adds to a metric, from the rank of its only target (from 0) and the length k of the list.
GAINS = {
    "hit": lambda ranks: np.ones(ranks.shape),
    "recall": lambda ranks: np.ones(ranks.shape),
    "mrr": lambda ranks: 1 / (ranks + 1),
    "ndcg": lambda ranks: 1 / np.log2(ranks + 2),
}


@dataclass(frozen=True)
class Entry:
    """One row's results in a column.

    Attributes:
        cells: one a planned seed, whatever became of it.
        values: by seed, of the finished cells that have this metric.
        mean: over ``values``; None where there are none.
        deviation: their sample standard deviation (n - 1 below); None with fewer than two.
    """

    row: Row
    cells: tuple[Cell, ...]
    values: dict[int, float]
    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Comparison:
    """The proposed row against the baseline with the best mean.

    Attributes:
        improvement: in percent of the baseline's mean, above 0 where the proposed row is better; None where
            that mean is 0.
        p: of the two-sided paired t-test; None where it is undefined (equal differences, nothing to pair).
        over: what was paired, "seeds" or "users".
        pairs: how many pairs.
        seeds: those that both rows have finished; of them, a user's value is the mean.
    """

    baseline: str
    improvement: float | None
    p: float | None
    over: str
    pairs: int
    seeds: tuple[int, ...]

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < SIGNIFICANT


@dataclass(frozen=True)
class Column:
    """One metric on one data set, in one slice of the test samples.

    Attributes:
        best, second: names of rows, several in a tie; empty where fewer than two rows have a mean.
        comparison: None without a finished proposed row and a finished baseline.
    """

    dataset: str
    metric: str
    part: str
    entries: tuple[Entry, ...]
    best: frozenset[str]
    second: frozenset[str]
    comparison: Comparison | None


@dataclass(frozen=True)
class Results:
    """All that a report compares.

    Attributes:
        plan: what ``benchmark.json`` holds.
        metric: the one that slices and figures show; None before any run is finished.
        columns: by data set, every metric over all test samples.
        slices: by data set, ``metric`` in each slice; empty where its runs have none.
        all_slices: by data set and metric, the same of every metric.
    """

    plan: dict[str, Any]
    cells: tuple[Cell, ...]
    metric: str | None
    columns: dict[str, list[Column]]
    slices: dict[str, list[Column]]
    all_slices: dict[str, dict[str, list[Column]]]

    @property
    def proposed(self) -> str:
        """The name of the row that improvements are reported for, whether or not there is one of the name."""
        return proposed(self.plan)

    @property
    def rivals(self) -> list[str]:
        """The names of the rows that it is compared with, finished or not."""
        return rivals(self.rows, self.proposed)

    @property
    def datasets(self) -> list[str]:
        return list(self.columns)

    @property
    def seeds(self) -> list[int]:
        return list(dict.fromkeys(cell.seed for cell in self.cells))

    @property
    def rows(self) -> list[Row]:
        return list({cell.row.name: cell.row for cell in self.cells}.values())


def summarise(plan: dict[str, Any], cells: Sequence[Cell]) -> Results:
    """Every column that a report has."""
    metric, names, own = main_metric(cells), metrics(cells), proposed(plan)
    columns, slices, all_slices = {}, {}, {}
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        columns[dataset] = [column(cells, dataset, name, proposed=own) for name in names]
        found = parts([cell for cell in cells if cell.dataset == dataset])
        sliced = names if set(found) - {ALL} else []
        of = {name: [column(cells, dataset, name, part, own) for part in found] for name in sliced}
        # What only all lists together tell, such as coverage, no slice has.
        all_slices[dataset] = {
            name: found
            for name, found in of.items()
            if any(entry.values for one in found if one.part != ALL for entry in one.entries)
        }
        slices[dataset] = all_slices[dataset].get(str(metric), [])
    return Results(plan, tuple(cells), metric, columns, slices, all_slices)


def proposed(plan: dict[str, Any]) -> str:
    """The row of a plan that improvements are reported for."""
    return PROPOSED_IN.get((plan.get("study") or {}).get("kind", ""), PROPOSED)


def baselines(rows: Sequence[Row], proposed: str) -> list[str]:
    """The names of the rows that are another model than the ``proposed`` row's."""
    own = {row.model for row in rows if row.name == proposed}
    return [
        row.name for row in rows if row.name != proposed and (row.model not in own or row.name in BASELINES)
    ]


def rivals(rows: Sequence[Row], proposed: str) -> list[str]:
    """What the ``proposed`` row is compared with: its baselines, or its variants where there are only these."""
    return baselines(rows, proposed) or [row.name for row in rows if row.name != proposed]


def metrics(cells: Iterable[Cell]) -> list[str]:
    """All test metrics of the finished cells, HR first."""
    return sorted({key for cell in cells if cell.finished for key in cell.result["test"]}, key=metric_order)


def main_metric(cells: Sequence[Cell]) -> str | None:
    """The metric that chose the epochs, if it was tested too; else the last one."""
    known = metrics(cells)
    chosen = {str(cell.result["settings"].get("valid_metric")).lower() for cell in cells if cell.finished}
    return next(iter(sorted(chosen & set(known))), known[-1] if known else None)


def parts(cells: Iterable[Cell]) -> dict[str, set[int]]:
    """The slices of the test samples, each with its sizes (one, if all runs split alike), all samples last."""
    found: dict[str, set[int]] = {}
    for cell in cells:
        if cell.finished:
            for name, values in (cell.result.get("slices") or {}).items():
                found.setdefault(name, set()).add(values["samples"])
    return {name: found[name] for name in sorted(found, key=lambda name: name == ALL)}


def value(cell: Cell, metric: str, part: str = ALL) -> float | None:
    """A finished cell's metric; None where it has none, as in a slice without samples."""
    if not cell.finished:
        return None
    result = cell.result
    source = result["test"] if part == ALL else (result.get("slices") or {}).get(part) or {}
    found = source.get(metric)
    return None if found is None or math.isnan(found) else float(found)


def by_row(cells: Iterable[Cell], dataset: str) -> dict[str, list[Cell]]:
    """The cells of a data set by the name of their row."""
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.dataset == dataset:
            rows.setdefault(cell.row.name, []).append(cell)
    return rows


def column(
    cells: Sequence[Cell], dataset: str, metric: str, part: str = ALL, proposed: str = PROPOSED
) -> Column:
    """All rows on one metric of one data set, ``proposed`` compared with the best of the others."""
    entries = []
    for members in by_row(cells, dataset).values():
        found = {cell.seed: value(cell, metric, part) for cell in members}
        values = {seed: number for seed, number in found.items() if number is not None}
        entries.append(Entry(members[0].row, tuple(members), values, *spread(list(values.values()))))
    # Rounded, since a mean over seeds may miss an equal one by its last bit.
    sign = -1 if metric.partition("@")[0] in SMALLER_IS_BETTER else 1
    scores = {e.row.name: round(sign * e.mean, 12) for e in entries if e.mean is not None}
    order = sorted(set(scores.values()), reverse=True)
    best, second = (
        frozenset(name for name, score in scores.items() if len(scores) > 1 and score in order[place])
        for place in (slice(0, 1), slice(1, 2))
    )
    return Column(
        dataset,
        metric,
        part,
        tuple(entries),
        best,
        second,
        _comparison(entries, scores, proposed, metric, part),
    )


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation, each where there is one."""
    return (
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )


def _comparison(
    entries: list[Entry], scores: dict[str, float], proposed: str, metric: str, part: str
) -> Comparison | None:
    by_name = {entry.row.name: entry for entry in entries}
    others = [name for name in rivals([entry.row for entry in entries], proposed) if name in scores]
    if proposed not in scores or not others:
        return None
    other = max(others, key=scores.__getitem__)  # the first of equals
    theirs = scores[other]
    improvement = 100 * (scores[proposed] - theirs) / abs(theirs) if theirs else None
    return Comparison(other, improvement, *_paired(by_name[proposed], by_name[other], metric, part))


def _paired(
    own: Entry, other: Entry, metric: str, part: str
) -> tuple[float | None, str, int, tuple[int, ...]]:
    seeds = tuple(seed for seed in own.values if seed in other.values)
    if len(seeds) >= MIN_SEEDS:
        a, b = (np.array([entry.values[seed] for seed in seeds]) for entry in (own, other))
        return t_test(a, b), "seeds", len(seeds), seeds
    both = [_by_user(entry, seeds, metric, part) for entry in (own, other)]
    if not seeds or both[0] is None or both[1] is None:
        return None, "users", 0, seeds
    (users, a), (others, b) = both
    users, left, right = np.intersect1d(users, others, assume_unique=True, return_indices=True)
    return t_test(a[left], b[right]), "users", len(users), seeds


def t_test(a: Any, b: Any) -> float | None:
    """p of the two-sided paired t-test; None where all differences are equal, or fewer than two."""
    differences = np.asarray(a) - np.asarray(b)
    if len(differences) < 2 or np.ptp(differences) <= 1e-12:
        return None
    return float(ttest_rel(a, b).pvalue)


def _by_user(entry: Entry, seeds: tuple[int, ...], metric: str, part: str) -> Any:
    """Users in ascending order, and each one's mean over its samples and over seeds; None where unknown."""
    name, _, cut_off = metric.partition("@")
    if name not in GAINS or not cut_off.isdigit():
        return None
    users, gains = [], []
    for cell in entry.cells:
        if cell.seed in seeds:
            if not (cell.folder / "ranks.npz").is_file():
                return None
            sampled, ranks, frequency = _ranks(cell)
            if part != ALL:
                if frequency is None or part not in SLICES:
                    return None  # nothing says which sample is in which slice
                within = SLICES[part](frequency)
                sampled, ranks = sampled[within], ranks[within]
            hit = (ranks >= 0) & (ranks < int(cut_off))
            gained = np.where(hit, GAINS[name](np.maximum(ranks, 0)), 0.0)
            if not len(gained) or abs(gained.mean() - entry.values[cell.seed]) > AGREEMENT:
                return None  # ranks of another run than the one whose metric is in the table
            users.append(sampled)
            gains.append(gained)
    known, position = np.unique(np.concatenate(users), return_inverse=True)
    return known, np.bincount(position, np.concatenate(gains)) / np.bincount(position)


def _ranks(cell: Cell) -> tuple[Any, Any, Any]:
    """User, rank and transition frequency of each test sample; no frequency in runs that did not keep it."""
    path = cell.folder / "ranks.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            users, ranks = arrays["users"], arrays["ranks"]
            frequency = arrays.get("frequency")
    except (OSError, ValueError, KeyError, BadZipFile) as problem:
        raise UserError(
            f"{path} is damaged ({problem}): remove the folder and run the benchmark again"
        ) from problem
    columns = [users, ranks] if frequency is None else [users, ranks, frequency]
    if any(column.shape != users.shape for column in columns) or users.ndim != 1:
        raise UserError(
            f"{path} has users and ranks of different shapes: remove the folder and run the benchmark again"
        )
    return users, ranks, frequency

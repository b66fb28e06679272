"""The numbers of a report: means, deviations, which variant is best, and by how much."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from ...interfaces import Json
from ..trials import Trial
from .formatting import metric_order
from .published import published_on
from .results import (
    ALL,
    PROPOSED,
    Column,
    Comparison,
    Entry,
    Results,
    by_variant,
    parts,
    rivals,
    value,
)
from .results import proposed as proposed_in
from .significance import holm, interval, paired

SMALLER_IS_BETTER = {"averagepopularity", "giniindex", "logloss", "mae", "rmse"}


def summarise(plan: Json, trials: Sequence[Trial], paper: bool = False) -> Results:
    """Every column that a report has; with ``paper``, the published numbers of its data sets as well."""
    metric, names, own = main_metric(trials), metrics(trials), proposed_in(plan)
    datasets = list(dict.fromkeys(trial.dataset for trial in trials))
    columns = _corrected(
        {dataset: [column(trials, dataset, name, proposed=own) for name in names] for dataset in datasets}
    )
    all_slices = _slices(trials, columns, own)
    slices = {dataset: found.get(str(metric), []) for dataset, found in all_slices.items()}
    published = {dataset: published_on(dataset) for dataset in columns} if paper else {}
    return Results(plan, tuple(trials), metric, columns, slices, all_slices, published)


Key = TypeVar("Key")


def _corrected(tables: dict[Key, list[Column]]) -> dict[Key, list[Column]]:
    """The columns with p corrected for all comparisons over seeds that are among them."""
    compared = [column.comparison for columns in tables.values() for column in columns]
    tested = [c for c in compared if c is not None and c.p is not None and c.over == "seeds"]
    corrected = dict(zip(map(id, tested), holm([c.p for c in tested if c.p is not None])))

    def with_its_own(column: Column) -> Column:
        if id(column.comparison) not in corrected or column.comparison is None:
            return column
        comparison = replace(column.comparison, corrected=corrected[id(column.comparison)])
        return replace(column, comparison=comparison)

    return {name: [with_its_own(column) for column in columns] for name, columns in tables.items()}


def _slices(
    trials: Sequence[Trial], columns: dict[str, list[Column]], proposed: str
) -> dict[str, dict[str, list[Column]]]:
    """By data set and metric, a column for each slice; the last, of all samples, is that of ``columns``.

    What is tested within slices is corrected together. ``columns`` keep their own correction, so that looking into
    slices weakens no claim over all samples. A metric that only all lists together tell, such as coverage, has none.
    """
    within = _corrected(
        {
            (dataset, whole.metric): _within(trials, dataset, whole.metric, proposed)
            for dataset, wholes in columns.items()
            for whole in wholes
        }
    )
    return {
        dataset: {of.metric: [*apart, of] for of in wholes if (apart := within[dataset, of.metric])}
        for dataset, wholes in columns.items()
    }


def _within(trials: Sequence[Trial], dataset: str, metric: str, proposed: str) -> list[Column]:
    """A column for each slice but that of all samples; none of a metric that no slice has."""
    names = [part for part in parts(of for of in trials if of.dataset == dataset) if part != ALL]
    columns = [column(trials, dataset, metric, part, proposed) for part in names]
    return columns if any(entry.values for one in columns for entry in one.entries) else []


def metrics(trials: Iterable[Trial]) -> list[str]:
    """All test metrics of the finished runs, HR first."""
    return sorted({key for trial in trials if trial.tested for key in trial.result["test"]}, key=metric_order)


def main_metric(trials: Sequence[Trial]) -> str | None:
    """The metric that chose the epochs, if it was tested too; else the last one."""
    known = metrics(trials)
    chosen = {str(trial.result["settings"].get("valid_metric")).lower() for trial in trials if trial.tested}
    return next(iter(sorted(chosen & set(known))), known[-1] if known else None)


def column(
    trials: Sequence[Trial], dataset: str, metric: str, part: str = ALL, proposed: str = PROPOSED
) -> Column:
    """All variants on one metric of one data set, ``proposed`` compared with the best of the others."""
    entries = []
    for members in by_variant(trials, dataset).values():
        found = {trial.seed: value(trial, metric, part) for trial in members}
        values = {seed: number for seed, number in found.items() if number is not None}
        entries.append(Entry(members[0].variant, tuple(members), values, *spread(list(values.values()))))
    scores = _scores(entries, metric)
    order = sorted(set(scores.values()), reverse=True)
    best, second = (
        frozenset(name for name, score in scores.items() if len(scores) > 1 and score in order[place])
        for place in (slice(0, 1), slice(1, 2))
    )
    comparison = _comparison(entries, scores, proposed, metric, part)
    return Column(dataset, metric, part, tuple(entries), best, second, comparison)


def _scores(entries: Sequence[Entry], metric: str) -> dict[str, float]:
    """Each variant's mean, signed so that more is better."""
    return {entry.variant.name: _score(entry.mean, metric) for entry in entries if entry.mean is not None}


def _score(mean: float, metric: str) -> float:
    sign = -1 if metric.partition("@")[0] in SMALLER_IS_BETTER else 1
    # Rounded, since the means over seeds of two equal variants may differ in the last bit.
    return round(sign * mean, 12)


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation, each where there is one."""
    return (
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )


def _comparison(
    entries: list[Entry], scores: dict[str, float], proposed: str, metric: str, part: str
) -> Comparison | None:
    by_name = {entry.variant.name: entry for entry in entries}
    others = [name for name in rivals([entry.variant for entry in entries], proposed) if name in scores]
    if proposed not in scores or not others:
        return None
    other = max(others, key=scores.__getitem__)  # the first of equals
    pair = by_name[proposed], by_name[other]
    p, over, pairs, seeds = paired(*pair, metric, part)
    partial = any(len(entry.values) > len(seeds) for entry in pair)
    if not seeds:
        return Comparison(other, None, None, p, over, pairs, seeds, partial)
    ours, theirs = (_score(statistics.fmean(entry.values[seed] for seed in seeds), metric) for entry in pair)
    improvement = 100 * (ours - theirs) / abs(theirs) if theirs else None
    bounds = _bounds(*pair, seeds, theirs) if over == "seeds" else None
    return Comparison(other, ours - theirs, improvement, p, over, pairs, seeds, partial, bounds)


def _bounds(own: Entry, other: Entry, seeds: Sequence[int], theirs: float) -> tuple[float, float] | None:
    """The interval of the improvement in percent of ``theirs``, the other's mean over the seeds, signed as a score."""
    a, b = ([entry.values[seed] for seed in seeds] for entry in (own, other))
    found = interval(a, b)
    if found is None or not theirs:
        return None
    low, high = sorted(100 * bound / theirs for bound in found)
    return low, high

"""The report's tables as plain data: texts and marks, which a template sets as html, markdown or LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import wording
from .costs import Cost, costs, of_trial
from .formatting import (
    between,
    count,
    duration,
    listing,
    memory,
    metric_label,
    number,
    operations,
    percent,
    probability,
)
from .provenance import time_note
from .results import ALL, Column, Entry, Results


@dataclass(frozen=True)
class Score:
    """One variant's place in a column.

    Attributes:
        text: the mean, or why there is none.
        mark: "best", "second" or nothing.
        deviation: empty with fewer than two seeds.
        value: the mean to sort by; None where there is none.
        why: what became of the runs where there is no mean.
    """

    text: str
    mark: str = ""
    deviation: str = ""
    value: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Line:
    """One variant in a table of scores; ``note`` says how many seeds are missing, if any."""

    name: str
    scores: list[Score]
    note: str = ""
    proposed: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """Variants by metrics, or by slices of the test samples.

    Attributes:
        lines: the variants that the benchmark has run.
        published: the paper's own; they stand apart.
        improvement, over, interval, p: a text for each column; all empty where no column compares, or tests.
        tested_over: what the t-tests pair.
    """

    dataset: str
    about: str
    heads: list[str]
    lines: list[Line]
    published: list[Line]
    improvement: list[str]
    over: list[str]
    interval: list[str]
    p: list[str]
    tested_over: str


def metric_table(results: Results, dataset: str) -> ScoreTable | None:
    """All metrics over all test samples; None before a run is finished."""
    columns = results.columns[dataset]
    heads = [metric_label(column.metric) for column in columns]
    paper = [
        Line(model, [_published(numbers.get(column.metric)) for column in columns])
        for model, numbers in results.published.get(dataset, {}).items()
    ]
    return _table(results, columns, heads, paper)


def slice_table(results: Results, columns: Sequence[Column]) -> ScoreTable | None:
    """One metric in each slice; None where there are no slices."""
    return _table(results, columns, [wording.slice_label(column) for column in columns], [])


TESTED = {"seeds": "seeds, corrected", "users": "users of these runs"}
"""How a table names what its t-tests pair."""


def _table(
    results: Results, columns: Sequence[Column], heads: list[str], published: list[Line]
) -> ScoreTable | None:
    if not columns:
        return None
    lines = [
        Line(
            entry.variant.name,
            [_score(column, column.entries[place]) for column in columns],
            seeds_of(entry),
            entry.variant.name == results.proposed,
        )
        for place, entry in enumerate(columns[0].entries)
    ]
    compared = [column.comparison for column in columns]
    tested = sorted({TESTED[c.over] for c in compared if c and c.p is not None})
    bounded = any(c and c.interval for c in compared)
    return ScoreTable(
        dataset=columns[0].dataset,
        about=wording.spread_note(results.seeds),
        heads=heads,
        lines=lines,
        published=published,
        improvement=[improvement(column) for column in columns] if any(compared) else [],
        over=[c.baseline if c else "" for c in compared] if any(compared) else [],
        interval=[between(c.interval) if c else "" for c in compared] if bounded else [],
        p=[probability(c.p if c.over == "users" else c.corrected) if c else "" for c in compared]
        if tested
        else [],
        tested_over=listing(tested),
    )


def _score(column: Column, entry: Entry) -> Score:
    if entry.mean is None:
        why = "; ".join(dict.fromkeys(wording.state(trial) for trial in entry.trials))
        return Score(wording.absence(entry.trials), why=why)
    name = entry.variant.name
    mark = "best" if name in column.best else "second" if name in column.second else ""
    deviation = "" if entry.deviation is None else number(entry.deviation)
    return Score(number(entry.mean), mark, deviation, entry.mean)


def _published(value: float | None) -> Score:
    return Score(number(value), value=value)


def seeds_of(entry: Entry) -> str:
    """``n of m seeds`` where some are missing but not all, else nothing."""
    done = sum(trial.tested for trial in entry.trials)
    return f"{done} of {len(entry.trials)} seeds" if 0 < done < len(entry.trials) else ""


def improvement(column: Column) -> str:
    """Percent over the best baseline, starred where significant; empty where nothing is compared."""
    if column.comparison is None:
        return ""
    return percent(column.comparison.improvement) + ("*" if column.comparison.significant else "")


def _few(value: float | None) -> str:
    return count(value) if value is None or value == int(value) else f"{value:,.1f}"


COSTS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "parameters": ("Parameters", count),
    "flops": ("FLOPs per user", operations),
    "epoch_seconds": ("Time per epoch", duration),
    "best_seconds": ("Time to best", duration),
    "total_seconds": ("Total time", duration),
    "epochs": ("Epochs", _few),
    "best_epoch": ("Best epoch", _few),
    "process_bytes": ("Peak memory", memory),
    "gpu_bytes": ("Peak memory, GPU", memory),
}
"""Each cost's head, and how it is written."""


@dataclass(frozen=True)
class CostLine:
    """One variant in a table of costs."""

    name: str
    texts: list[str]
    proposed: bool


@dataclass(frozen=True)
class CostTable:
    """Variants by costs; ``note`` warns where the runs do not compare, and is empty where they do."""

    dataset: str
    note: str
    heads: list[str]
    lines: list[CostLine]


def cost_table(results: Results, dataset: str) -> CostTable | None:
    """All costs that a run on the data set has; None if none has any."""
    found = costs(results.trials, dataset)
    keys = [key for key in COSTS if any(getattr(cost, key) is not None for cost in found)]
    if not keys:
        return None
    heads = [COSTS[key][0] for key in keys]
    lines = [
        CostLine(cost.variant.name, _cost_texts(cost, keys), cost.variant.name == results.proposed)
        for cost in found
    ]
    return CostTable(dataset, time_note(results.trials_on(dataset)), heads, lines)


def _cost_texts(cost: Cost, keys: Sequence[str]) -> list[str]:
    return [COSTS[key][1](getattr(cost, key)) for key in keys]


def long_csv(results: Results) -> str:
    """``results.csv``: a line for each number as ``result.json`` has it; one without a number for an unfinished run.

    Metrics have their slice; costs, in seconds and bytes, and the count of epochs have none.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["dataset", "row", "seed", "slice", "metric", "value"])
    for trial in results.trials:
        about = [trial.dataset, trial.variant.name, trial.seed]
        if not trial.tested:
            table.writerow([*about, "", "", ""])
            continue
        slices = {name: of for name, of in (trial.result.get("slices") or {}).items() if name != ALL}
        for part, values in {ALL: trial.result["test"], **slices}.items():
            table.writerows([*about, part, name, value] for name, value in values.items())
        costs_of_trial = {name: value for name, value in of_trial(trial).items() if value is not None}
        table.writerows([*about, "", name, value] for name, value in costs_of_trial.items())
    return out.getvalue()

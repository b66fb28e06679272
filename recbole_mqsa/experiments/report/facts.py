"""What the templates of a report are filled with: texts, tables and pictures, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from . import figures, wording
from .costs import costs
from .formatting import listing, memory, metric_label
from .provenance import command, differences, given_settings, in_full, in_short, settings, time_note
from .results import Results
from .scatter import scatter
from .styles import Style, styles
from .tables import CostTable, ScoreTable, cost_table, metric_table, slice_table

Facts = dict[str, object]


def facts(results: Results) -> Facts:
    """What the report says in every format."""
    return {
        "title": wording.title(results),
        "outcome": wording.outcome(results),
        "progress": wording.progress(results.trials),
        "seeds": results.seeds,
        "proposed": results.proposed,
        "metric": metric_label(results.metric) if results.metric else "",
        "datasets": [_dataset(results, name) for name in results.datasets],
        "notes": wording.table_notes(results) if any(trial.tested for trial in results.trials) else [],
        "refit_note": wording.refit_note(results),
        "slice_note": wording.SLICE_NOTE,
        "cost_note": wording.COST_NOTE,
        "unfinished": wording.unfinished(results.trials),
        "variants": [
            (variant.name, variant.model, given_settings(variant, results.trials))
            for variant in results.variants
        ],
        "command": command(results.plan),
        "provenance": in_full(results.trials),
        "differences": differences(results.trials),
    }


@dataclass(frozen=True)
class Dataset:
    """The tables of one data set; None where there is nothing to show.

    Attributes:
        users: how many test users there are, as text.
        slices: of the main metric.
        refit: the scores after training on the validation part as well.
    """

    name: str
    users: str
    scores: ScoreTable | None
    slices: ScoreTable | None
    costs: CostTable | None
    refit: ScoreTable | None


def _dataset(results: Results, name: str) -> Dataset:
    users = {trial.result["users"]["test"] for trial in results.trials_on(name) if trial.tested}
    return Dataset(
        name=name,
        users=listing([f"{n:,}" for n in sorted(users)]),
        scores=metric_table(results, name),
        slices=slice_table(results, results.slices[name]),
        costs=cost_table(results, name),
        refit=metric_table(results.refit, name) if results.refit and name in results.refit.columns else None,
    )


# What only the page has.

SECTIONS = {
    "results": "Results",
    "refit": "Trained on the validation part as well",
    "slices": "Slices",
    "sweep": "Sweep",
    "training": "Training",
    "quality": "Quality, time and memory",
    "cost": "Cost",
    "unfinished": "Runs without a result",
    "notes": "How to read the tables",
    "settings": "Settings",
    "provenance": "Where it ran",
}
"""Each section's anchor, which is its template's name too, and its heading."""


@dataclass(frozen=True)
class Picture:
    """A figure of one data set; ``note`` says what to know of it, ``warning`` what to beware of."""

    dataset: str
    svg: Markup
    note: str = ""
    warning: str = ""


def page_facts(results: Results) -> Facts:
    """What ``report.html`` says and shows."""
    style_of = styles(results.variants, results.proposed)
    shared, own = settings(results.trials)
    found: Facts = {
        **facts(results),
        "in_short": in_short(results.trials),
        "legend": [(name, style.place, figures.swatch(style)) for name, style in style_of.items()],
        "several_seeds": len(results.seeds) > 1,
        "other_slices": _other_slices(results),
        "sweeps": _sweeps(results, style_of),
        "swept": str((results.plan.get("study") or {}).get("param", "")),
        "spread": wording.spread_note(results.seeds),
        "curves": _curves(results, style_of),
        "scatters": _scatters(results, style_of),
        "settings_note": wording.SETTINGS_NOTE,
        "shared_settings": {name: [(text, "")] for name, text in shared.items()},
        "own_settings": {name: of for name, of in own.items() if of},
    }
    return {**found, "sections": _sections(found)}


def _sections(found: Facts) -> dict[str, str]:
    """The sections that have something to show."""
    tables = found["datasets"]
    assert isinstance(tables, list)
    shown = {
        "results": any(of.scores for of in tables),
        "refit": any(of.refit for of in tables),
        "slices": any(of.slices for of in tables),
        "sweep": found["sweeps"],
        "training": found["curves"],
        "quality": found["scatters"],
        "cost": any(of.costs for of in tables),
        "unfinished": found["unfinished"],
        "provenance": found["command"] or found["provenance"],
    }
    return {key: heading for key, heading in SECTIONS.items() if shown.get(key, True)}


def _other_slices(results: Results) -> dict[str, list[ScoreTable]]:
    """By metric, besides the main one, the slices of every data set that has them."""
    tables: dict[str, list[ScoreTable]] = {}
    for found in results.all_slices.values():
        for metric, columns in found.items():
            table = slice_table(results, columns)
            if table and metric != results.metric:
                tables.setdefault(metric_label(metric), []).append(table)
    return tables


def _pictures(results: Results, draw: Callable[[str, str], Markup | None]) -> list[Picture]:
    """``draw(dataset, metric)`` for each data set on which it shows something."""
    if results.metric is None:
        return []
    drawn = [(dataset, draw(dataset, results.metric)) for dataset in results.datasets]
    return [Picture(dataset, svg) for dataset, svg in drawn if svg]


def _curves(results: Results, style_of: dict[str, Style]) -> list[Picture]:
    return _pictures(
        results, lambda dataset, metric: figures.curves(results.trials, dataset, metric, style_of)
    )


def _scatters(results: Results, style_of: dict[str, Style]) -> list[Picture]:
    drawn = _pictures(results, lambda dataset, metric: scatter(results.trials, dataset, metric, style_of))
    return [
        Picture(of.dataset, of.svg, _sizes(results, of.dataset), time_note(results.trials_on(of.dataset)))
        for of in drawn
    ]


def _sizes(results: Results, dataset: str) -> str:
    """What the smallest and the largest marker stand for."""
    found = costs(results.trials, dataset)
    sizes = sorted((of.process_bytes, of.variant.name) for of in found if of.process_bytes is not None)
    ends = [f"{memory(size)} ({name})" for size, name in (*sizes[:1], *sizes[-1:])]
    return f"Peak memory from {ends[0]} to {ends[1]}." if ends else ""


def _sweeps(results: Results, style_of: dict[str, Style]) -> list[Picture]:
    study = results.plan.get("study") or {}
    if results.kind != "sweep":
        return []
    param, values = str(study["param"]), study["values"]
    return _pictures(
        results,
        lambda dataset, metric: figures.sweep(results.trials, dataset, metric, param, values, style_of),
    )

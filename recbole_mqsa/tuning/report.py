"""``tune.html``: what a search found, and how; from the templates of a benchmark's report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..experiments.cells import BENCHMARK, Trial, read_benchmark
from ..experiments.report.facts import Picture
from ..experiments.report.formatting import duration, metric_label, plural
from ..experiments.report.provenance import in_short, pairs
from ..experiments.report.render import environment
from ..experiments.report.statistics import summarise
from ..experiments.report.tables import ScoreTable, metric_table
from ..runs.atomic import write_text
from . import figures
from .plan import Plan
from .record import Tried, best_of, ranked

if TYPE_CHECKING:
    from .search import Search

SECTIONS = {
    "found": "The best settings",
    "final": "Test",
    "progress": "Progress",
    "importance": "Importance",
    "parallel": "Parallel coordinates",
    "values": "Setting by setting",
    "time": "Time",
    "trials": "Trials",
    "failed": "Failed trials",
}
"""Each section's anchor, which is its template's name too, and its heading."""

Facts = dict[str, object]


def write_page(search: Search) -> None:
    """Write ``tune.html`` into the folder of a search, whole or not at all."""
    write_text(search.folder / "tune.html", page(search))


def page(search: Search) -> str:
    """The page, which needs nothing else, neither files nor a network."""
    return environment(None).get_template("tune.html").render(facts(search))


def facts(search: Search) -> Facts:
    """What the page says and shows."""
    plan, trials = search.plan, search.trials
    best = best_of(trials, plan.bigger)
    finals = _finals(search)
    shares = search.engine.importance() if len(ranked(trials, plan.bigger)) > 2 else {}
    found: Facts = {
        "title": f"{plan.model} tuned on {plan.dataset}",
        "outcome": _outcome(plan, trials, best),
        "plan": plan,
        "metric": metric_label(plan.metric),
        "counts": counts(trials),
        "in_short": in_short(finals),
        "fixed": pairs(plan.settings) if plan.settings else "",
        "best": best,
        "rows": _rows(plan, best),
        "scores": _scores(search.final_folder),
        "seeds": search.seeds,
        "progress": figures.progress(plan, trials) if best else None,
        "curves": figures.curves(plan, trials),
        "shares": figures.importance(shares) if shares else None,
        "parallel": figures.parallel(plan, trials) if len(ranked(trials, plan.bigger)) > 1 else None,
        "values": [Picture(one.key, figures.against(plan, one, trials)) for one in plan.space],
        "time": costs(plan, trials),
        "keys": [one.key for one in plan.space],
        "trials": trials,
        "duration": duration,
        "failed": [one for one in trials if one.state == "failed"],
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
    return {**found, "sections": _sections(found)}


def _sections(found: Facts) -> dict[str, str]:
    """The sections that have something to show."""
    shown = {
        "found": found["best"],
        "final": found["scores"],
        "progress": found["progress"],
        "importance": found["shares"],
        "parallel": found["parallel"],
        "failed": found["failed"],
    }
    return {key: heading for key, heading in SECTIONS.items() if shown.get(key, True)}


def counts(trials: Sequence[Tried]) -> str:
    """How many trials there are of each kind."""
    kinds = [(state, sum(one.state == state for one in trials)) for state in dict.fromkeys(_STATES)]
    return ", ".join(f"{count} {state}" for state, count in kinds if count)


_STATES = ("finished", "pruned", "failed", "running")


def _outcome(plan: Plan, trials: Sequence[Tried], best: Tried | None) -> str:
    if best is None:
        return "No trial is finished."
    first = trials[0]
    metric = metric_label(plan.metric)
    text = f"Trial {best.number} has the best {metric} on validation, {best.value:.4f}"
    if not plan.starts_from_defaults or first.state != "finished" or not first.value:
        return f"{text}."
    if first.number == best.number:
        return f"{text}: the model's own settings, with which the search began."
    change = 100 * ((best.value or 0.0) - first.value) / abs(first.value)
    return f"{text}; the model's own settings have {first.value:.4f} there ({change:+.1f} %)."


def _rows(plan: Plan, best: Tried | None) -> list[tuple[str, str, object, object]]:
    """Setting, its space, the model's own value and the one that was found."""
    own, chosen = plan.defaults, best.settings if best else {}
    return [(one.key, str(one), own.get(one.key), chosen.get(one.key)) for one in plan.space]


def _finals(search: Search) -> list[Trial]:
    folder = search.final_folder
    return read_benchmark(folder)[1] if (folder / BENCHMARK).exists() else []


def _scores(folder: Path) -> ScoreTable | None:
    """The test of the best settings and of the model's own; None before a run of it is finished."""
    if not (folder / BENCHMARK).exists():
        return None
    results = summarise(*read_benchmark(folder))
    return metric_table(results, results.datasets[0])


def costs(plan: Plan, trials: Sequence[Tried]) -> dict[str, str]:
    """What the search cost, and what pruning saved at most: as if pruned trials had run as long as finished ones."""
    seconds = sum(one.seconds or 0.0 for one in trials)
    epochs = sum(one.epochs or 0 for one in trials)
    found = {
        "All trials together": f"{duration(seconds)} in {plural(epochs, 'epoch')}",
    }
    finished = [one for one in trials if one.state == "finished" and one.epochs]
    pruned = [one for one in trials if one.state == "pruned" and one.epochs]
    if finished:
        mean = sum(one.epochs or 0 for one in finished) / len(finished)
        each = sum(one.seconds or 0.0 for one in finished) / len(finished)
        found["A finished trial"] = f"{duration(each)} in {mean:.1f} epochs on average"
        if pruned:
            spared = [max(0.0, mean - (one.epochs or 0)) for one in pruned]
            saved = sum(more * (one.seconds or 0.0) / (one.epochs or 1) for more, one in zip(spared, pruned))
            found["Saved by pruning"] = (
                f"about {duration(saved)} and {sum(spared):,.0f} epochs, had the pruned trials run as long as the "
                "finished ones"
            )
    return found

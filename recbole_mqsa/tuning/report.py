"""``tune.html``: what a search found, and how; from the templates of a benchmark's report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..experiments.report.facts import Picture
from ..experiments.report.formatting import duration, metric_label, plural
from ..experiments.report.provenance import in_full, pairs
from ..experiments.report.render import environment
from ..experiments.report.statistics import summarise
from ..experiments.report.tables import ScoreTable, metric_table
from ..experiments.trials import BENCHMARK, Trial, read_benchmark
from ..runs.atomic import write_text
from . import figures
from .address import hidden
from .plan import Plan
from .record import PAGE, Tried, best_of, final_of, ranked

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


@dataclass(frozen=True)
class Found:
    """What the page is about.

    Args:
        folder: the search's.
        shares: the importance of each setting; empty where it is unknown.
        seeds: with how many the best settings are tested.
    """

    folder: Path
    plan: Plan
    trials: Sequence[Tried]
    shares: dict[str, float]
    seeds: int

    @property
    def final(self) -> Path | None:
        """Where the final test is; None before there is a best trial."""
        best = best_of(self.trials, self.plan.bigger)
        return None if best is None else final_of(self.folder, best)


def write_page(found: Found) -> None:
    """Write ``tune.html`` into the folder of a search, whole or not at all.

    The page needs nothing else, neither files nor a network.
    """
    text = environment(None).get_template(PAGE).render(facts(found))
    write_text(found.folder / PAGE, text)


def facts(found: Found) -> Facts:
    """What the page says and shows."""
    plan, trials = found.plan, found.trials
    best, finals = best_of(trials, plan.bigger), _finals(found.final)
    several = len(ranked(trials, plan.bigger)) > 1
    shown: Facts = {
        "title": f"{plan.model} tuned on {plan.dataset}",
        "outcome": _outcome(plan, trials, best),
        "plan": plan,
        "metric": metric_label(plan.metric),
        "counts": counts(trials),
        "in_short": {record: "; ".join(texts) for record, texts in in_full(finals).items()},
        "fixed": pairs(plan.settings) if plan.settings else "",
        "best": best,
        "rows": _rows(plan, best),
        "scores": _scores(found.final),
        "seeds": found.seeds,
        "final": "" if found.final is None else found.final.relative_to(found.folder).as_posix(),
        "progress": figures.progress(plan, trials) if best else None,
        "curves": figures.curves(plan, trials),
        "shares": figures.importance(found.shares) if found.shares else None,
        "parallel": figures.parallel(plan, trials) if several else None,
        "values": [Picture(one.key, figures.against(plan, one, trials)) for one in plan.space],
        "time": costs(trials),
        "keys": [one.key for one in plan.space],
        "trials": trials,
        "duration": duration,
        "failed": [one for one in trials if one.state == "failed"],
        "command": [Path(sys.argv[0]).name, *map(hidden, sys.argv[1:])],
    }
    return {**shown, "sections": _sections(shown)}


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


def _finals(folder: Path | None) -> list[Trial]:
    return read_benchmark(folder)[1] if folder is not None and (folder / BENCHMARK).exists() else []


def _scores(folder: Path | None) -> ScoreTable | None:
    """The test of the best settings and of the model's own; None before a run of it is finished."""
    if folder is None or not (folder / BENCHMARK).exists():
        return None
    results = summarise(*read_benchmark(folder))
    return metric_table(results, results.datasets[0])


def costs(trials: Sequence[Tried]) -> dict[str, str]:
    """What the search cost, and what pruning saved: as if pruned trials had run as long as finished ones."""
    seconds = sum(one.seconds or 0.0 for one in trials)
    epochs = sum(one.epochs or 0 for one in trials)
    found = {"All trials together": f"{duration(seconds)} in {plural(epochs, 'epoch')}"}
    finished = [one for one in trials if one.state == "finished" and one.epochs]
    if not finished:
        return found
    mean = sum(one.epochs or 0 for one in finished) / len(finished)
    each = sum(one.seconds or 0.0 for one in finished) / len(finished)
    found["A finished trial"] = f"{duration(each)} in {mean:.1f} epochs on average"
    spared, saved = spared_by_pruning(trials, mean)
    if spared:
        found["Saved by pruning"] = (
            f"about {duration(saved)} and {plural(round(spared), 'epoch')}, had the pruned trials run as long as the "
            "finished ones"
        )
    return found


def spared_by_pruning(trials: Sequence[Tried], usual: float) -> tuple[float, float]:
    """Epochs and seconds that pruned trials did not run, if they had run the usual number of epochs."""
    pruned = [one for one in trials if one.state == "pruned" and one.epochs]
    left = [(max(0.0, usual - (one.epochs or 0)), (one.seconds or 0.0) / (one.epochs or 1)) for one in pruned]
    return sum(epochs for epochs, _ in left), sum(epochs * each for epochs, each in left)

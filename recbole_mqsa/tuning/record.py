"""What is known of a search: a record for each trial, ``trials.csv`` and ``best.yaml``."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from ..interfaces import Json
from ..runs.atomic import write_text
from .parameters import Space
from .plan import Plan

TRIALS, BEST, PAGE, FINAL = "trials.csv", "best.yaml", "tune.html", "final"
State = Literal["running", "finished", "pruned", "failed"]


@dataclass(frozen=True)
class Tried:
    """One trial of a search.

    Attributes:
        settings: those of the space.
        value: the best validation score of its epochs; None where there is none.
        curve: the validation score after so many epochs.
        best_epoch: the number of the epoch with this score.
        seconds: how long it trained, over all its starts.
        reason: why it failed.
    """

    number: int
    state: State
    settings: Json
    value: float | None = None
    curve: dict[int, float] = field(default_factory=dict)
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    reason: str | None = None


def folder_of(output_dir: Path, number: int) -> Path:
    """The run folder of a trial."""
    return output_dir / "trials" / f"{number:04d}"


def final_of(output_dir: Path, best: Tried) -> Path:
    """Where a trial's settings are tested at the end: another best trial, found later, is tested elsewhere."""
    return output_dir / FINAL / f"{best.number:04d}"


def ranked(trials: Sequence[Tried], bigger: bool) -> list[Tried]:
    """The finished trials, best first; of equals the first to come."""
    finished = [one for one in trials if one.state == "finished" and one.value is not None]
    return sorted(finished, key=lambda one: (-1 if bigger else 1) * (one.value or 0.0))


def best_of(trials: Sequence[Tried], bigger: bool) -> Tried | None:
    """The finished trial with the best validation score; a pruned one had another budget and is none."""
    return next(iter(ranked(trials, bigger)), None)


def write_record(output_dir: Path, plan: Plan, trials: Sequence[Tried]) -> None:
    """Write ``trials.csv``, and ``best.yaml`` once a trial is finished."""
    write_text(output_dir / TRIALS, trials_csv(plan.space, plan.metric, trials))
    best = best_of(trials, plan.bigger)
    if best is not None:
        write_text(output_dir / BEST, best_yaml(plan, best, len(trials)))


def trials_csv(space: Space, metric: str, trials: Sequence[Tried]) -> str:
    """A row for each trial, with its settings."""
    keys = [one.key for one in space]
    head = ["trial", "state", f"valid_{metric}", "best_epoch", "epochs", "seconds", *keys, "reason"]
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(head)
    for one in trials:
        seconds = None if one.seconds is None else round(one.seconds, 2)
        figures = [one.number, one.state, one.value, one.best_epoch, one.epochs, seconds]
        table.writerow([*figures, *(one.settings.get(key) for key in keys), one.reason])
    return out.getvalue()


def best_yaml(plan: Plan, best: Tried, count: int) -> str:
    """A config file with which the model trains as the best trial did."""
    score = f"{plan.metric.upper()} {best.value:.4f} on validation"
    head = f"# Trial {best.number} of {count}: {score} in epoch {best.best_epoch}. To train and test:\n"
    command = f"#   recbole-mqsa --config_files={BEST}\n"
    settings = {"model": plan.model, "dataset": plan.dataset, **plan.settings, "seed": plan.seed}
    return (
        head
        + command
        + _lines(settings)
        + f"\n# Found among {len(plan.space)} settings\n"
        + _lines(best.settings)
    )


def _lines(settings: Json) -> str:
    """A line for each setting, lists within it."""
    lines = []
    for key, value in settings.items():
        text = yaml.safe_dump({key: value}, default_flow_style=True, allow_unicode=True, width=math.inf)
        lines.append(text.strip()[1:-1] + "\n")  # without the braces
    return "".join(lines)

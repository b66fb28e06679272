"""The pictures of a search: its progress, its curves, and how settings and scores go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator, NullLocator

from ..experiments.report.formatting import metric_label
from ..experiments.report.styles import PALETTE
from ..experiments.report.svg import as_svg, drawing, new_figure
from .parameters import Choice, Parameter
from .plan import Plan
from .record import Tried, best_of, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST, FINISHED, PRUNED = PALETTE[0], PALETTE[1], PALETTE[8]
TOP = 0.1
"""The part of the finished trials that parallel coordinates set off."""

LONGEST = 14
"""Letters of a value that a picture shows."""


def progress(plan: Plan, trials: Sequence[Tried]) -> Markup:
    """The score of each trial, and the best so far as a line of steps."""
    figure, axes = new_figure()
    for state, colour, face, name in (
        ("finished", FINISHED, FINISHED, "finished"),
        ("pruned", PRUNED, "none", "pruned"),
    ):
        members = [one for one in trials if one.state == state and one.value is not None]
        if members:
            axes.scatter(
                [one.number for one in members], [one.value or 0.0 for one in members],
                s=26, edgecolors=colour, facecolors=face, linewidths=1.2, label=name, zorder=3,
            )  # fmt: skip
    steps = best_so_far(plan, trials)
    axes.step(*zip(*steps), where="post", color=BEST, linewidth=2.2, label="best so far", zorder=4)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {metric_label(plan.metric)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return as_svg(figure, "The score of each trial, and the best so far", "progress")


def best_so_far(plan: Plan, trials: Sequence[Tried]) -> list[tuple[int, float]]:
    """The number of each trial, and the best score of the finished ones up to it."""
    steps: list[tuple[int, float]] = []
    for number, one in enumerate(trials):
        best = best_of(trials[: number + 1], plan.bigger)
        if best is not None and best.value is not None:
            steps.append((one.number, best.value))
    return steps


def curves(plan: Plan, trials: Sequence[Tried]) -> Markup:
    """The validation score of every trial by epoch."""
    figure, axes = new_figure()
    best = best_of(trials, plan.bigger)
    named: set[str] = set()
    for one in trials:
        if not one.curve:
            continue
        own = one is best or (best is not None and one.number == best.number)
        name = "best" if own else one.state
        colour = BEST if own else FINISHED if one.state == "finished" else PRUNED
        label = None if name in named else name
        named.add(name)
        axes.plot(
            [epochs - 1 for epochs in one.curve], list(one.curve.values()), color=colour, label=label,
            linewidth=2.4 if own else 1, alpha=1 if own else 0.55, zorder=4 if own else 3,
            marker="o" if len(one.curve) == 1 else None, markersize=4,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {metric_label(plan.metric)}")
    _legend(axes)
    return as_svg(figure, "The validation score of every trial by epoch", "curves")


def importance(shares: dict[str, float]) -> Markup:
    """Bars, the most important setting on top."""
    figure, axes = new_figure(0.7 + 0.36 * len(shares))
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color=FINISHED, height=0.62)
    for place, name in enumerate(names):
        axes.annotate(
            f"{shares[name]:.0%}", (shares[name], place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_xlim(0, max(shares.values()) * 1.15 or 1)
    axes.xaxis.set_visible(False)
    axes.grid(False)
    axes.spines[["bottom"]].set_visible(False)
    return as_svg(figure, "The importance of each setting", "importance")


def parallel(plan: Plan, trials: Sequence[Tried]) -> Markup:
    """A line for each finished trial through its settings, one below the other, down to its score."""
    members = ranked(trials, plan.bigger)
    parameters = list(plan.space)
    figure, axes = new_figure(1.0 + 0.62 * (len(parameters) + 1))
    scores = [one.value or 0.0 for one in members]
    low, high = min(scores), max(scores)
    top = max(1, round(TOP * len(members)))
    rows = range(len(parameters), -1, -1)
    for rank, one in reversed(list(enumerate(members))):
        places = [place(parameter, one.settings[parameter.key]) for parameter in parameters]
        score = ((one.value or 0.0) - low) / (high - low) if high > low else 0.5
        colour, alpha, width = (BEST, 0.95, 1.8) if rank < top else (PRUNED, 0.4, 1)
        axes.plot([*places, score], list(rows), color=colour, alpha=alpha, linewidth=width)
    _ends(axes, [*map(_ends_of, parameters), (f"{low:.4f}", f"{high:.4f}")])
    axes.set_yticks(list(rows), [*(one.key for one in parameters), metric_label(plan.metric)])
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.5, len(parameters) + 0.4)
    axes.xaxis.set_visible(False)
    axes.grid(False)
    axes.hlines(list(rows), 0, 1, colors=PRUNED, linewidth=0.8, alpha=0.5)
    axes.spines[["bottom", "left"]].set_visible(False)
    return as_svg(figure, "The settings of each finished trial, and its score", "parallel")


def _ends(axes: Axes, ends: Sequence[tuple[str, str]]) -> None:
    """Writes what each row's ends stand for below it."""
    for row, (left, right) in enumerate(reversed(ends)):
        for x, text, side in ((0, left, "left"), (1, right, "right")):
            axes.annotate(
                text, (x, row), (0, -4), textcoords="offset points", ha=side, va="top", fontsize=8.5,
                parse_math=False,
            )  # fmt: skip


def _ends_of(parameter: Parameter) -> tuple[str, str]:
    if isinstance(parameter, Choice):
        return short(parameter.values[0]), short(parameter.values[-1])
    return f"{parameter.low:g}", f"{parameter.top:g}"


def place(parameter: Parameter, value: object) -> float:
    """Where a value stands between the ends of its setting, 0 to 1."""
    if isinstance(parameter, Choice):
        last = len(parameter.values) - 1
        return parameter.labels.index(parameter.label_of(value)) / last if last else 0.5
    assert isinstance(value, (int, float))
    low, high = parameter.low, parameter.top
    if low == high:
        return 0.5
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def against(plan: Plan, parameter: Parameter, trials: Sequence[Tried]) -> Markup:
    """The score of each trial against one of its settings."""
    figure, axes = new_figure()
    members = [one for one in trials if one.value is not None]
    best = best_of(trials, plan.bigger)
    for one in members:
        value = one.settings[parameter.key]
        x = parameter.labels.index(parameter.label_of(value)) if isinstance(parameter, Choice) else value
        done, own = one.state == "finished", best is not None and one.number == best.number
        colour = BEST if own else FINISHED if done else PRUNED
        axes.scatter(
            [x], [one.value or 0.0], s=60 if own else 26, edgecolors=colour, linewidths=1.2, zorder=4 if own else 3,
            facecolors=colour if done else "none", marker="*" if own else "o",
        )  # fmt: skip
    _value_axis(axes, parameter)
    axes.set_xlabel(parameter.key, parse_math=False)
    axes.set_ylabel(f"validation {metric_label(plan.metric)}")
    return as_svg(figure, f"The score of each trial against {parameter.key}", f"against-{parameter.key}")


def _value_axis(axes: Axes, parameter: Parameter) -> None:
    """The values of a setting along the horizontal axis, from end to end."""
    if isinstance(parameter, Choice):
        with drawing():
            axes.set_xticks(range(len(parameter.values)), [short(value) for value in parameter.values])
    elif parameter.log:
        axes.set_xscale("log")
        ticks = log_ticks(parameter.low, parameter.high)
        axes.xaxis.set_minor_locator(NullLocator())
        with drawing():
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=parameter.whole))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two: at most seven of 1, 2 and 5 times a power of ten, or the powers of ten alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 7:
            break
    return ticks if len(ticks) > 1 else [low, high]


def short(value: object) -> str:
    """A value in at most ``LONGEST`` letters."""
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _legend(axes: Axes) -> None:
    with drawing():
        axes.legend(frameon=False, fontsize=9.5, loc="best")

"""The report's pictures: curves of training, quality against time, and sweeps.

Each variant has the same style in every picture, and none needs its colours to be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from matplotlib.figure import Figure

from ..trials import Trial, Variant
from .curves import Curve, curve
from .formatting import metric_label
from .results import PROPOSED, by_variant
from .statistics import column
from .styles import Style, styles
from .svg import INK, as_svg, drawing, mark, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(trials: Sequence[Trial], dataset: str, metric: str, style_of: dict[str, Style]) -> Markup | None:
    """The validation metric by epoch: mean over seeds, and a band of a standard deviation on either side.

    Every seed's chosen epoch is marked, at that seed's own value. A variant with a single epoch, such as a model that
    counts, is a level line. None if no run has epochs.
    """
    drawn = {name: curve(members, metric) for name, members in by_variant(trials, dataset).items()}
    found = {name: line for name, line in drawn.items() if line}
    if not found:
        return None
    figure, axes = new_figure()
    last = max(line.epochs[-1] for line in found.values()) or 1
    for name, line in found.items():
        _curve(axes, line, style_of[name], last, len(style_of))
        _chosen(axes, line, style_of[name])
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {metric_label(metric)}")
    return as_svg(figure, f"{dataset}: validation {metric_label(metric)} by epoch", f"curves-{dataset}")


def _curve(axes: Axes, line: Curve, style: Style, last: int, variants: int) -> None:
    """A line with markers that those of other variants do not sit upon; level up to ``last`` if it has one epoch."""
    level = len(line.epochs) == 1
    epochs, mean = ([0, last], line.mean * 2) if level else (line.epochs, line.mean)
    every = max(1, len(epochs) // 6)
    shifted = (style.place * every // max(1, variants), every)
    size = 8 if style.proposed else 4.5
    (artist,) = axes.plot(
        epochs, mean, **line_of(style), marker=style.marker, markersize=size, markevery=shifted
    )
    mark(artist, style.place)
    _band(axes, epochs, mean, line.deviation * 2 if level else line.deviation, style)


def _chosen(axes: Axes, line: Curve, style: Style) -> None:
    """The epochs that were tested, as the variant's marker, large and with an outline."""
    if line.chosen:
        epochs, values = zip(*line.chosen)
        size = 14 if style.proposed else 8.5
        (artist,) = axes.plot(
            epochs, values, linestyle="none", marker=style.marker, markersize=size, color=style.colour,
            markeredgecolor=INK, markeredgewidth=1.1, zorder=6, clip_on=False,
        )  # fmt: skip
        mark(artist, style.place, "chosen")


def sweep(
    trials: Sequence[Trial],
    dataset: str,
    metric: str,
    param: str,
    values: Sequence[Any],
    style_of: dict[str, Style],
) -> Markup | None:
    """The test metric against a setting, a line for each model; variants without the setting are level lines.

    Values that are not all numbers stand at even distances, in the order of ``values``.
    """
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    lines: dict[str, list[tuple[float, float, float]]] = {}
    levels: list[tuple[str, float]] = []
    for entry in column(trials, dataset, metric).entries:
        variant = entry.variant
        if entry.mean is None:
            continue
        if param not in variant.settings:
            levels.append((variant.name, entry.mean))
        elif variant.settings[param] in values:
            at = variant.settings[param]
            x = float(at) if numeric else float(list(values).index(at))
            lines.setdefault(variant.model, []).append((x, entry.mean, entry.deviation or 0.0))
    if not lines:
        return None
    figure, axes = new_figure()
    _swept(axes, lines)
    for name, mean in levels:
        axes.axhline(mean, **line_of(style_of[name]))
        _write(axes, name, (0.01, mean), (0, 2), ("axes fraction", "data"))
    if not numeric or len(values) <= 12:
        axes.set_xticks([float(v) for v in values] if numeric else range(len(values)))
        axes.set_xticklabels([str(v) for v in values], parse_math=False)
    axes.set_xlabel(param, parse_math=False)
    axes.set_ylabel(f"test {metric_label(metric)}")
    return as_svg(figure, f"{dataset}: test {metric_label(metric)} by {param}", f"sweep-{dataset}")


def _swept(axes: Axes, lines: dict[str, list[tuple[float, float, float]]]) -> None:
    style_of = styles([Variant(model, model, {}) for model in lines], PROPOSED)
    for model, points in lines.items():
        places, mean, deviation = (list(numbers) for numbers in zip(*sorted(points)))
        style = style_of[model]
        axes.plot(places, mean, **line_of(style), marker=style.marker, markersize=9 if style.proposed else 5)
        _band(axes, places, mean, deviation, style)
        if len(lines) > 1:
            _write(axes, model, (places[-1], mean[-1]), (5, 0), "data")


def _write(axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], of: Any) -> None:
    axes.annotate(text, place, offset, of, textcoords="offset points", parse_math=False)


def swatch(style: Style) -> Markup:
    """A variant's line and marker, for a legend."""
    with drawing():
        figure = Figure(figsize=(0.42, 0.17))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.plot([0, 0.5, 1], [0, 0, 0], **line_of(style))
        axes.plot([0.5], [0], color=style.colour, marker=style.marker, markersize=8 if style.proposed else 5)
        axes.set(xlim=(-0.02, 1.02), ylim=(-1, 1))
    return as_svg(figure, "", f"swatch-{style.place}")


def line_of(style: Style) -> dict[str, Any]:
    """What matplotlib is told of a variant's line."""
    dashes = {"dashes": style.dash} if style.dash else {}
    width, level = (2.6, 4) if style.proposed else (1.5, 3)
    return {"color": style.colour, "linewidth": width, "zorder": level, **dashes}


def _band(
    axes: Axes, x: Sequence[float], mean: Sequence[float], deviation: Sequence[float], style: Style
) -> None:
    if any(deviation):
        low, high = ([m + sign * d for m, d in zip(mean, deviation)] for sign in (-1, 1))
        band = axes.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        mark(band, style.place, "band")

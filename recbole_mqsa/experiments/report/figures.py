"""The report's pictures, as svg to be put into a page.

Colours are CSS variables with a fallback, and text and axes have the colour of the text around, so that a page
can follow the reader's choice of light or dark. Each row has the same colour, dash and marker in every picture;
no two share all three, nor does any picture need its colours to be told apart.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..cells import Cell, Row
from .costs import costs
from .curves import curve
from .formatting import duration, metric_label
from .statistics import PROPOSED, by_row, column

PALETTE = ("#d1480f", "#0b64a8", "#c27c00", "#00856a", "#b04f8c", "#3a9bd6", "#767676")
"""After Okabe and Ito, darkened for white; the first is the proposed row's. ``--series-0`` and on in CSS."""

_DASHES: tuple[Any, ...] = ((None, None), (5, 2), (1.5, 1.5))
_MARKERS = "osD^vPXp<>h"
_INK = "#010203"  # becomes currentColor
_WIDTH, _HEIGHT = 5.4, 3.5  # inches of 72 units; narrow, so that letters stay legible on a telephone


@dataclass(frozen=True)
class Look:
    """How a row is drawn; ``place`` is its number, by which a page finds it in every picture."""

    place: int
    colour: str
    dash: Any
    marker: str
    proposed: bool


def looks(rows: Sequence[Row], proposed: str = PROPOSED) -> dict[str, Look]:
    """One look a row, in the plan's order; the ``proposed`` one's stands out."""
    found, others = {}, 0
    for place, row in enumerate(rows):
        if row.name == proposed:
            found[row.name] = Look(place, PALETTE[0], _DASHES[0], "*", True)
            continue
        turn, hue = divmod(others, len(PALETTE) - 1)
        dash, marker = _DASHES[turn % len(_DASHES)], _MARKERS[others % len(_MARKERS)]
        found[row.name] = Look(place, PALETTE[1 + hue], dash, marker, False)
        others += 1
    return found


def curves(cells: Sequence[Cell], dataset: str, metric: str, styles: dict[str, Look]) -> str | None:
    """The validation metric by epoch: mean over seeds, and a band of a standard deviation on either side.

    A row with a single epoch, such as a model that counts, is a level line. None if no run has epochs.
    """
    drawn = {name: curve(row, metric) for name, row in by_row(cells, dataset).items()}
    found = {name: line for name, line in drawn.items() if line}
    if not found:
        return None
    figure, axes = _figure()
    last = max(line.epochs[-1] for line in found.values()) or 1
    for name, line in found.items():
        look = styles[name]
        level = len(line.epochs) == 1
        epochs, mean = ([0, last], line.mean * 2) if level else (line.epochs, line.mean)
        every = max(1, len(epochs) // 6)
        (artist,) = axes.plot(
            epochs,
            mean,
            **_line(look),
            marker=look.marker,
            markersize=8 if look.proposed else 4.5,
            markevery=(look.place * every // max(1, len(styles)), every),
        )
        artist.set_gid(f"row-{look.place}")
        _band(axes, epochs, mean, line.deviation * 2 if level else line.deviation, look)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {metric_label(metric)}")
    return _svg(figure, f"{dataset}: validation {metric_label(metric)} by epoch", f"curves-{dataset}")


def scatter(cells: Sequence[Cell], dataset: str, metric: str, styles: dict[str, Look]) -> str | None:
    """The test metric against the time of training with validation; a marker's area is the peak memory."""
    entries = {entry.row.name: entry for entry in column(cells, dataset, metric).entries}
    points = []
    for cost in costs(cells, dataset):
        entry = entries[cost.row.name]
        if entry.mean is not None and cost.total_seconds is not None:
            points.append(
                (styles[entry.row.name], entry, max(cost.total_seconds, 0.01), cost.process_bytes or 0.0)
            )
    if not points:
        return None
    figure, axes = _figure()
    axes.set_xscale("log")
    times = [seconds for _, _, seconds, _ in points]
    room = max((max(times) / min(times)) ** 0.16, 1.6)
    axes.set_xlim(min(times) / room, max(times) * room)
    largest = max(size for *_, size in points) or 1.0
    circles = []
    for look, entry, seconds, size in points:
        area = max(420 * size / largest, 12)
        artist = axes.scatter(
            [seconds],
            [entry.mean],
            s=area,
            color=look.colour,
            alpha=0.55,
            linewidths=1.2,
            edgecolors=look.colour,
        )
        artist.set_gid(f"row-{look.place}")
        if entry.deviation:
            bar = axes.errorbar(
                seconds, entry.mean, entry.deviation, color=look.colour, linewidth=1, capsize=3
            )
            for part in (*bar.lines[1], *bar.lines[2]):
                part.set_gid(f"row-{look.place}-bar")
        circles.append((look, entry.row.name, seconds, entry.mean or 0.0, (area**0.5) / 2))
    axes.margins(y=0.14)
    _time_ticks(axes)
    axes.set_xlabel("training with validation, logarithmic")
    axes.set_ylabel(f"test {metric_label(metric)}")
    _label(figure, axes, circles)
    text = f"{dataset}: test {metric_label(metric)} against time, marker area the peak memory"
    return _svg(figure, text, f"scatter-{dataset}")


def sweep(
    cells: Sequence[Cell],
    dataset: str,
    metric: str,
    param: str,
    values: Sequence[Any],
    styles: dict[str, Look],
) -> str | None:
    """The test metric against a setting, a line a model; rows without the setting are level lines.

    Values that are not all numbers are set apart evenly, in the order of ``values``.
    """
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    lines: dict[str, list[tuple[float, float, float]]] = {}
    levels = []
    for entry in column(cells, dataset, metric).entries:
        if entry.mean is None:
            continue
        if param not in entry.row.settings:
            levels.append(entry)
        elif entry.row.settings[param] in values:
            at = entry.row.settings[param]
            x = float(at) if numeric else float(list(values).index(at))
            lines.setdefault(entry.row.model, []).append((x, entry.mean, entry.deviation or 0.0))
    if not lines:
        return None
    figure, axes = _figure()
    several = looks([Row(model, model, {}) for model in lines])
    for model, points in lines.items():
        places, mean, deviation = (list(numbers) for numbers in zip(*sorted(points)))
        look = several[model]
        axes.plot(places, mean, **_line(look), marker=look.marker, markersize=9 if look.proposed else 5)
        _band(axes, places, mean, deviation, look)
        if len(lines) > 1:
            axes.annotate(model, (places[-1], mean[-1]), (5, 0), textcoords="offset points", parse_math=False)
    for entry in levels:
        axes.axhline(entry.mean, **_line(styles[entry.row.name]))
        place = (0.01, entry.mean)
        axes.annotate(
            entry.row.name,
            place,
            (0, 2),
            ("axes fraction", "data"),
            textcoords="offset points",
            parse_math=False,
        )
    if not numeric or len(values) <= 12:
        axes.set_xticks([float(v) for v in values] if numeric else range(len(values)))
        axes.set_xticklabels([str(v) for v in values], parse_math=False)
    axes.set_xlabel(param, parse_math=False)
    axes.set_ylabel(f"test {metric_label(metric)}")
    return _svg(figure, f"{dataset}: test {metric_label(metric)} by {param}", f"sweep-{dataset}")


def swatch(look: Look) -> str:
    """A row's line and marker, for a legend."""
    with _style():
        figure = Figure(figsize=(0.42, 0.17))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.plot([0, 0.5, 1], [0, 0, 0], **_line(look))
        axes.plot([0.5], [0], color=look.colour, marker=look.marker, markersize=8 if look.proposed else 5)
        axes.set(xlim=(-0.02, 1.02), ylim=(-1, 1))
    return _svg(figure, "", f"swatch-{look.place}")


def _style() -> Any:
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its first use announces its fonts
    inked = ("text.color", "xtick.color", "ytick.color", "grid.color", "axes.edgecolor", "axes.labelcolor")
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "recbole_mqsa",  # the same numbers give the same file
        "font.size": 10.5,
        "axes.linewidth": 0.8,
        **dict.fromkeys(inked, _INK),
    }
    return matplotlib.rc_context(settings)


def _figure() -> tuple[Figure, Any]:
    with _style():
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.subplots()
    axes.patch.set_visible(False)
    axes.grid(alpha=0.16, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _line(look: Look) -> dict[str, Any]:
    style = {"dashes": look.dash} if look.dash[0] else {}
    return {
        "color": look.colour,
        "linewidth": 2.6 if look.proposed else 1.5,
        "zorder": 3 + look.proposed,
        **style,
    }


def _band(
    axes: Any, x: Sequence[float], mean: Sequence[float], deviation: Sequence[float], look: Look
) -> None:
    if any(deviation):
        low, high = ([m + sign * d for m, d in zip(mean, deviation)] for sign in (-1, 1))
        band = axes.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0)
        band.set_gid(f"row-{look.place}-band")


_TIMES = {
    **{f"{n} s": n for n in (0.1, 1, 10)},
    **{f"{n} min": 60 * n for n in (1, 10)},
    **{f"{n} h": 3600 * n for n in (1, 10, 100)},
}
_MORE_TIMES = {"3 s": 3, "30 s": 30, "3 min": 180, "30 min": 1800, "3 h": 10800, "30 h": 108000}


def _time_ticks(axes: Any) -> None:
    """Round times on a logarithmic axis of seconds."""
    low, high = axes.get_xlim()
    shown = {text: at for text, at in _TIMES.items() if low <= at <= high}
    if len(shown) < 3:
        shown.update((text, at) for text, at in _MORE_TIMES.items() if low <= at <= high)
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    if len(shown) > 1:
        axes.set_xticks(list(shown.values()), list(shown))
    else:  # all take about as long
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))


def _label(figure: Figure, axes: Any, circles: Sequence[tuple[Look, str, float, float, float]]) -> None:
    """Names beside their points, each on the side where it covers the least of others."""
    FigureCanvasSVG(figure)
    with _style():
        figure.draw_without_rendering()  # places the axes
        scale = figure.dpi / 72
        taken = []
        for _, _, x, y, radius in circles:
            px, py = axes.transData.transform((x, y))
            taken.append((px - radius * scale, py - radius * scale, px + radius * scale, py + radius * scale))
        frame = figure.bbox
        for look, name, x, y, radius in sorted(circles, key=lambda circle: -circle[3]):
            px, py = axes.transData.transform((x, y))
            wide, high = (
                (6.9 if look.proposed else 6.1) * len(name) * scale,
                11 * scale,
            )  # about, in the widest font
            gap = (radius + 3) * scale
            choices: list[tuple[float, int, tuple[float, float, float, float]]] = []
            for dx, dy in (
                (1, 0),
                (-1, 0),
                (0, 1),
                (0, -1),
                (0.7, 0.7),
                (0.7, -0.7),
                (-0.7, 0.7),
                (-0.7, -0.7),
            ):
                left = px + dx * gap - (0 if dx > 0 else wide if dx < 0 else wide / 2)
                low = py + dy * (gap + (high / 2 if dx == 0 else 0)) - high / 2
                box = (left, low, left + wide, low + high)
                cost = sum(_overlap(box, other) for other in taken)
                outside = wide * high - _overlap(box, (frame.x0, frame.y0, frame.x1, frame.y1))
                choices.append((cost + 4 * outside, len(choices), box))
            box = min(choices)[2]
            taken.append(box)
            place = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            offset = ((place[0] - px) / scale, (place[1] - py) / scale)
            text = axes.annotate(
                name,
                (x, y),
                offset,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=9.5,
                fontweight="bold" if look.proposed else "normal",
                parse_math=False,
            )
            text.set_in_layout(False)  # else the axes would move from where the places were found
            text.set_gid(f"row-{look.place}-name")


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _svg(figure: Figure, title: str, name: str) -> str:
    """The figure without what belongs to a file of its own: prologue, size, metadata, ids that others share."""
    out = io.StringIO()
    with _style():
        FigureCanvasSVG(figure)
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", out.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text))
    text = re.sub(r'<g id="row-(\d+)[^"]*"', r'<g data-row="\1"', text)
    prefix = re.sub(r"[^A-Za-z0-9-]", "_", name)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text).replace(_INK, "currentColor")
    for place, colour in enumerate(PALETTE):
        text = text.replace(colour, f"var(--series-{place}, {colour})")
    about = f'role="img" aria-label="{_attribute(title)}"' if title else 'aria-hidden="true"'
    return text.replace("<svg", f"<svg {about}", 1).strip()


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")

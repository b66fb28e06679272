"""The picture of quality against time, in which a marker's area is the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..trials import Trial
from .costs import costs
from .formatting import duration, metric_label
from .labels import Box, Point, detached, placed
from .statistics import column
from .styles import Style
from .svg import INK, as_svg, drawing, mark, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST, SMALLEST = 420.0, 14.0
"""Areas of markers, in points squared; the largest is that of the most memory."""

FONT = 9.5


@dataclass(frozen=True)
class Dot:
    """A variant in the picture; ``radius`` in points."""

    name: str
    style: Style
    seconds: float
    mean: float
    deviation: float | None
    area: float

    @property
    def radius(self) -> float:
        return float(self.area**0.5) / 2


def scatter(trials: Sequence[Trial], dataset: str, metric: str, style_of: dict[str, Style]) -> Markup | None:
    """The test metric against the time of training with validation; None where no run has both."""
    dots = dots_of(trials, dataset, metric, style_of)
    if not dots:
        return None
    figure, axes = new_figure()
    axes.set_xscale("log")
    times = [dot.seconds for dot in dots]
    room = max((max(times) / min(times)) ** 0.16, 1.6)
    axes.set_xlim(min(times) / room, max(times) * room)
    for dot in dots:
        _draw(axes, dot)
    axes.margins(y=0.14)
    _time_ticks(axes)
    axes.set_xlabel("training with validation, logarithmic")
    axes.set_ylabel(f"test {metric_label(metric)}")
    _name(figure, axes, dots)
    text = f"{dataset}: test {metric_label(metric)} against time, marker area the peak memory"
    return as_svg(figure, text, f"scatter-{dataset}")


def dots_of(trials: Sequence[Trial], dataset: str, metric: str, style_of: dict[str, Style]) -> list[Dot]:
    """The variants with a mean and a time, in the plan's order."""
    entries = {entry.variant.name: entry for entry in column(trials, dataset, metric).entries}
    found = [cost for cost in costs(trials, dataset) if cost.total_seconds is not None]
    largest = max((cost.process_bytes or 0.0 for cost in found), default=0.0) or 1.0
    dots = []
    for cost in found:
        entry = entries[cost.variant.name]
        if entry.mean is not None:
            area = max(LARGEST * (cost.process_bytes or 0.0) / largest, SMALLEST)
            seconds = max(cost.total_seconds or 0.0, 0.01)  # a logarithm has no 0
            name = cost.variant.name
            dots.append(Dot(name, style_of[name], seconds, entry.mean, entry.deviation, area))
    return dots


def _draw(axes: Axes, dot: Dot) -> None:
    colour, place = dot.style.colour, dot.style.place
    artist = axes.scatter(
        [dot.seconds], [dot.mean], s=dot.area, color=colour, alpha=0.55, linewidths=1.2, edgecolors=colour
    )
    mark(artist, place, "dot")
    if dot.deviation:
        bar = axes.errorbar(dot.seconds, dot.mean, dot.deviation, color=colour, linewidth=1, capsize=3)
        for part in (*bar.lines[1], *bar.lines[2]):
            mark(part, place, "bar")


_UNITS = {"s": 1, "min": 60, "h": 3600}
_MANY = (*range(1, 10), *range(10, 60, 5))
_TICKS: tuple[dict[str, tuple[float, ...]], ...] = (
    {"s": (0.1, 1, 10), "min": (1, 10), "h": (1, 10, 100)},
    {"s": (0.1, 0.3, 1, 3, 10, 30), "min": (1, 3, 10, 30), "h": (1, 3, 10, 30, 100)},
    {"s": _MANY, "min": _MANY, "h": _MANY},
)
"""Round times: a few, some more, and many."""


def _time_ticks(axes: Axes) -> None:
    """Round times on a logarithmic axis of seconds: the fewest of which three can be seen."""
    low, high = axes.get_xlim()
    axes.xaxis.set_minor_locator(NullLocator())
    for numbers in _TICKS:
        times = {f"{n} {unit}": n * _UNITS[unit] for unit, of in numbers.items() for n in of}
        shown = {text: seconds for text, seconds in times.items() if low <= seconds <= high}
        if len(shown) >= 3:
            every = -(-len(shown) // 5)
            axes.set_xticks(list(shown.values())[::every], list(shown)[::every])
            return
    axes.xaxis.set_major_locator(MaxNLocator(4))  # all take about as long
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))


def _name(figure: Figure, axes: Axes, dots: Sequence[Dot]) -> None:
    """Writes each name beside its dot where it covers no other name, with a line where it is far."""
    FigureCanvasSVG(figure)
    with drawing():
        figure.draw_without_rendering()  # places the axes
        scale = figure.dpi / 72
        inner, outer = axes.bbox, figure.bbox  # a name may leave the axes, but not cover their numbers
        frame = Box(inner.x0 / scale, inner.y0 / scale, outer.x1 / scale, outer.y1 / scale)
        points = []
        for dot in dots:
            x, y = axes.transData.transform((dot.seconds, dot.mean)) / scale
            points.append(Point(float(x), float(y), dot.radius, *extent(dot.name, dot.style.proposed)))
        for dot, point, box in zip(dots, points, placed(points, frame)):
            _write(axes, dot, (box.centre[0] - point.x, box.centre[1] - point.y), detached(point, box))


def _write(axes: Axes, dot: Dot, offset: tuple[float, float], far: bool) -> None:
    line = {"arrowstyle": "-", "color": INK, "alpha": 0.45, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    text = axes.annotate(
        dot.name, (dot.seconds, dot.mean), offset, textcoords="offset points", ha="center", va="center",
        fontsize=FONT, fontweight="bold" if dot.style.proposed else "normal", parse_math=False,
        arrowprops=line if far else None,
    )  # fmt: skip
    text.set_in_layout(False)  # else the axes would move from where the places were found
    mark(text, dot.style.place, "name")
    if text.arrow_patch is not None:
        mark(text.arrow_patch, dot.style.place, "lead")


def extent(name: str, bold: bool) -> tuple[float, float]:
    """Width and height of a name in points, in matplotlib's font, as wide as any that a page is read in."""
    font = FontProperties(family="DejaVu Sans", size=FONT, weight="bold" if bold else "normal")
    wide, high, _ = TextToPath().get_text_width_height_descent(name, font, ismath=False)
    return float(wide), max(float(high), FONT) * 1.2

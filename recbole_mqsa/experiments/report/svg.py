"""Figures as svg to be put into a page.

Colours become CSS variables with a fallback, and text and axes take the colour of the text around them, so that a
page can follow the reader's choice of light or dark.
"""

from __future__ import annotations

import io
import logging
import re
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .styles import PALETTE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes

INK = "#010203"
"""Becomes currentColor."""

_WIDTH, _HEIGHT = 5.4, 3.5  # inches of 72 units; narrow, so that letters stay legible on a telephone


def drawing() -> AbstractContextManager[None]:
    """The settings of matplotlib that every picture is drawn with."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its first use announces its fonts
    inked = ("text.color", "xtick.color", "ytick.color", "grid.color", "axes.edgecolor", "axes.labelcolor")
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "recbole_mqsa",  # the same numbers give the same file
        "font.size": 10.5,
        "axes.linewidth": 0.8,
        **dict.fromkeys(inked, INK),
    }
    return matplotlib.rc_context(settings)


def new_figure(height: float = _HEIGHT) -> tuple[Figure, Axes]:
    """A figure with axes whose ground is the page's; the height in inches."""
    with drawing():
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
    axes.patch.set_visible(False)
    axes.grid(alpha=0.16, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def mark(artist: Any, place: int, part: str = "line") -> None:
    """Names an artist by its variant's place, and by what it is of it: the page finds both."""
    artist.set_gid(f"variant-{place}-{part}")


def as_svg(figure: Figure, title: str, name: str) -> Markup:
    """The figure without what belongs to a file of its own: prologue, size, metadata, ids that others share.

    Args:
        title: what it shows, for those who do not see it; empty for a mere ornament.
        name: unique in the page.
    """
    out = io.StringIO()
    with drawing():
        FigureCanvasSVG(figure)
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", out.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text))
    text = re.sub(r'<g id="variant-(\d+)-(\w+)"', r'<g data-variant="\1" class="\2"', text)
    prefix = re.sub(r"[^A-Za-z0-9-]", "_", name)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text).replace(INK, "currentColor")
    for place, colour in enumerate(PALETTE):
        text = text.replace(colour, f"var(--series-{place}, {colour})")
    about = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    return Markup(text.replace("<svg", f"<svg {about}", 1).strip())

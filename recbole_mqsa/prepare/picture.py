"""The picture of a prepared data set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from .summary import Summary


def draw(file: Path, summary: Summary) -> None:
    """Draw actions over time, the lengths of sequences, and how the actions fall on the items."""
    curves = summary.curves
    if curves is None:
        return
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its first use announces its fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    time, lengths, items = figure.subplots(1, 3)
    edges: Any = curves.edges
    if summary.dated:
        edges = np.datetime64("1970-01-01", "ms") + (curves.edges * 1000).astype("timedelta64[ms]")
    time.stairs(curves.over_time, edges, fill=True)
    time.set(xlabel="time" if summary.dated else "time as in the table", ylabel="actions")
    if summary.dated:
        time.tick_params(axis="x", rotation=30)
    most = int(curves.lengths.max())
    few = most <= 100
    bins = np.arange(most + 1) + 0.5 if few else np.geomspace(0.5, most + 1, 30)
    lengths.hist(curves.lengths, bins=bins, color="tab:green")
    median = summary.lengths["median"]
    lengths.axvline(median, color="grey", linestyle=":", label=f"median, {median:,.0f}")
    lengths.set(xscale="linear" if few else "log", xlabel="actions of a user", ylabel="users")
    lengths.legend(frameon=False)
    share = np.cumsum(curves.popularity) / curves.popularity.sum()
    items.plot(100 * np.arange(1, len(share) + 1) / len(share), 100 * share, color="tab:orange")
    items.set(xlabel="most popular items, %", ylabel="their actions, %", ylim=(0, 102))
    figure.suptitle(
        f"{Path(summary.file).stem}: {summary.users:,} users, {summary.items:,} items, {summary.actions:,} actions"
    )
    for axes in (time, lengths, items):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)

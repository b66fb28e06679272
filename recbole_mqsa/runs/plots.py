"""The plot of a run's epochs."""

from __future__ import annotations

import logging
from pathlib import Path

from ..interfaces import Json


def plot_epochs(folder: Path, history: list[Json], metric: str, best_epoch: int | None) -> None:
    """Draw ``epochs.png``: the losses and the validation metric by epoch."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its first use announces its fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, score = figure.subplots(1, 2)
    for name in [key for key in history[0] if key.startswith("loss_")] if history else []:
        label = name[len("loss_") :]
        losses.plot([row["epoch"] for row in history], [row[name] for row in history], label=label)
    losses.set(xlabel="epoch", ylabel="training loss")
    if losses.lines:
        losses.legend(frameon=False)
    scored = [row for row in history if metric in row]
    score.plot([row["epoch"] for row in scored], [row[metric] for row in scored], color="tab:green")
    if best_epoch is not None:
        score.axvline(best_epoch, color="grey", linestyle=":", label=f"best epoch, {best_epoch}")
        score.legend(frameon=False)
    score.set(xlabel="epoch", ylabel=f"validation {metric.upper()}")
    for axes in (losses, score):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "epochs.png", dpi=120)

"""What each row costs: weights, work, time, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ..cells import Cell, Row
from .curves import seconds_to_best
from .statistics import by_row, spread


@dataclass(frozen=True)
class Cost:
    """Means over one row's finished seeds on one data set; None where no run says.

    Attributes:
        parameters: trained numbers.
        flops: floating-point operations in matrix products to score one user.
        epoch_seconds: training of an epoch, without validation.
        best_seconds: training and validation up to the epoch that was tested.
        total_seconds: training and validation until it stopped.
        epochs: how many were trained.
        best_epoch: the one that was tested, from 0.
        process_bytes, gpu_bytes: peak memory.
    """

    row: Row
    parameters: float | None
    flops: float | None
    epoch_seconds: float | None
    best_seconds: float | None
    total_seconds: float | None
    epochs: float | None
    best_epoch: float | None
    process_bytes: float | None
    gpu_bytes: float | None


def _per_epoch(result: dict[str, Any]) -> float | None:
    return result["seconds"]["training"] / result["epochs_run"] if result["epochs_run"] else None


MEASURES: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "parameters": lambda result: result.get("parameters"),
    "flops": lambda result: result.get("flops"),
    "epoch_seconds": _per_epoch,
    "total_seconds": lambda result: result["seconds"]["training"] + result["seconds"]["validation"],
    "epochs": lambda result: result["epochs_run"],
    "best_epoch": lambda result: result["best_epoch"],
    "process_bytes": lambda result: result["peak_memory_bytes"].get("process"),
    "gpu_bytes": lambda result: result["peak_memory_bytes"].get("gpu"),
}
"""Each cost of one run, from its result; besides these there is ``best_seconds``, from its epochs."""


def of_cell(cell: Cell) -> dict[str, float | None]:
    """Every cost of a finished cell."""
    return {**{name: of(cell.result) for name, of in MEASURES.items()}, "best_seconds": seconds_to_best(cell)}


def costs(cells: Sequence[Cell], dataset: str) -> list[Cost]:
    """The cost of every row on a data set, in the plan's order; a row without a finished cell has none."""
    found = []
    for members in by_row(cells, dataset).values():
        runs = [of_cell(cell) for cell in members if cell.finished]
        means = {
            name: spread([number for run in runs if (number := run[name]) is not None])[0]
            for name in (*MEASURES, "best_seconds")
        }
        found.append(Cost(row=members[0].row, **means))
    return found

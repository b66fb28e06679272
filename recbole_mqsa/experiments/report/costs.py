"""What each variant costs: weights, work, time, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from ...interfaces import Json
from ..trials import Trial, Variant
from .curves import seconds_to_best
from .results import by_variant
from .statistics import spread


@dataclass(frozen=True)
class Cost:
    """Means over one variant's finished seeds on one data set; None where no run says.

    Attributes:
        parameters: trained numbers.
        flops: floating-point operations in matrix products to score one user.
        epoch_seconds: training of an epoch, without validation.
        best_seconds: training and validation up to the epoch that was tested.
        total_seconds: training and validation until it stopped, and the fit of a memory.
        epochs: how many were trained.
        best_epoch: the one that was tested, from 0.
        process_bytes, gpu_bytes: peak memory.
    """

    variant: Variant
    parameters: float | None
    flops: float | None
    epoch_seconds: float | None
    best_seconds: float | None
    total_seconds: float | None
    epochs: float | None
    best_epoch: float | None
    process_bytes: float | None
    gpu_bytes: float | None


def _total(result: Json) -> float:
    """``seconds`` of older results lack the fit, so it is read where all have it."""
    fit = (result.get("memory") or {}).get("seconds", 0.0)
    return float(result["seconds"]["training"] + result["seconds"]["validation"] + fit)


def _per_epoch(result: Json) -> float | None:
    return result["seconds"]["training"] / result["epochs_run"] if result["epochs_run"] else None


MEASURES: dict[str, Callable[[Json], float | None]] = {
    "parameters": lambda result: result.get("parameters"),
    "flops": lambda result: result.get("flops"),
    "epoch_seconds": _per_epoch,
    "total_seconds": _total,
    "epochs": lambda result: result["epochs_run"],
    "best_epoch": lambda result: result["best_epoch"],
    "process_bytes": lambda result: result["peak_memory_bytes"].get("process"),
    "gpu_bytes": lambda result: result["peak_memory_bytes"].get("gpu"),
}
"""Each cost of one run, from its result; besides these there is ``best_seconds``, from its epochs."""


def of_trial(trial: Trial) -> dict[str, float | None]:
    """Every cost of a finished run."""
    return {
        **{name: of(trial.result) for name, of in MEASURES.items()},
        "best_seconds": seconds_to_best(trial),
    }


def costs(trials: Sequence[Trial], dataset: str) -> list[Cost]:
    """The cost of every variant on a data set, in the plan's order; all None for one without a finished run."""
    found = []
    for members in by_variant(trials, dataset).values():
        finished = [of_trial(trial) for trial in members if trial.tested]
        means = {
            name: spread([number for costs in finished if (number := costs[name]) is not None])[0]
            for name in (*MEASURES, "best_seconds")
        }
        found.append(Cost(variant=members[0].variant, **means))
    return found

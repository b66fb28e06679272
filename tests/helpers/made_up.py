"""Benchmark folders with made-up numbers, for the tests of the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENT = {
    "command": ["run_recbole_mqsa.py"],
    "commit": "0123456789ab",
    "versions": {"recbole_mqsa": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
    "hardware": {"machine": "x86_64", "processor": "A Processor", "threads": 1, "gpu": None},
}


def write_plan(
    folder: Path, rows: Sequence[Any], datasets: Sequence[str], seeds: Sequence[int], study: Any = None
) -> None:
    """``benchmark.json``; a row is a name, or a name with a model and settings."""
    full = [(row, row, {}) if isinstance(row, str) else row for row in rows]
    plan = {
        "command": ["recbole-mqsa", "benchmark"],
        "rows": [{"name": name, "model": model, "settings": settings} for name, model, settings in full],
        "datasets": list(datasets),
        "seeds": list(seeds),
        "study": study,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps(plan))


def write_cell(
    folder: Path,
    dataset: str,
    row: str,
    seed: int,
    test: Mapping[str, float],
    ranks: Mapping[int, int] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    **changes: Any,
) -> Path:
    """A finished run; ``ranks`` is user to rank, ``changes`` replace entries of ``result.json``."""
    cell = folder / "cells" / dataset / row / f"seed-{seed}"
    cell.mkdir(parents=True)
    if ranks is not None:
        np.savez(cell / "ranks.npz", users=np.array(list(ranks)), ranks=np.array(list(ranks.values())))
    if history:
        with open(cell / "epochs.csv", "w", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for line in history for key in line)))
            table.writeheader()
            table.writerows(history)
    result = {
        "model": row,
        "dataset": dataset,
        "seed": seed,
        "best_epoch": len(history) - 1 if history else 0,
        "epochs_run": max(1, len(history)),
        "valid": dict(test),
        "test": dict(test),
        "users": {"valid": 1000, "test": 1000},
        "seconds": {"training": 90.0, "validation": 30.0, "test": 1.5},
        "peak_memory_bytes": {"process": 600_000_000},
        "parameters": 12_345,
        "flops": 2_500_000,
        **ENVIRONMENT,
        "settings": {"valid_metric": "NDCG@20", "seed": seed, "dataset": dataset, "model": row},
        **changes,
    }
    (cell / "result.json").write_text(json.dumps(result))
    return cell


def fail(folder: Path, dataset: str, row: str, seed: int, text: str) -> None:
    """A run that failed."""
    cell = folder / "cells" / dataset / row / f"seed-{seed}"
    cell.mkdir(parents=True)
    (cell / "failed.txt").write_text(text)

"""Small runs, runs that are broken off, and what of a run's folder another run can repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.run import Run, run


class Killed(Exception):
    """In the place of what ends a process."""


def kill_after(last: int) -> Callable[[int, float], None]:
    """A callback that ends the run once this epoch is evaluated."""

    def callback(epoch: int, score: float) -> None:
        if epoch == last:
            raise Killed

    return callback


def without_seconds(folder: Path) -> list[list[str]]:
    """The header and rows of ``epochs.csv`` but for the times."""
    rows = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
    kept = [index for index, name in enumerate(rows[0]) if not name.endswith("seconds")]
    return [[row[index] for index in kept] for row in rows]


# Small runs on the chain.

SMALL = {"epochs": 3, "train_batch_size": 64, "topk": [5, 20], "show_progress": False, "state": "ERROR"}
WIDTH = {"MQSATED": {"hidden_size": 16, "inner_size": 16}}


def settings(home: Path, model: str, **more: object) -> dict[str, object]:
    """Of a run that takes half a second."""
    return {**SMALL, **WIDTH.get(model, {}), "data_path": str(home), **more}


def trained(home: Path, output_dir: str, model: str = "MQSATED", **more: object) -> Run:
    """Such a run, in a folder below ``home``."""
    return run(Config(model, "chain", config_dict=settings(home, model, **more)), home / output_dir)

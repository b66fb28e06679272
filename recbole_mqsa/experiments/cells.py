"""What a benchmark consists of: a cell is one row's run on one data set with one seed, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import UserError

BENCHMARK, RESULT, FAILED = "benchmark.json", "result.json", "failed.txt"


@dataclass(frozen=True)
class Row:
    """One line of the tables: a model with the settings that make it this row."""

    name: str
    model: str
    settings: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Cell:
    """One run of a benchmark, whether it is finished, failed or still to come."""

    dataset: str
    row: Row
    seed: int
    folder: Path

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT).is_file()

    @cached_property
    def result(self) -> dict[str, Any]:
        """What ``result.json`` holds; read once.

        Raises:
            UserError: it cannot be read.
        """
        return _read(self.folder / RESULT, "remove the folder and run the benchmark again")

    @property
    def failure(self) -> str | None:
        """Why the run failed: the first line of ``failed.txt``, unless a later attempt finished."""
        if self.finished:
            return None
        try:
            text = (self.folder / FAILED).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return text.strip().partition("\n")[0].strip() or "no reason given"


def read_benchmark(folder: Path) -> tuple[dict[str, Any], list[Cell]]:
    """The plan of a benchmark and all its cells: by data set, then by row, then by seed, in the plan's order.

    Raises:
        UserError: ``benchmark.json`` is missing, damaged, or names a row that cannot be a folder.
    """
    path = Path(folder) / BENCHMARK
    plan = _read(path, "name a folder that the benchmark has written")
    try:
        rows = [Row(str(row["name"]), str(row["model"]), dict(row["settings"])) for row in plan["rows"]]
        datasets = [str(name) for name in plan["datasets"]]
        seeds = [int(seed) for seed in plan["seeds"]]
    except (KeyError, TypeError, ValueError) as problem:
        raise UserError(
            f"{path} has no rows, datasets and seeds as a benchmark's: run the benchmark anew"
        ) from problem
    return plan, cells_of(Path(folder), rows, datasets, seeds)


def cells_of(folder: Path, rows: Sequence[Row], datasets: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """A cell for each data set, row and seed, in this order.

    Raises:
        UserError: a name that is there twice or cannot be a folder's.
    """
    for kind, names in (("row", [row.name for row in rows]), ("data set", datasets), ("seed", seeds)):
        if not names:
            raise UserError(f"a benchmark needs at least one {kind}; name it")
        for name in map(str, names):
            if Path(name).name != name or name == ".." or list(map(str, names)).count(name) > 1:
                raise UserError(f"{kind} '{name}' is there twice or is no folder's name; name each once")
    return [
        Cell(dataset, row, seed, folder / "cells" / dataset / row.name / f"seed-{seed}")
        for dataset in datasets
        for row in rows
        for seed in seeds
    ]


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{path} cannot be read ({problem.strerror}): {remedy}") from problem
    except ValueError as problem:
        raise UserError(f"{path} is damaged ({problem}): {remedy}") from problem
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (no json object): {remedy}")
    return content

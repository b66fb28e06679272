"""What a benchmark consists of: a trial is a run of one variant on one data set with one seed, in its own folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from ..runs.folder import RESULT, read_result

BENCHMARK, FAILED = "benchmark.json", "failed.txt"
REFIT = "refit"
"""The folder, within a benchmark's, of its runs once more, trained on the validation part as well."""


Tuned = Mapping[str, Mapping[str, Json]]
"""By data set and variant, the settings that a search has found."""


@dataclass(frozen=True)
class Variant:
    """A model with the settings that make it a line of the tables."""

    name: str
    model: str
    settings: Json = field(hash=False)


@dataclass(frozen=True)
class Trial:
    """One run of a benchmark, whether finished, failed or still to come."""

    dataset: str
    variant: Variant
    seed: int
    folder: Path
    tuned: Json = field(default_factory=dict, hash=False)
    """What a search has found for the variant on this data set; empty if there was none."""

    @property
    def settings(self) -> Json:
        """Those that make this trial, apart from those of all trials."""
        return {**self.variant.settings, **self.tuned, "seed": self.seed}

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT).is_file()

    @property
    def tested(self) -> bool:
        """Whether the trial is finished and has a test; a run trained on all actions has none.

        Raises:
            UserError: as :attr:`result`.
        """
        return self.finished and bool(self.result["test"])

    @cached_property
    def result(self) -> Json:
        """The content of ``result.json``, read once.

        Raises:
            UserError: there is none, it is damaged, or it was changed after the run.
        """
        result = read_result(self.folder)
        if result is None:
            raise UserError(f"{self.folder} holds no finished run; run the benchmark again")
        return result

    @property
    def title(self) -> str:
        return f"{self.dataset}  {self.variant.name}  seed {self.seed}"

    @property
    def name(self) -> str:
        return f"{self.variant.name} on {self.dataset}, seed {self.seed}"

    @property
    def outcome(self) -> str:
        """What a finished trial found, in the metric that chose its epoch."""
        metric = str(self.result["settings"]["valid_metric"]).lower()
        score = (self.result["test"] or {}).get(metric)
        return f"test {metric.upper()} {score:.4f}" if score is not None else "not tested"

    @property
    def seconds(self) -> float:
        """How long a finished trial took."""
        return float(sum(self.result["seconds"].values()))

    @property
    def failure(self) -> str | None:
        """Why the trial failed: the first line of ``failed.txt``, unless a later attempt finished."""
        if self.finished:
            return None
        try:
            text = (self.folder / FAILED).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return text.strip().partition("\n")[0].strip() or "no reason given"


def read_benchmark(folder: Path) -> tuple[Json, list[Trial]]:
    """The plan of a benchmark and all its trials: by data set, then variant, then seed, in the plan's order.

    Raises:
        UserError: ``benchmark.json`` is missing, damaged, or has a variant whose name cannot name a folder.
    """
    path = Path(folder) / BENCHMARK
    plan = _read(path)
    try:
        variants = [
            Variant(str(row["name"]), str(row["model"]), dict(row["settings"])) for row in plan["rows"]
        ]
        datasets = [str(name) for name in plan["datasets"]]
        seeds = [int(seed) for seed in plan["seeds"]]
    except (KeyError, TypeError, ValueError) as problem:
        raise UserError(
            f"{path} lacks the rows, datasets and seeds of a benchmark: run the benchmark again"
        ) from problem
    return plan, trials_of(Path(folder), variants, datasets, seeds, plan.get("tuned") or {})


def trials_of(
    folder: Path,
    variants: Sequence[Variant],
    datasets: Sequence[str],
    seeds: Sequence[int],
    tuned: Tuned | None = None,
) -> list[Trial]:
    """A trial for each data set, variant and seed, in this order; with the settings that were found for it, if any.

    Raises:
        UserError: a name occurs twice or cannot name a folder.
    """
    _check_names("variant", [variant.name for variant in variants])
    _check_names("data set", datasets)
    _check_names("seed", [str(seed) for seed in seeds])
    return [
        Trial(
            dataset,
            variant,
            seed,
            folder / "cells" / dataset / variant.name / f"seed-{seed}",
            dict((tuned or {}).get(dataset, {}).get(variant.name, {})),
        )
        for dataset in datasets
        for variant in variants
        for seed in seeds
    ]


def _check_names(kind: str, names: Sequence[str]) -> None:
    if not names:
        raise UserError(f"a benchmark needs at least one {kind}; name one")
    for name in names:
        if list(names).count(name) > 1:
            raise UserError(f"{kind} '{name}' is named twice; name each once")
        if Path(name).name != name or name == "..":
            raise UserError(f"{kind} '{name}' cannot name a folder; choose another name")


def _read(path: Path) -> Json:
    remedy = "name a folder that the benchmark has written"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{path} cannot be read ({problem.strerror}): {remedy}") from problem
    except ValueError as problem:
        raise UserError(f"{path} is damaged ({problem}): {remedy}") from problem
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged (no json object): {remedy}")
    return content

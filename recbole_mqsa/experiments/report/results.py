"""What a report compares: columns of variants, read from finished runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...interfaces import Json
from ..trials import Trial, Variant

PROPOSED, PROPOSED_IN = "MQSATED", {"ablation": "full", "ladder": "+ memory", "tuning": "tuned"}
"""The variant whose improvement is reported, and its name in some kinds of study."""

BASELINES = {"SASRec-whole"}
"""Variants of the proposed model's class that are somebody else's model; its other variants are no baselines."""

SIGNIFICANT = 0.05

ALL = "all"
"""The slice of all test samples, whose metrics are ``test`` in ``result.json``."""


@dataclass(frozen=True)
class Entry:
    """One variant's results in a column.

    Attributes:
        trials: one for each planned seed, whatever became of it.
        values: by seed, of the finished runs that have this metric.
        mean: over ``values``; None where there are none.
        deviation: their sample standard deviation (divisor n - 1); None with fewer than two.
    """

    variant: Variant
    trials: tuple[Trial, ...]
    values: dict[int, float]
    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Comparison:
    """The proposed variant against the baseline with the best mean.

    Attributes:
        gain: the difference of their means over ``seeds``, above 0 where the proposed variant is better, whether the
            metric is one of which more or less is better; None without a seed in common.
        improvement: the gain in percent of the baseline's mean over ``seeds``; None where that mean is 0, too.
        p: of the two-sided paired t-test; None where it is undefined (equal differences, nothing to pair).
        over: what was paired, "seeds" or "users".
        pairs: how many pairs.
        seeds: those that both variants have finished, of which all numbers here are; a user's value is the mean over
            them.
        partial: whether one of the two has finished other seeds as well.
        interval: where seeds were paired, the improvement's 95 % confidence interval by t, in percent.
        corrected: p after Holm's correction for all comparisons over seeds of its family: over all test samples, or
            within slices.
    """

    baseline: str
    gain: float | None
    improvement: float | None
    p: float | None
    over: str
    pairs: int
    seeds: tuple[int, ...]
    partial: bool
    interval: tuple[float, float] | None = None
    corrected: float | None = None

    @property
    def better(self) -> bool:
        """Whether the proposed variant is."""
        return self.gain is not None and self.gain > 0

    @property
    def worse(self) -> bool:
        """Whether the baseline is better."""
        return self.gain is not None and self.gain < 0

    @property
    def significant(self) -> bool:
        """Whether another seed would tell the same; paired users say nothing of that."""
        return self.corrected is not None and self.corrected < SIGNIFICANT


@dataclass(frozen=True)
class Column:
    """One metric on one data set, in one slice of the test samples.

    Attributes:
        best, second: names of variants, several in a tie; empty where fewer than two variants have a mean.
        comparison: None unless the proposed variant and a baseline are finished.
    """

    dataset: str
    metric: str
    part: str
    entries: tuple[Entry, ...]
    best: frozenset[str]
    second: frozenset[str]
    comparison: Comparison | None


@dataclass(frozen=True)
class Results:
    """All that a report compares.

    Attributes:
        plan: the content of ``benchmark.json``.
        metric: the one that slices and figures show; None before any run is finished.
        columns: by data set, every metric over all test samples.
        slices: by data set, ``metric`` in each slice; empty where its runs have none.
        all_slices: by data set and metric, the same for every metric; the last column of each is that of ``columns``.
        published: by data set, the paper's models and each one's metrics; empty where they are not asked for.
            They take part in no mark and no test.
        refit: the same benchmark trained on the validation part as well; None where it was not.
        stale: runs of the refit that are left out, as they are not of the runs that are there now.
    """

    plan: Json
    trials: tuple[Trial, ...]
    metric: str | None
    columns: dict[str, list[Column]]
    slices: dict[str, list[Column]]
    all_slices: dict[str, dict[str, list[Column]]]
    published: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    refit: Results | None = None
    stale: tuple[Trial, ...] = ()

    @property
    def kind(self) -> str:
        """What the study is called where it is no benchmark, such as 'ablation'; else empty."""
        return kind(self.plan)

    @property
    def proposed(self) -> str:
        """The name of the variant whose improvement is reported, whether or not it is in the plan."""
        return proposed(self.plan)

    @property
    def rivals(self) -> list[str]:
        """The names of the variants that it is compared with, finished or not."""
        return rivals(self.variants, self.proposed)

    @property
    def datasets(self) -> list[str]:
        return list(self.columns)

    @property
    def seeds(self) -> list[int]:
        return list(dict.fromkeys(trial.seed for trial in self.trials))

    @property
    def variants(self) -> list[Variant]:
        return list({trial.variant.name: trial.variant for trial in self.trials}.values())

    def trials_on(self, dataset: str) -> list[Trial]:
        """The runs on a data set, finished or not."""
        return [trial for trial in self.trials if trial.dataset == dataset]


def proposed(plan: Json) -> str:
    """The variant of a plan whose improvement is reported."""
    return PROPOSED_IN.get(kind(plan), PROPOSED)


def kind(plan: Json) -> str:
    """What a plan calls its study; empty for a benchmark."""
    return str((plan.get("study") or {}).get("kind", ""))


def baselines(variants: Iterable[Variant], proposed: str) -> list[str]:
    """The names of the variants whose model is another than that of ``proposed``."""
    listed = list(variants)
    own = {variant.model for variant in listed if variant.name == proposed}
    return [
        variant.name
        for variant in listed
        if variant.name != proposed and (variant.model not in own or variant.name in BASELINES)
    ]


def rivals(variants: Iterable[Variant], proposed: str) -> list[str]:
    """What ``proposed`` is compared with: the baselines, or all other variants where there is no baseline."""
    listed = list(variants)
    return baselines(listed, proposed) or [variant.name for variant in listed if variant.name != proposed]


def parts(trials: Iterable[Trial]) -> dict[str, set[int]]:
    """The slices of the test samples, each with its sizes (one, if all runs split alike), all samples last."""
    found: dict[str, set[int]] = {}
    for trial in trials:
        if trial.tested:
            for name, values in (trial.result.get("slices") or {}).items():
                found.setdefault(name, set()).add(values["samples"])
    return {name: found[name] for name in sorted(found, key=lambda name: name == ALL)}


def value(trial: Trial, metric: str, part: str = ALL) -> float | None:
    """A finished run's metric; None where it has none, as in a slice without samples."""
    if not trial.tested:
        return None
    result = trial.result
    source = result["test"] if part == ALL else (result.get("slices") or {}).get(part) or {}
    found = source.get(metric)
    return None if found is None or math.isnan(found) else float(found)


def by_variant(trials: Iterable[Trial], dataset: str) -> dict[str, list[Trial]]:
    """The runs on a data set by the name of their variant."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.dataset == dataset:
            found.setdefault(trial.variant.name, []).append(trial)
    return found

"""Whether chance explains the difference of two variants: paired t-tests over seeds or over users.

A claim about models needs seeds: by a test over users, two seeds of one model differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student
from scipy.stats import ttest_rel

from ...errors import UserError
from ...evaluation.slices import SLICES
from ..trials import Trial
from .results import ALL, Entry

MIN_SEEDS = 3
"""With fewer seeds in common, the test pairs users."""

AGREEMENT = 1e-4
"""How far a metric may be from the one that the ranks give; RecBole rounds metrics to four places or more."""

Numbers = NDArray[Any]

GAINS: dict[str, Callable[[Numbers], Numbers]] = {
    "hit": lambda ranks: np.ones(ranks.shape),
    "recall": lambda ranks: np.ones(ranks.shape),
    "mrr": lambda ranks: 1 / (ranks + 1),
    "ndcg": lambda ranks: 1 / np.log2(ranks + 2),
}
"""What one sample adds to a metric if its only target is in the list; its rank counts from 0."""


def paired(
    own: Entry, other: Entry, metric: str, part: str
) -> tuple[float | None, str, int, tuple[int, ...]]:
    """p, what was paired, how many pairs, and the seeds that both entries have."""
    seeds = tuple(seed for seed in own.values if seed in other.values)
    if len(seeds) >= MIN_SEEDS:
        a, b = (np.array([entry.values[seed] for seed in seeds]) for entry in (own, other))
        return t_test(a, b), "seeds", len(seeds), seeds
    mine, theirs = (by_user(entry, seeds, metric, part) for entry in (own, other))
    if not seeds or mine is None or theirs is None:
        return None, "users", 0, seeds
    users, left, right = np.intersect1d(mine[0], theirs[0], assume_unique=True, return_indices=True)
    return t_test(mine[1][left], theirs[1][right]), "users", len(users), seeds


def t_test(a: ArrayLike, b: ArrayLike) -> float | None:
    """p of the two-sided paired t-test; None where all differences are equal, or there are fewer than two."""
    differences = np.asarray(a) - np.asarray(b)
    if len(differences) < 2 or np.ptp(differences) <= 1e-12:
        return None
    return float(ttest_rel(a, b).pvalue)


LEVEL = 0.95
"""Of the intervals."""


def half_width(values: Numbers) -> float:
    """Half the width of the confidence interval of a mean, by Student's t; NaN with fewer than two values."""
    if len(values) < 2:
        return float("nan")
    return float(student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)


def gained(metric: str, ranks: Numbers) -> Numbers | None:
    """[S] what samples of these ranks (below 0: cannot be hit) add to a metric; None where ranks do not tell."""
    name, _, cut_off = metric.partition("@")
    if name not in GAINS or not cut_off.isdigit():
        return None
    hit = (ranks >= 0) & (ranks < int(cut_off))
    return np.where(hit, GAINS[name](np.maximum(ranks, 0)), 0.0)


def interval(a: ArrayLike, b: ArrayLike) -> tuple[float, float] | None:
    """The confidence interval, by t, of the mean of paired differences; None with fewer than two."""
    differences = np.asarray(a) - np.asarray(b)
    if len(differences) < 2:
        return None
    half = half_width(differences)
    return float(differences.mean() - half), float(differences.mean() + half)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: the p of each of several tests such that all of them together err as seldom as one."""
    corrected, largest = [0.0] * len(p), 0.0
    for place, number in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, p[number] * (len(p) - place)))
        corrected[number] = largest
    return corrected


def by_user(entry: Entry, seeds: tuple[int, ...], metric: str, part: str) -> tuple[Numbers, Numbers] | None:
    """Users in ascending order, and each one's mean over its samples and over seeds; None where unknown."""
    users, gains = [], []
    for trial in entry.trials:
        if trial.seed in seeds:
            samples = _samples(trial, part)
            if samples is None:
                return None
            sampled, ranks = samples
            gain = gained(metric, ranks)
            if gain is None or not len(gain) or abs(gain.mean() - entry.values[trial.seed]) > AGREEMENT:
                return None  # ranks of another run than the one whose metric is in the table
            users.append(sampled)
            gains.append(gain)
    if not users:
        return None
    known, position = np.unique(np.concatenate(users), return_inverse=True)
    return known, np.bincount(position, np.concatenate(gains)) / np.bincount(position)


def _samples(trial: Trial, part: str) -> tuple[Numbers, Numbers] | None:
    """User and rank of each test sample in a slice; None where the run does not say which these are."""
    if not (trial.folder / "ranks.npz").is_file():
        return None
    users, ranks, frequency = _ranks(trial)
    if part == ALL:
        return users, ranks
    if frequency is None or part not in SLICES:
        return None
    within = SLICES[part](frequency)
    return users[within], ranks[within]


def _ranks(trial: Trial) -> tuple[Numbers, Numbers, Numbers | None]:
    """User, rank and transition frequency of each test sample; no frequency in runs that did not keep it."""
    path = trial.folder / "ranks.npz"
    remedy = "remove the folder and run the benchmark again"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            users, ranks = arrays["users"], arrays["ranks"]
            frequency = arrays.get("frequency")
    except (OSError, ValueError, KeyError, BadZipFile) as problem:
        raise UserError(f"{path} is damaged ({problem}): {remedy}") from problem
    columns = [users, ranks] if frequency is None else [users, ranks, frequency]
    if any(column.shape != users.shape for column in columns) or users.ndim != 1:
        raise UserError(f"{path} has users and ranks of different shapes: {remedy}")
    return users, ranks, frequency

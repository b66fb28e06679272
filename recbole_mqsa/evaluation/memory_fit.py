"""Choosing the numbers of a transition memory on validation, for a model that is trained already.

A memory changes few scores of a user, and only upwards. So of each validation sample there are kept: the best scores
without a memory, as many as the longest list; the target's; and those of all items that any of the memories to be
tried may raise. That tells the target's rank under each of them without scoring anything anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from scipy import sparse

CANDIDATES = 1 << 25
"""Scores that are kept at most, 0.3 GB; of more samples some batches are left out."""
MISSED = np.iinfo(np.int64).max
"""The rank of a target beyond the longest list."""


class Numbers(Protocol):
    """Those of :class:`recbole_mqsa.model.memory.MemoryNumbers`."""

    @property
    def strength(self) -> float: ...
    @property
    def scale(self) -> float: ...


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class Replaceable(Numbers, DataclassInstance, Protocol):
        """Numbers in a dataclass."""


Histories = tuple[np.ndarray, np.ndarray, np.ndarray]
"""begin, end and user [B] of samples."""
N = TypeVar("N", bound="Replaceable")
Evidence = Callable[[Histories, N], sparse.csr_matrix]
"""From a batch's histories and a memory's numbers, M [B, I + 1]."""


@dataclass(frozen=True)
class BatchOfCandidates:
    """What is kept of a batch of B validation samples.

    Args:
        samples: what ``Evidence`` takes.
        target: [B] item ids.
        own: [B] the targets' scores; -inf where one can never be hit.
        best, best_items: [B, k] the best scores without a memory, best first, and their items.
        columns: [U] the items that some memory may raise for somebody, sorted.
        place: [N] ``row * U + place among the columns`` of each score that some memory may raise.
        scores: [N] without a memory.
    """

    samples: Histories
    target: np.ndarray
    own: np.ndarray
    best: np.ndarray
    best_items: np.ndarray
    columns: np.ndarray
    place: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls,
        samples: Histories,
        target: np.ndarray,
        own: np.ndarray,
        best: tuple[np.ndarray, np.ndarray],
        widest: sparse.csr_matrix,
        scores_at: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> BatchOfCandidates:
        """Args: as above; ``widest`` is the evidence of which all others' is a part, ``scores_at`` scores without a
        memory at rows and items [N]."""
        rows = np.repeat(np.arange(widest.shape[0]), np.diff(widest.indptr))
        columns = np.unique(widest.indices)
        place = rows * len(columns) + np.searchsorted(columns, widest.indices)
        return cls(samples, target, own, *best, columns, place, scores_at(rows, widest.indices))

    def ranks(self, found: sparse.csr_matrix, numbers: Numbers, longest: int) -> np.ndarray:
        """[B] the targets' ranks from 0 with a memory of this evidence; ``MISSED`` where it is ``longest`` or more."""
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        items = found.indices
        bonus = (numbers.strength * np.log1p(numbers.scale * found.data)).astype(np.float32)
        table = np.empty(len(self.target) * len(self.columns), dtype=self.scores.dtype)
        table[self.place] = self.scores
        before = table[rows * len(self.columns) + np.searchsorted(self.columns, items)]

        target, threshold = self.target[rows], self.own.copy()
        is_target = items == target
        threshold[rows[is_target]] += bonus[is_target]
        limit = threshold[rows]
        earlier = items < target
        ahead = _ahead(before + bonus, limit, earlier) & ~_ahead(before, limit, earlier)
        others = self.best_items - self.target[:, None]
        ranks = (_ahead(self.best, threshold[:, None], others < 0) & (others != 0)).sum(1)
        ranks += np.bincount(rows[ahead & ~is_target], minlength=len(ranks))
        return np.where((ranks >= longest) | np.isneginf(threshold), MISSED, ranks)


def _ahead(scores: np.ndarray, threshold: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Where a score ranks before the target's; of equal ones the ``earlier`` item does."""
    return (scores > threshold) | ((scores == threshold) & earlier)


def ranks_with(
    batches: Iterable[BatchOfCandidates], evidence: Evidence[N], numbers: N, longest: int
) -> np.ndarray:
    """[samples] the targets' ranks with a memory of these numbers."""
    parts = [batch.ranks(evidence(batch.samples, numbers), numbers, longest) for batch in batches]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


GRID: Mapping[str, Sequence[float]] = {
    "strength": (0.0, *(round(2.0 ** (power / 2), 4) for power in range(-10, 15))),
    "scale": (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "recency": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "decay": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "span": (1, 2, 3, 5, 8),
}
"""What each number may become; one that is given besides is between its neighbours."""


def climb(
    start: N, score: Callable[[N], float], grid: Mapping[str, Sequence[float]] = GRID, rounds: int = 5
) -> tuple[N, dict[N, float]]:
    """The best numbers found by going up one number at a time, and the score of all that were tried.

    First every fourth strength is tried, as models differ in how large their scores are, and no memory at all
    (strength 0). Then a number moves to the next value of its grid while that is better, in either direction; all
    take turns until a whole round changes none.

    Args:
        start: a dataclass with the grid's fields.
        score: the higher, the better.
    """
    tried: dict[N, float] = {}

    def known(numbers: N) -> float:
        if numbers not in tried:
            tried[numbers] = score(numbers)
        return tried[numbers]

    strengths = grid["strength"]
    coarse = [replace(start, strength=strength) for strength in (strengths[0], *strengths[1::4])]
    best = max([start, *coarse], key=known)  # of equal ones the first
    for _ in range(rounds):
        before = best
        for name, values in grid.items():
            best = _along(best, name, sorted({*values, getattr(best, name)}), known)
        if best == before:
            break
    return best, tried


def _along(best: N, name: str, values: list[float], known: Callable[[N], float]) -> N:
    for step in (1, -1):
        first = best
        for candidate in _next(best, name, values, step):
            if known(candidate) <= known(best):
                break
            best = candidate
        if best != first:
            return best
    return best


def _next(numbers: N, name: str, values: list[float], step: int) -> Iterator[N]:
    place = values.index(getattr(numbers, name)) + step
    while 0 <= place < len(values):
        yield replace(numbers, **{name: values[place]})
        place += step

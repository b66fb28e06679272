"""The negatives among which a target is ranked where candidates are sampled (``uni100``, ``pop100``).

They depend on the data and the protocol alone. RecBole draws them anew at every evaluation, from numpy's global state,
and its setting ``repeatable``, which differs between kinds of models, decides whether seen items may be among them.
Here a draw is a hash of the sample's place in the data: the same for every model, seed, evaluation and process.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .dataset import SequenceDataset
from .sequences import flatten_spans

SEED = 0x5EED
"""Of the draws, whatever the seed of a run."""
GAMMA, FIRST, SECOND = (
    np.uint64(constant) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
"""The constants of splitmix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014)."""
KEPT = 1 << 25
"""The most item ids kept for the next evaluation: 128 MB."""
CELLS = 1 << 22
"""The most items and rows compared at once where a row's items are ordered one by one."""


def _mixed(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


def random_numbers(keys: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[B, J] numbers of [0, 1), each a function of its row's key [B] and its column's number [J] alone."""
    states = _mixed(keys.astype(np.uint64) * GAMMA + np.uint64(SEED))
    bits = _mixed(states[:, None] + (columns.astype(np.uint64) + np.uint64(1)) * GAMMA)
    return (bits >> np.uint64(12)) * 2.0**-52


class Negatives:
    """Draws items without replacement, each with a probability in proportion to its weight.

    Args:
        weights: [I + 1] whole numbers: 1 for each item to draw uniformly, counts to draw by popularity. An item of
            weight 0, like padding, is never drawn.
        count: how many to draw.
    """

    def __init__(self, weights: np.ndarray, count: int) -> None:
        self.weights, self.count = weights, count
        self.cumulative = np.cumsum(weights)

    def draw(self, keys: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        """[B, count] different item ids; 0 at the end of a row for which there are not so many.

        Drawing with replacement, and passing over what is left out or drawn already, gives items without
        replacement. A row that is not full after many draws goes on by exponential order.

        Args:
            keys: [B] what a row's draws depend on.
            left_out: [B, I + 1] True for the items that a row must not get.
        """
        found = np.zeros((len(keys), self.count), dtype=np.int64)
        pending = np.arange(len(keys))
        for width in (self.count + 16, 4 * self.count + 64):  # the first nearly always suffices
            full, found[pending] = self._first_different(keys[pending], left_out[pending], width)
            pending = pending[~full]
        for rows in _chunks(pending, CELLS // len(self.weights)):
            found[rows] = self._filled_up(keys[rows], left_out[rows], found[rows])
        return found

    def _first_different(
        self, keys: np.ndarray, left_out: np.ndarray, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which rows [B] are full after ``width`` draws, and their items [B, count]."""
        places = random_numbers(keys, np.arange(width)) * self.cumulative[-1]
        drawn = np.searchsorted(self.cumulative, places, side="right")
        row = np.arange(len(keys))[:, None]
        new = ~left_out[row, drawn] & ~_repeats(drawn)
        number = new.cumsum(1)
        items = np.zeros((len(keys), self.count), dtype=np.int64)
        rows, columns = np.nonzero(new & (number <= self.count))
        items[rows, number[rows, columns] - 1] = drawn[rows, columns]
        return number[:, -1] >= self.count, items

    def _filled_up(self, keys: np.ndarray, left_out: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Rows ``found`` [B, count] with their empty places filled, as far as there are items.

        Of independent exponential variables with the weights as rates, the smallest are a draw without replacement
        (Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006).
        """
        columns = np.arange(len(self.weights)) + (1 << 32)  # numbers that no draw has used
        with np.errstate(divide="ignore", invalid="ignore"):
            times = -np.log1p(-random_numbers(keys, columns)) / self.weights
        times[left_out | (self.weights == 0)] = np.inf
        times[np.arange(len(keys))[:, None], found] = np.arange(self.count) - self.count  # in the order drawn
        times[:, 0] = np.inf  # of the empty places
        order = np.argsort(times, axis=1, kind="stable")[:, : self.count]
        order[np.isinf(np.take_along_axis(times, order, 1))] = 0
        return np.pad(order, ((0, 0), (0, self.count - order.shape[1])))


def _repeats(drawn: np.ndarray) -> np.ndarray:
    """[B, J] whether a row has the same item further left."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, 1)
    repeats = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(repeats, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], 1)
    return repeats


def _chunks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (rows[start : start + max(1, size)] for start in range(0, len(rows), max(1, size)))


class Candidates:
    """The negatives of the samples of a part, none of them the target.

    Args:
        part: the validation or test part.
        distribution: 'uniform', or 'popularity': in proportion to the actions known before the part is predicted.
        count: how many negatives a sample gets; fewer if there are not so many.
        mask_seen: whether items before the target are no negatives.
    """

    def __init__(self, part: SequenceDataset, distribution: str, count: int, mask_seen: bool) -> None:
        self.part, self.mask_seen = part, mask_seen
        weights = (
            part.item_counts() if distribution == "popularity" else np.ones(part.item_num, dtype=np.int64)
        )
        weights[0] = 0
        self.negatives = Negatives(weights, count)
        self._kept = np.empty((len(part) if len(part) * count <= KEPT else 0, count), dtype=np.int32)
        self._drawn = np.zeros(len(self._kept), dtype=bool)

    def of(self, index: np.ndarray) -> np.ndarray:
        """[B, count] item ids of the samples ``index``, 0 at the end of a row for which there are not so many."""
        if not len(self._kept):
            return self._draw(index)
        new = np.unique(index[~self._drawn[index]])
        if len(new):
            self._kept[new], self._drawn[new] = self._draw(new), True
        return self._kept[index].astype(np.int64)

    def _draw(self, index: np.ndarray) -> np.ndarray:
        begin, end = self.part.history(index)
        items = self.part.sequences.items
        left_out = np.zeros((len(index), self.part.item_num), dtype=bool)
        left_out[np.arange(len(index)), items[end]] = True
        if self.mask_seen:
            seen, row = flatten_spans(begin, end)
            left_out[row, items[seen]] = True
        return self.negatives.draw(end, left_out)

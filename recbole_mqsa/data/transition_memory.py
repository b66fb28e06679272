"""What usually follows a user's newest items, as the training actions of all other users tell."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .sequences import flatten_spans
from .transition_counts import count_transitions, pairs_within

LEFT = 1e-9
"""A smaller share of an item's count, once the user's own are taken out, is what rounding leaves of none."""


class TransitionMemory:
    """``M[b, j] = sum_k recency ** k * P_b(j | i_k)`` over the newest items ``i_0, i_1, ...`` of a history.

    ``P_b(j | i) = a[i, j] / sum_j a[i, j]``, where the counts ``a`` (:func:`.transition_counts.count_transitions`)
    are those of everybody's training actions but the user's own: they are in the history, and would say again what
    the model read there. Nothing as large as [I, I] or [B, I] is ever made.

    Args:
        items: [N] flat item ids.
        begin, end: [users] first and last training action of each user that count; ``end < begin`` where none does.
        n_items: I + 1, padding included.
        time_span, time_decay: of the counts.
    """

    def __init__(
        self,
        items: np.ndarray,
        begin: np.ndarray,
        end: np.ndarray,
        n_items: int,
        time_span: int,
        time_decay: float,
    ) -> None:
        self.items, self.begin, self.end = items, begin, end
        self.n_items, self.time_span, self.time_decay = n_items, time_span, time_decay
        some = end >= begin
        self.counts = count_transitions(items, begin[some], end[some], n_items, time_span, time_decay)
        self.totals = np.asarray(self.counts.sum(1)).ravel()

    def evidence(
        self,
        begin: np.ndarray,
        end: np.ndarray,
        users: np.ndarray | None,
        newest: int,
        recency: float,
        items: np.ndarray | None = None,
        history_left_out: bool = False,
    ) -> sparse.csr_matrix:
        """[B, I + 1] M of each history; columns are not sorted.

        Args:
            begin, end: [B] the histories ``items[begin:end]``, from old to new.
            users: [B] whose they are; None for histories of nobody who was trained on.
            newest: how many of the newest items are asked.
            recency: weight of an item relative to the next newer one.
            items: the flat ids that the histories lie in; by default those of the training actions.
            history_left_out: whether M of a history's own items is of no interest, as they are never ranked; the
                user's own pairs, which end there, then stay in it.
        """
        items = self.items if items is None else items
        index, row = flatten_spans(np.maximum(begin, end - newest), end)
        asked, place = np.unique(row * self.n_items + items[index], return_inverse=True)
        weight = np.bincount(place, recency ** (end[row] - 1 - index), len(asked))
        head = asked % self.n_items
        own = None if users is None or not len(asked) else self._own_pairs(users, asked)
        total = self.totals[head]
        left = total if own is None else total - np.bincount(own[0], own[2], len(asked))
        share = np.divide(weight, left, out=np.zeros(len(asked)), where=left > LEFT * total)
        bounds = np.searchsorted(asked, np.arange(len(begin) + 1) * self.n_items)
        kind = self.counts.indices.dtype  # or all counts would be copied to the wider one
        entries = share, head.astype(kind), bounds.astype(kind)
        found = sparse.csr_matrix(entries, shape=(len(begin), self.n_items)) @ self.counts
        if own is not None and len(own[0]) and not history_left_out:
            at, tail, count = own
            own_part = sparse.coo_matrix((share[at] * count, (asked[at] // self.n_items, tail)), found.shape)
            found = found - own_part.tocsr()
            np.maximum(found.data, 0.0, out=found.data)  # below 0 by rounding
        return found

    def _own_pairs(self, users: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The users' own counted pairs from the items asked: place among these, tail and weight, [pairs] each."""
        begin, end = self.begin[users], np.maximum(self.end[users], self.begin[users] - 1)
        index, row = flatten_spans(begin, end + 1)
        item = self.items[index]
        key = row * self.n_items + item
        place = np.minimum(np.searchsorted(asked, key), len(asked) - 1)
        known = asked[place] == key
        last = np.cumsum(end + 1 - begin) - 1
        places, tails, weights = [], [], []
        for distance, head, tail in pairs_within(last - (end - begin), last, self.time_span):
            some = known[head]
            places.append(place[head[some]])
            tails.append(item[tail[some]])
            weights.append(np.full(int(some.sum()), self.time_decay ** (distance - 1)))
        return np.concatenate(places), np.concatenate(tails), np.concatenate(weights)

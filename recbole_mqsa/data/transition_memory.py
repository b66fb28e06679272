"""What usually follows a user's newest items, as the training actions of all other users tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from .sequences import flatten_spans
from .transition_counts import count_transitions

LEFT = 1e-9
"""A smaller share of an item's count, once the user's own are taken out, is what rounding leaves of none."""


class OwnActions(NamedTuple):
    """Those of a batch's users in training that are with items asked, [N] each.

    Args:
        place: of user and item among those asked.
        flat: flat index.
        pairs: how many later actions of the user count with it, at most ``time_span``.
    """

    place: np.ndarray
    flat: np.ndarray
    pairs: np.ndarray


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

    Attributes:
        counts: [I + 1, I + 1] a.
        totals: [I + 1] the sum of each row.
        followed: [time_span + 1] what an action with so many pairs adds to its item's total.
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
        self.followed = np.append(0.0, np.cumsum(time_decay ** np.arange(time_span)))

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
        total = left = self.totals[head]
        own = None if users is None or not len(asked) else self._own_actions(users, asked)
        if own is not None:
            left = total - np.bincount(own.place, self.followed[own.pairs], len(asked))
        share = np.divide(weight, left, out=np.zeros(len(asked)), where=left > LEFT * total)
        bounds = np.searchsorted(asked, np.arange(len(begin) + 1) * self.n_items)
        kind = self.counts.indices.dtype  # or all counts would be copied to the wider one
        entries = share, head.astype(kind), bounds.astype(kind)
        found = sparse.csr_matrix(entries, shape=(len(begin), self.n_items)) @ self.counts
        if own is not None and len(own.place) and not history_left_out:
            further, action = flatten_spans(np.zeros_like(own.pairs), own.pairs)
            place, tail = own.place[action], self.items[own.flat[action] + 1 + further]
            count = self.time_decay**further
            own_part = sparse.csr_matrix(
                (share[place] * count, (asked[place] // self.n_items, tail)), found.shape
            )
            found = found - own_part
            np.maximum(found.data, 0.0, out=found.data)  # below 0 by rounding
        return found

    def _own_actions(self, users: np.ndarray, asked: np.ndarray) -> OwnActions:
        """The users' own training actions that are with the items asked."""
        begin, end = self.begin[users], np.maximum(self.end[users], self.begin[users] - 1)
        index, row = flatten_spans(begin, end + 1)
        key = row * self.n_items + self.items[index]
        place = np.minimum(np.searchsorted(asked, key), len(asked) - 1)
        known = asked[place] == key
        return OwnActions(place[known], index[known], np.minimum(end[row] - index, self.time_span)[known])

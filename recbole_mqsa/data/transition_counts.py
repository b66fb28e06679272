"""Counts which item follows which: the global knowledge that TED distils."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from .sequences import flatten_spans


def count_transitions(
    items: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    n_items: int,
    time_span: int = 1,
    time_decay: float = 1.0,
    backward_weight: float = 0.0,
) -> sparse.csr_matrix:
    """a[i, j] = how often j follows i at distances 1..``time_span`` within the spans, near ones counting most.

    ``a[i, j] = sum_d time_decay ** (d - 1) * (n_d[i, j] + backward_weight * n_d[j, i])``, where ``n_d[i, j]`` is
    how often j is the d-th item after i. With the defaults for decay and weight the counts are whole numbers.

    Args:
        items: [N] flat item ids.
        begin, end: [S] first and last action of each sequence, both included; spans do not overlap.
        n_items: I + 1, padding included.
        time_span: k, the largest distance.
        time_decay: above 0; 1 counts all distances alike.
        backward_weight: at least 0; 0 counts what follows only, 1 what precedes as much.

    Returns:
        [n_items, n_items] counts with sorted indices; row and column 0 (padding) are empty.
    """
    heads, tails, weights = [], [], []
    for distance, head, tail in pairs_within(begin, end, time_span):
        weight = time_decay ** (distance - 1)
        for first, second, factor in ((head, tail, 1.0), (tail, head, backward_weight)):
            if factor:
                heads.append(items[first])
                tails.append(items[second])
                weights.append(np.full(len(head), weight * factor))
    place = np.concatenate(heads), np.concatenate(tails)
    counts = sparse.coo_matrix((np.concatenate(weights), place), shape=(n_items, n_items)).tocsr()
    counts.sum_duplicates()
    return counts


def pairs_within(
    begin: np.ndarray, end: np.ndarray, time_span: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Every distance from 1 to ``time_span`` with the flat indices [pairs] of its earlier and its later actions.

    Args:
        begin, end: [S] first and last action of each sequence, both counted; no pair leaves its sequence.
        time_span: the largest distance.
    """
    index, span = flatten_spans(begin, end + 1)
    for distance in range(1, time_span + 1):
        together = span[:-distance] == span[distance:]
        yield distance, index[:-distance][together], index[distance:][together]

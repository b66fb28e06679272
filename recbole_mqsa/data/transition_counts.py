"""Counts which item follows which: the global knowledge that TED distils."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .sequences import flatten_spans


def count_transitions(
    items: np.ndarray, begin: np.ndarray, end: np.ndarray, n_items: int, time_span: int = 1
) -> sparse.csr_matrix:
    """a[i, j] = how often j follows i at distances 1..``time_span`` within the spans; directed.

    Args:
        items: [N] flat item ids.
        begin, end: [S] first and last action of each sequence, both included; spans do not overlap.
        n_items: I + 1, padding included.
        time_span: k, the largest distance.

    Returns:
        [n_items, n_items] counts with sorted indices; row and column 0 (padding) are empty.
    """
    # Each sequence has a number, 0 is outside of all: a pair lies in one sequence if its two numbers are equal.
    index, span = flatten_spans(begin, end + 1)
    owner = np.zeros(len(items), dtype=np.int64)
    owner[index] = span + 1

    heads, tails = [], []
    for distance in range(1, time_span + 1):
        same = (owner[:-distance] == owner[distance:]) & (owner[distance:] > 0)
        heads.append(items[:-distance][same])
        tails.append(items[distance:][same])
    head, tail = np.concatenate(heads), np.concatenate(tails)
    counts = sparse.coo_matrix((np.ones(len(head)), (head, tail)), shape=(n_items, n_items)).tocsr()
    counts.sum_duplicates()
    return counts

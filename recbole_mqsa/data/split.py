"""RecBole's splits of each user's actions, without its loop over all actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd


def _grouped(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows [N], group after group in order of first appearance; the place of each in its group; the group's size."""
    codes, _ = pd.factorize(keys)
    sizes = np.bincount(codes)
    of_group = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(keys)) - (np.cumsum(sizes) - sizes)[of_group]
    return np.argsort(codes, kind="stable"), place, sizes[of_group]


def leave_one_out(keys: np.ndarray, n_left: int) -> list[np.ndarray]:
    """Each group's last ``n_left`` rows, one per part, and the rows before them, where its first row always stays.

    Args:
        keys: [N] the group of each row, in the order of the rows.

    Returns:
        ``n_left + 1`` arrays of row numbers, the remaining rows first, then from old to new.
    """
    rows, place, size = _grouped(keys)
    from_end = size - 1 - place
    part = np.where((from_end < n_left) & (place > 0), n_left - from_end, 0)
    return [rows[part == nth] for nth in range(n_left + 1)]


def by_ratio(keys: np.ndarray, n_parts: int, cut: Callable[[int], Sequence[int]]) -> list[np.ndarray]:
    """Each group cut into ``n_parts`` parts.

    Args:
        keys: [N] the group of each row, in the order of the rows.
        cut: from the size of a group to the places of its ``n_parts - 1`` cuts, in ascending order.

    Returns:
        ``n_parts`` arrays of row numbers.
    """
    rows, place, size = _grouped(keys)
    sizes, nth = np.unique(size, return_inverse=True)
    cuts = np.array([cut(int(one)) for one in sizes], dtype=np.int64).reshape(len(sizes), n_parts - 1)
    part = sum((place >= column[nth] for column in cuts.T), np.zeros(len(rows), dtype=np.int64))
    return [rows[part == one] for one in range(n_parts)]

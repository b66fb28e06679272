"""Recommendation lists, batch after batch: whose they are, of which items, with which scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..interfaces import Json
from .histories import Histories

COLUMNS = ("user_id", "item_id", "rank", "score")
"""The columns of every table of recommendations; a rank counts from 1."""


@dataclass(frozen=True)
class Lists:
    """The lists of some people.

    Args:
        names: [B] the person that each list is for.
        items: [B, k] item numbers, best first, 0 where no more items are left.
        scores: [B, k] their scores.
        histories: what the lists are made from.
        reasons: [B, k] what explains each recommendation, if that was asked for.
    """

    names: Sequence[str]
    items: np.ndarray
    scores: np.ndarray
    histories: Histories
    reasons: list[list[Json]] | None = None

    @property
    def lengths(self) -> np.ndarray:
        """[B] how many items each list has."""
        return (self.items > 0).sum(1)


def table(lists: Iterator[Lists], items: np.ndarray) -> pd.DataFrame:
    """The columns ``COLUMNS``, a row for each recommendation.

    Args:
        items: [I + 1] the name of each item.
    """
    parts = [_columns(one) for one in lists]
    names, numbers, ranks, scores = (np.concatenate(column) for column in zip(*parts)) if parts else ([],) * 4
    values = (names, items[np.asarray(numbers, dtype=np.int64)].astype(object), ranks, scores)
    return pd.DataFrame(dict(zip(COLUMNS, values)))


def _columns(lists: Lists) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    there = lists.items > 0
    row, place = np.nonzero(there)
    names = np.array(lists.names, dtype=object)[row]
    return names, lists.items[there], place + 1, lists.scores[there]

"""All actions as flat arrays with one offset per user; no prefix is ever stored on its own.

A *sample* is a pair of indices into the flat array: its input is ``items[begin:end]``, its target ``items[end]``.
Training, validation and test all use this form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """The actions of all users, user after user, each user's from old to new.

    Args:
        items: [N] item ids.
        offsets: [users + 1]; the actions of user ``u`` are ``items[offsets[u]:offsets[u + 1]]``.
    """

    items: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_sorted(cls, users: np.ndarray, items: np.ndarray, n_users: int) -> Sequences:
        """Sequences from actions sorted by user, then time; ``users`` and ``items`` are [N]."""
        counts = np.bincount(users, minlength=n_users)
        return cls(np.ascontiguousarray(items), np.concatenate(([0], np.cumsum(counts))))

    def padded(self, begin: np.ndarray, end: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The spans ``items[begin:end]`` as rows, padded with 0 on the right.

        Args:
            begin, end: [B] spans; a span longer than ``width`` keeps its newest items.
            width: columns of the result.

        Returns:
            rows [B, width] and lengths [B].
        """
        begin = np.maximum(begin, end - width)
        lengths = end - begin
        column = np.arange(width)
        real = column < lengths[:, None]
        rows = self.items[np.where(real, begin[:, None] + column, 0)]
        return np.where(real, rows, 0), lengths


def flatten_spans(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices of all spans ``begin[s]..end[s] - 1``, one after another, and the span of each index.

    Args:
        begin, end: [S], ``end >= begin``.

    Returns:
        index [sum of lengths] and span [sum of lengths].
    """
    lengths = end - begin
    span = np.repeat(np.arange(len(begin)), lengths)
    first = np.cumsum(lengths) - lengths
    index = np.arange(lengths.sum()) - first[span] + begin[span]
    return index, span


def last_window(begin: np.ndarray, end: np.ndarray, max_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """The newest part of each span with at most ``max_pairs`` pairs of input and target.

    Args:
        begin, end: [S] first and last action of each sequence; the last is the final target.
        max_pairs: T - 1 for a maximum length T.
    """
    return np.maximum(begin, end - max_pairs), end


def all_windows(begin: np.ndarray, end: np.ndarray, max_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Each span cut, from its end, into windows of ``max_pairs`` pairs; every pair is in exactly one.

    The last action of a window is the first of the next newer window, so that no transition is lost. The arguments
    are those of :func:`last_window`.
    """
    windows = -(-(end - begin) // max_pairs)  # ceil; none for a span of one action
    nth, span = flatten_spans(np.zeros_like(windows), windows)
    window_end = end[span] - nth * max_pairs
    return np.maximum(begin[span], window_end - max_pairs), window_end


LONG_SEQUENCES = {"last": last_window, "windows": all_windows}

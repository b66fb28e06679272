"""Test samples by the frequency of their transition in training, as in the paper's table 1.

A model that only memorises transitions is good only on those that occur in training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..data.dataset import SequenceDataset
from ..interfaces import Settings
from .collector import metrics_of_ranks

LONGEST = 50
"""Newest items of a training sequence whose transitions count, the paper's T: the same for every model."""

SLICES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0": lambda frequency: frequency == 0,
    ">0": lambda frequency: frequency > 0,
    "all": lambda frequency: frequency >= 0,
}
"""The samples in each slice: from the frequencies of their transitions [S] to booleans [S]."""


def transition_frequency(counts: sparse.csr_matrix, test: SequenceDataset) -> np.ndarray:
    """[S] how often the test item follows the last input item in ``counts``.

    Args:
        counts: [I + 1, I + 1] transitions of the training part (``SequenceDataset.transition_counts``).
        test: the test part of S samples.
    """
    items = test.sequences.items
    return np.asarray(counts[items[test.rows - 1], items[test.rows]]).ravel().astype(np.int64)


def by_transition_frequency(
    config: Settings, frequency: np.ndarray, ranks: Tensor
) -> dict[str, dict[str, float]]:
    """The number of samples, and every metric by rank, for each of ``SLICES``.

    Args:
        config: RecBole's settings; metrics, topk and decimals are read.
        frequency: [S] from :func:`transition_frequency`.
        ranks: [S] of the same samples, from :class:`RankCollector`.
    """
    found = {}
    for name, has in SLICES.items():
        chosen = torch.from_numpy(has(frequency))
        metrics = metrics_of_ranks(config, ranks[chosen]) if chosen.any() else {}
        found[name] = {"samples": int(chosen.sum()), **metrics}
    return found

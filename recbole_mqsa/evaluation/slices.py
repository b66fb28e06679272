"""Test samples by how often training holds their transition: the paper's table 1.

A model that only remembers transitions is good where the test's own one was seen, and there only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .collector import metrics_of_ranks

LONGEST = 50
"""Items of a training sequence whose transitions count, the paper's T: the same slices for every model."""

SLICES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0": lambda frequency: frequency == 0,
    ">0": lambda frequency: frequency > 0,
    "all": lambda frequency: frequency >= 0,
}
"""Which samples a slice has: [S] frequencies of their transitions to [S] booleans."""


def transition_frequency(counts: sparse.csr_matrix, test: Any) -> np.ndarray:
    """[S] how often the test item follows the last input item in ``counts``.

    Args:
        counts: [I + 1, I + 1] transitions of the training part (``SequenceDataset.transition_counts``).
        test: the test part, a ``SequenceDataset`` of S samples.
    """
    items = test.sequences.items
    return np.asarray(counts[items[test.rows - 1], items[test.rows]]).ravel().astype(np.int64)


def by_transition_frequency(config: Any, frequency: np.ndarray, ranks: Tensor) -> dict[str, dict[str, float]]:
    """Number of samples and every metric by rank for each of ``SLICES``.

    Args:
        config: RecBole's settings, of which metrics, topk and decimals are read.
        frequency: [S] from :func:`transition_frequency`.
        ranks: [S] of the same samples, from :class:`RankCollector`.
    """
    found = {}
    for name, has in SLICES.items():
        of = torch.from_numpy(has(frequency))
        found[name] = {"samples": int(of.sum()), **(metrics_of_ranks(config, ranks[of]) if of.any() else {})}
    return found

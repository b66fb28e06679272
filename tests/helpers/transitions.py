"""Small transition counts, item embeddings, and teacher rows computed densely."""

from __future__ import annotations

import torch

N_ITEMS, D = 11, 6


def made_counts(seed=0):
    """Counts of 11 items: item 1 is followed by none, item 2 by all, item 3 by one, others by some."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 9, (N_ITEMS + 1, N_ITEMS + 1), generator=generator).double()
    counts[torch.rand(counts.shape, generator=generator) < 0.6] = 0
    counts[1] = 0
    counts[2] = torch.arange(N_ITEMS + 1) + 1
    counts[3] = 0
    counts[3, 5] = 4
    counts[0] = counts[:, 0] = 0
    return counts


def dense_rows(counts, tau):
    """[I, I] softmax of each item's counts, in float64; all zeros give a uniform row."""
    counts = counts[1:, 1:]
    largest = counts.amax(1, keepdim=True).clamp(min=1)
    return (counts / largest / tau).softmax(1)


def made_items(dtype=torch.float64, seed=1):
    items = torch.randn(N_ITEMS + 1, D, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 0.3
    items[0] = 0
    return items.requires_grad_()

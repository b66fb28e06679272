"""Padded sequences of awkward lengths, and states of their real positions."""

from __future__ import annotations

import torch

LENGTHS = [[5], [1], [3, 0, 7, 1], [0, 4, 4, 2, 9, 0], [12, 1, 1, 6, 3, 2, 12, 5]]
D = 6


def valid_mask(lengths, side, width=None):
    """[B, T] True where an item is real."""
    column = torch.arange(width or max(lengths) + 1)
    lengths = torch.tensor(lengths)[:, None]
    return column < lengths if side == "right" else column >= len(column) - lengths


def rows_of(packed, lengths):
    """One sequence after another."""
    return packed.split(lengths)


def packed_states(lengths, seed=0):
    """[P, D] random states of all real positions."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sum(lengths), D, generator=generator, dtype=torch.float64)

"""Pooling of a window against one position after another."""

from __future__ import annotations

import pytest
import torch
from helpers.sequences import LENGTHS, packed_states, rows_of, valid_mask

from recbole_mqsa.model.pooling import POOLINGS, pool_window
from recbole_mqsa.model.ragged import Ragged


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("pooling", ["mean", "decay"])
def test_pool_window_against_a_loop(pooling, window, lengths):
    states = packed_states(lengths)
    pooled = pool_window(
        states, Ragged(valid_mask(lengths, "right")).depth, POOLINGS[pooling](window, 0.3).double()
    )
    weight = {"mean": lambda age: 1.0, "decay": lambda age: 0.3**age}[pooling]
    for row, ours in zip(rows_of(states, lengths), rows_of(pooled, lengths)):
        for t in range(len(row)):
            ages = range(min(window, t + 1))
            expected = sum(weight(age) * row[t - age] for age in ages) / sum(weight(age) for age in ages)
            torch.testing.assert_close(ours[t], expected, rtol=1e-6, atol=1e-7)


def test_pooling_by_hand():
    states, depth = torch.tensor([[4.0], [8.0], [0.0], [6.0]]), torch.tensor([0, 1, 2, 0])
    assert pool_window(states, depth, POOLINGS["mean"](3, 0.5)).flatten().tolist() == [4, 6, 4, 6]
    decayed = pool_window(states, depth, POOLINGS["decay"](2, 0.5)).flatten()
    assert decayed.tolist() == pytest.approx([4, (8 + 2) / 1.5, 4 / 1.5, 6])

"""Packing and grouping against one sequence after another."""

from __future__ import annotations

import operator

import pytest
import torch
from helpers.sequences import LENGTHS, D, packed_states, rows_of, valid_mask

from recbole_mqsa.model.ragged import Ragged


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_places(lengths, side):
    layout = Ragged(valid_mask(lengths, side))
    assert layout.lengths.tolist() == lengths
    assert layout.depth.tolist() == [t for length in lengths for t in range(length)]
    assert layout.age.tolist() == [t for length in lengths for t in reversed(range(length))]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_packing_is_a_boolean_index(lengths, side):
    valid = valid_mask(lengths, side)
    padded = torch.arange(valid.numel()).view(valid.shape)
    layout = Ragged(valid)
    assert torch.equal(layout.pack(padded), padded[valid])
    assert torch.equal(layout.row, torch.nonzero(valid)[:, 0])


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_lengths_known_beforehand_change_nothing(lengths, groups):
    asked = Ragged(valid_mask(lengths, "right"), groups)
    told = Ragged(valid_mask(lengths, "right"), groups, torch.tensor(lengths))
    states = packed_states(lengths)
    for name, value in vars(asked).items():
        same = torch.equal if isinstance(value, torch.Tensor) else operator.eq
        assert same(value, vars(told)[name]), name
    grouped = asked.grouped(states), told.grouped(states)
    assert all(map(torch.equal, *grouped)) and len(grouped[0]) == len(grouped[1])
    assert torch.equal(told.packed(grouped[1]), states)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_grouped_and_packed_are_inverse(lengths, groups):
    layout, states = Ragged(valid_mask(lengths, "left"), groups), packed_states(lengths)
    grouped = layout.grouped(states)
    assert torch.equal(layout.packed(grouped), states)
    assert len(grouped) <= groups
    assert sum(len(group) for group in grouped) == sum(length > 0 for length in lengths)
    # Each group holds whole sequences from its left; a longer group's shortest is above half its longest.
    rows = {tuple(row.flatten().tolist()) for row in rows_of(states, lengths) if len(row)}
    found = set()
    for number, group in enumerate(grouped):
        assert group.shape[2] == D
        for row in group:
            real = next(t for t in range(len(row), 0, -1) if tuple(row[:t].flatten().tolist()) in rows)
            found.add(tuple(row[:real].flatten().tolist()))
            assert (row[real:] == row[real - 1]).all()
            assert number == groups - 1 or real > max(lengths) // 2 ** (number + 1) or groups == 1
    assert found == rows


def test_groups_are_halved_lengths():
    lengths = [8, 5, 4, 3, 2, 1, 8]
    for groups, shapes in ((3, [(3, 8), (2, 4), (2, 2)]), (1, [(7, 8)])):
        layout = Ragged(valid_mask(lengths, "right"), groups)
        assert [group.shape[:2] for group in layout.grouped(packed_states(lengths))] == shapes


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_last(lengths, groups):
    states = packed_states(lengths)
    last = Ragged(valid_mask(lengths, "left"), groups).last(states)
    expected = [row[-1] if len(row) else torch.zeros(D).double() for row in rows_of(states, lengths)]
    assert torch.equal(last, torch.stack(expected))


@pytest.mark.parametrize("groups", [1, 3])
def test_a_batch_of_nothing(groups):
    """All rows empty: no positions, and zeros for the newest of each."""
    layout = Ragged(torch.zeros(2, 4, dtype=torch.bool), groups)
    nothing = torch.zeros(0, D)
    assert layout.packed(layout.grouped(nothing)).shape == (0, D)
    assert layout.last(nothing).tolist() == [[0.0] * D] * 2

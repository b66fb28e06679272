"""Spans of the flat arrays: cut, padded, flattened."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_mqsa.data.sequences import LONG_SEQUENCES, Sequences, all_windows, flatten_spans, last_window


def random_spans(seed, longest=40):
    """Begin and end of spans of 1 to ``longest`` actions that lie one after another."""
    lengths = np.random.default_rng(seed).integers(1, longest + 1, size=12)
    begin = np.cumsum(lengths) - lengths
    return begin, begin + lengths - 1


def test_from_sorted_counts_users_without_actions():
    users, items = np.array([1, 1, 3]), np.array([7, 8, 9])
    sequences = Sequences.from_sorted(users, items, n_users=5)
    assert sequences.offsets.tolist() == [0, 0, 2, 2, 3, 3]
    assert [sequences.items[a:b].tolist() for a, b in zip(sequences.offsets, sequences.offsets[1:])] == [
        [], [7, 8], [], [9], [],
    ]  # fmt: skip


def test_padded_keeps_the_newest_and_fills_on_the_right():
    sequences = Sequences(np.array([1, 2, 3, 4, 5, 6]), np.array([0, 6]))
    rows, lengths = sequences.padded(np.array([0, 1, 3, 5, 2]), np.array([6, 4, 4, 6, 2]), width=4)
    assert rows.tolist() == [[3, 4, 5, 6], [2, 3, 4, 0], [4, 0, 0, 0], [6, 0, 0, 0], [0, 0, 0, 0]]
    assert lengths.tolist() == [4, 3, 1, 1, 0]


@pytest.mark.parametrize("width", [1, 2, 7, 60])
def test_padded_against_a_loop(width):
    begin, end = random_spans(width)
    items = np.arange(1, end[-1] + 2)
    rows, lengths = Sequences(items, np.array([0, len(items)])).padded(begin, end, width)
    for row, length, first, last in zip(rows, lengths, begin, end):
        expected = items[first:last][-width:]
        assert length == len(expected)
        assert row.tolist() == [*expected, *[0] * (width - length)]


def test_flatten_spans():
    index, span = flatten_spans(np.array([4, 9, 0, 2]), np.array([6, 9, 3, 2]))
    assert index.tolist() == [4, 5, 0, 1, 2]
    assert span.tolist() == [0, 0, 2, 2, 2]


@pytest.mark.parametrize("begin", [[], [3]])
def test_flatten_spans_of_nothing(begin):
    begin = np.array(begin, dtype=int)
    assert [part.tolist() for part in flatten_spans(begin, begin)] == [[], []]


def pairs(begin, end):
    """Every position whose successor is its target, window after window."""
    return [position for a, b in zip(begin, end) for position in range(a, b)]


@pytest.mark.parametrize("max_pairs", [1, 2, 3, 7, 39, 100])
@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_every_pair_just_once(seed, max_pairs):
    begin, end = random_spans(seed)
    window_begin, window_end = all_windows(begin, end, max_pairs)
    assert sorted(pairs(window_begin, window_end)) == pairs(begin, end)
    sizes = window_end - window_begin
    assert sizes.min() >= 1 and sizes.max() <= max_pairs
    assert (sizes < max_pairs).sum() <= len(begin)  # only a user's oldest window may be short


def test_windows_are_cut_from_the_end():
    begin, end = all_windows(np.array([10, 20]), np.array([17, 20]), max_pairs=3)
    assert list(zip(begin, end)) == [(14, 17), (11, 14), (10, 11)]


@pytest.mark.parametrize("max_pairs", [1, 3, 49])
def test_last_window_is_the_newest_of_all(max_pairs):
    begin, end = random_spans(max_pairs)
    last_begin, last_end = last_window(begin, end, max_pairs)
    assert last_end.tolist() == end.tolist()
    assert last_begin.tolist() == [max(a, b - max_pairs) for a, b in zip(begin, end)]
    newest = set(zip(*all_windows(begin, end, max_pairs)))
    assert {span for span in zip(last_begin, last_end) if span[0] < span[1]} <= newest


def test_both_ways_have_a_name():
    assert list(LONG_SEQUENCES.items()) == [("last", last_window), ("windows", all_windows)]

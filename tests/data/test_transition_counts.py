"""Transition counts against a double loop, and against the paper's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_mqsa.data.transition_counts import count_transitions


def slow_counts(items, begin, end, n_items, time_span, decay=1.0, backward=0.0):
    counts = np.zeros((n_items, n_items))
    for first, last in zip(begin, end):
        for position in range(first, last + 1):
            for later in range(position + 1, min(position + time_span, last) + 1):
                weight = decay ** (later - position - 1)
                counts[items[position], items[later]] += weight
                counts[items[later], items[position]] += weight * backward
    return counts


def made(seed):
    """80 actions of 8 items, and the parts of some users."""
    rng = np.random.default_rng(seed)
    n_items, n_actions = 9, 80
    items = rng.integers(1, n_items, size=n_actions)
    ends = np.sort(rng.choice(n_actions, size=12, replace=False))
    begins = np.concatenate(([0], ends[:-1] + 1))
    begins = np.minimum(begins + rng.integers(0, 3, size=len(begins)), ends)  # parts of some users only
    some = rng.random(len(begins)) < 0.7
    return items, begins[some], ends[some], n_items


@pytest.mark.parametrize("time_span", [1, 2, 3, 30])
@pytest.mark.parametrize("seed", range(4))
def test_against_a_double_loop(seed, time_span):
    *spans, n_items = made(seed)
    counts = count_transitions(*spans, n_items, time_span)
    expected = slow_counts(*spans, n_items, time_span)
    np.testing.assert_array_equal(counts.toarray(), expected)
    assert counts.shape == (n_items, n_items) and counts.nnz == (expected > 0).sum()
    assert counts.has_sorted_indices and counts[0].nnz == counts[:, 0].nnz == 0


@pytest.mark.parametrize(("decay", "backward"), [(0.8, 0.0), (1.0, 0.5), (0.5, 1.0)])
@pytest.mark.parametrize("time_span", [1, 4])
def test_near_ones_count_most_and_what_precedes_may_count(time_span, decay, backward):
    *spans, n_items = made(seed=0)
    counts = count_transitions(*spans, n_items, time_span, decay, backward)
    expected = slow_counts(*spans, n_items, time_span, decay, backward)
    np.testing.assert_allclose(counts.toarray(), expected, rtol=1e-12)
    assert counts.nnz == (expected > 0).sum() and counts.has_sorted_indices


def test_fractions_by_hand():
    """1 2 3: 2 follows 1 at once, 3 one later."""
    counts = count_transitions(np.array([1, 2, 3]), np.array([0]), np.array([2]), 4, 2, 0.5, 0.25)
    assert counts.toarray()[1:, 1:].tolist() == [[0, 1, 0.5], [0.25, 0, 1], [0.125, 0.25, 0]]


def test_by_hand():
    """Two users, 1 2 1 2 and 3 1: directed, never from one user to the next."""
    items, begin, end = np.array([1, 2, 1, 2, 3, 1]), np.array([0, 4]), np.array([3, 5])
    assert count_transitions(items, begin, end, 4).toarray().tolist() == [
        [0, 0, 0, 0], [0, 0, 2, 0], [0, 1, 0, 0], [0, 1, 0, 0],
    ]  # fmt: skip
    assert count_transitions(items, begin, end, 4, time_span=2).toarray()[1:, 1:].tolist() == [
        [1, 2, 0], [1, 1, 0], [1, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("spans", [[], [(1, 1)], [(0, 0), (1, 1), (2, 2)]])
def test_nothing_follows_anything(spans):
    begin, end = np.array(spans, dtype=int).reshape(-1, 2).T
    assert count_transitions(np.array([1, 2, 3]), begin, end, 4, time_span=2).nnz == 0

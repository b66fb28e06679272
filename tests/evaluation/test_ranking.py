"""Ranks and lists against sorting in Python, by blocks against all at once."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_mqsa.evaluation.ranking import (
    best_items,
    target_ranks,
    target_ranks_by_blocks,
    top_items_by_blocks,
)

INF, NAN = math.inf, math.nan


def slow_ranks(scores, target):
    """Items before the target when sorted by score, highest first, then by id."""
    ranks = []
    for row, item in zip(scores.tolist(), target.tolist()):
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))
        ranks.append(order.index(item))
    return ranks


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("n_items", [1, 2, 33, 3000])
def test_ranks_against_sorting(n_items, levels, dtype):
    generator = torch.Generator().manual_seed(n_items)
    scores = torch.randint(levels, (20, n_items), generator=generator).to(dtype)
    target = torch.randint(n_items, (20,), generator=generator)
    assert target_ranks(scores, target).tolist() == slow_ranks(scores, target)


def test_ranks_with_items_left_out():
    generator = torch.Generator().manual_seed(0)
    scores, target = torch.randn(30, 12, generator=generator), torch.randint(12, (30,), generator=generator)
    scores[torch.rand(30, 12, generator=generator) < 0.4] = -INF
    scores[torch.arange(30), target] = torch.randn(30, generator=generator)
    assert target_ranks(scores, target).tolist() == slow_ranks(scores, target)


@pytest.mark.parametrize(
    ("scores", "target", "rank"),
    [
        ([0.1, 0.9, 0.5], 1, 0),
        ([0.5, 0.5, 0.5], 2, 2),  # a tie goes to the smaller id
        ([0.5, 0.5, 0.5], 0, 0),
        ([0.9, -INF, 0.5], 1, None),  # a target left out is behind everything
        ([-INF, -INF, -INF], 0, None),
        ([-INF, -INF, 0.1], 2, 0),
        ([0.1, NAN, 0.2], 1, None),  # a target without a score as well
        ([NAN, 0.5, 0.2], 1, 1),  # and another without one is before it
        ([NAN, NAN, NAN], 1, None),
        ([INF, 0.5, 0.2], 1, 1),
        ([INF, INF, 0.2], 1, 1),
    ],
)
def test_a_rank_by_hand(scores, target, rank):
    ours = target_ranks(torch.tensor([scores]), torch.tensor([target])).item()
    assert ours == rank if rank is not None else ours >= len(scores)


@pytest.mark.parametrize("cells", [1, 100, 10**6])
@pytest.mark.parametrize("levels", [2, 1000])
def test_ranks_by_blocks_are_those_of_all_scores(cells, levels):
    """Whole numbers as factors, so that scores are exact and many are equal."""
    generator = torch.Generator().manual_seed(levels)
    states, items = (torch.randint(levels, (n, 3), generator=generator).float() for n in (20, 57))
    target = torch.randint(1, 57, (20,), generator=generator)
    seen = torch.randint(20, (90,), generator=generator), torch.randint(1, 57, (90,), generator=generator)
    states[3], states[4] = NAN, INF
    scores = states @ items.T
    scores[:, 0] = scores[seen] = -INF
    assert (
        target_ranks_by_blocks(states, items, target, seen, cells).tolist()
        == target_ranks(scores, target).tolist()
    )
    scores = states @ items.T
    scores[:, 0] = -INF
    assert (
        target_ranks_by_blocks(states, items, target, None, cells).tolist()
        == target_ranks(scores, target).tolist()
    )


@pytest.mark.parametrize("cells", [1, 100, 10**6])
@pytest.mark.parametrize("masked", [True, False])
def test_the_best_by_blocks_are_those_of_all_scores(cells, masked):
    generator = torch.Generator().manual_seed(0)
    states, items = (torch.randn(n, 3, generator=generator) for n in (20, 57))
    seen = torch.randint(20, (300,), generator=generator), torch.randint(1, 57, (300,), generator=generator)
    scores = states @ items.T
    scores[:, 0] = -INF
    if masked:
        scores[seen] = -INF
    expected, ids = scores.topk(7, 1)
    ours = top_items_by_blocks(states, items, 7, seen if masked else None, cells)
    torch.testing.assert_close(ours[0], expected)
    assert torch.equal(ours[1], ids)


def test_a_list_of_more_than_there_are():
    scores, ids = top_items_by_blocks(
        torch.ones(2, 1), torch.tensor([[9.0], [1.0], [3.0], [2.0]]), 5, None, 2
    )
    assert ids.tolist() == [[2, 3, 1], [2, 3, 1]] and scores.tolist() == [[3, 2, 1], [3, 2, 1]]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("levels", [2, 30, 10**6])
@pytest.mark.parametrize("k", [1, 20])
def test_the_best_of_long_rows_against_sorting(k, levels, transposed):
    """Long enough that groups of groups are searched; few levels make ties of the last places."""
    generator = torch.Generator().manual_seed(levels)
    scores = torch.randint(levels, (15, 5003), generator=generator).float()
    scores[torch.rand(scores.shape, generator=generator) < 0.3] = -INF
    scores[0], scores[1, 7:], scores[2, 3000] = -INF, -INF, INF
    best, ids = best_items(scores.T.contiguous().T if transposed else scores, k)
    for row, own, found in zip(scores.tolist(), best.tolist(), ids.tolist()):
        order = sorted(range(len(row)), key=lambda item: (-row[item], item))[:k]
        assert own == [row[item] for item in order]
        assert found == [item if row[item] > -INF else 0 for item in order]


def test_a_score_that_is_none_is_not_lost_among_groups():
    scores = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
    scores[1, 1234] = NAN
    assert best_items(scores, 5)[1][1, 0] == 1234

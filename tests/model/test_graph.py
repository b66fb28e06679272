"""GraReg's penalty and GES's smoothing against double loops and dense matrices."""

from __future__ import annotations

import pytest
import torch
from helpers.transitions import N_ITEMS, made_counts, made_items
from scipy import sparse

from recbole_mqsa.model.graph import (
    Smoothing,
    SymmetricMatrix,
    follower_edges,
    graph_regularisation,
    laplacian,
    smoothing_matrix,
)

NEIGHBOURS = [1, 3, 10, 99]


def csr(counts):
    return sparse.csr_matrix(counts.numpy())


def slow_edges(counts, neighbours):
    """{(i, j): share} by sorting each item's followers."""
    edges = {}
    for head, row in enumerate(counts.tolist()):
        followers = [(-count, tail) for tail, count in enumerate(row) if count > 0 and tail != head]
        kept = sorted(followers)[:neighbours]
        for count, tail in kept:
            edges[head, tail] = count / sum(count for count, _ in kept)
    return edges


@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("seed", range(3))
def test_edges(seed, neighbours):
    counts = made_counts(seed)
    counts[:, 7].clamp_(max=2)
    counts[4, 4] = 99  # more often than anything else, and yet no neighbour
    edges = follower_edges(csr(counts), neighbours)
    slow = slow_edges(counts, neighbours)
    assert {(i, j): pytest.approx(share) for (i, j), share in slow.items()} == dict(edges.todok().items())
    assert all(total == pytest.approx(1) or total == 0 for total in edges.toarray().sum(1))


def test_edges_by_hand():
    """Of equally frequent followers the earlier item stays: item 1 keeps 3 (five times) and 2, of 2 and 4."""
    counts = torch.zeros(5, 5)
    counts[1, 2], counts[1, 3], counts[1, 4] = 2, 5, 2
    assert dict(follower_edges(csr(counts), 2).todok().items()) == {(1, 3): 5 / 7, (1, 2): 2 / 7}


def test_no_edges_at_all():
    counts, items = torch.zeros(N_ITEMS + 1, N_ITEMS + 1), made_items()
    penalty = graph_regularisation(items, SymmetricMatrix(laplacian(follower_edges(csr(counts), 10))))
    assert penalty == 0 and torch.autograd.grad(penalty, items)[0].abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("neighbours", NEIGHBOURS)
def test_regularisation_against_a_double_loop(neighbours, dtype):
    counts, items = made_counts(), made_items(dtype)
    fast = graph_regularisation(items, SymmetricMatrix(laplacian(follower_edges(csr(counts), neighbours))))
    slow = torch.zeros((), dtype=dtype)
    for (head, tail), share in slow_edges(counts, neighbours).items():
        slow = slow + share * (items[head] - items[tail]).square().sum()
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=0)
    ours, true = torch.autograd.grad(3 * fast, items)[0], torch.autograd.grad(3 * slow, items)[0]
    torch.testing.assert_close(ours, true, rtol=1e-5, atol=1e-5)
    assert ours[0].abs().max() == 0  # padding


def dense_smoothing(counts, n_layers):
    graph = counts + counts.T + torch.eye(len(counts), dtype=counts.dtype)
    degree = graph.sum(1)
    return torch.linalg.matrix_power(graph / (degree[:, None] * degree).sqrt(), n_layers)


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_smoothing_against_a_dense_matrix(n_layers):
    counts, items = made_counts(), made_items()
    fast = Smoothing(smoothing_matrix(csr(counts)), n_layers)(items)
    slow = dense_smoothing(counts, n_layers) @ items
    upstream = torch.randn(slow.shape, generator=torch.Generator().manual_seed(2), dtype=slow.dtype)
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        torch.autograd.grad(fast, items, upstream),
        torch.autograd.grad(slow, items, upstream),
        rtol=1e-6,
        atol=1e-6,
    )


def test_smoothing_by_hand():
    """1 is followed by 2 once: A + I is all ones on the two, so each becomes their mean; 3 stays."""
    counts = torch.zeros(4, 4)
    counts[1, 2] = 1
    items = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    smoothed = Smoothing(smoothing_matrix(csr(counts)), 1)(items)
    torch.testing.assert_close(smoothed, torch.tensor([[0.0], [3.0], [3.0], [7.0]]))


def test_rows_beyond_the_graph_and_padding_stay():
    """BERT4Rec's embedding ends with its mask token, which no transition knows."""
    items = torch.cat([made_items().detach(), torch.full((1, 6), 5.0, dtype=torch.float64)]).requires_grad_()
    smoothed = Smoothing(smoothing_matrix(csr(made_counts())), 2)(items)
    assert smoothed[-1].tolist() == [5.0] * 6 and smoothed[0].abs().max() == 0
    gradient = torch.autograd.grad(smoothed[-1].sum() + smoothed[0].sum(), items)[0]
    assert gradient[-1].tolist() == [1.0] * 6 and gradient[1:-1].abs().max() == 0

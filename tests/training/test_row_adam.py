"""Adam on the rows that a step reads, against Adam and its formulas by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_mqsa.training.row_adam import RowAdam

SETTINGS = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6}


def of_rows(rows, values, shape):
    values = torch.tensor(values, dtype=torch.float64)
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, shape, check_invariants=True)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_with_all_rows_read_it_is_adam(weight_decay):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    dense = torch.nn.Parameter(start.clone())  # a dense gradient beside it
    row_adam = RowAdam([ours, dense], weight_decay=weight_decay, **SETTINGS)
    adam = torch.optim.Adam([theirs], weight_decay=weight_decay, **SETTINGS)
    for _ in range(4):
        gradient = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        order = torch.randperm(5, generator=generator)
        ours.grad = torch.sparse_coo_tensor(order[None], gradient[order], (5, 3), check_invariants=True)
        theirs.grad, dense.grad = gradient.clone(), gradient.clone()
        row_adam.step()
        adam.step()
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(dense, theirs)


def test_a_row_moves_when_it_is_read_and_never_else():
    """By hand: row 1 at steps 1 and 3, the second time as two entries; row 0 never."""
    weight = torch.nn.Parameter(torch.tensor([[5.0], [2.0], [7.0]], dtype=torch.float64))
    optimizer = RowAdam([weight], weight_decay=0.5, **SETTINGS)
    x, mean, square = 2.0, 0.0, 0.0
    steps = [([1], [[3.0]], 3.0), ([2], [[1.0]], None), ([1, 2, 1], [[1.0], [4.0], [-2.0]], -1.0)]
    for step, (rows, values, gradient) in enumerate(steps, start=1):
        weight.grad = of_rows(rows, values, (3, 1))
        optimizer.step()
        if gradient is not None:
            gradient += 0.5 * x
            mean, square = 0.8 * mean + 0.2 * gradient, 0.95 * square + 0.05 * gradient**2
            x -= 0.1 * mean / (1 - 0.8**step) / (math.sqrt(square / (1 - 0.95**step)) + 1e-6)
        assert weight[1].item() == pytest.approx(x, rel=1e-9)
    assert weight[0].item() == 5.0 and weight[2].item() != 7.0
    assert weight.grad.is_sparse  # for whoever looks at it after the step


def test_it_goes_on_from_a_saved_state():
    def stepped(optimizer, weight, values):
        for value in values:
            weight.grad = of_rows([0, 2], [[value], [1.0]], (3, 1))
            optimizer.step()

    straight = torch.nn.Parameter(torch.ones(3, 1, dtype=torch.float64))
    stepped(RowAdam([straight], fused=True, **SETTINGS), straight, [1.0, 2.0, 3.0])
    first = torch.nn.Parameter(torch.ones(3, 1, dtype=torch.float64))
    before = RowAdam([first], fused=True, **SETTINGS)
    stepped(before, first, [1.0, 2.0])
    second = torch.nn.Parameter(first.detach().clone())
    after = RowAdam([second], fused=True, **SETTINGS)
    after.load_state_dict(before.state_dict())
    stepped(after, second, [3.0])
    assert torch.equal(straight, second)

"""Losses over drawn items: the full ones where everything is drawn, and unbiased where not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from recbole_mqsa.model.distillation import TransitionTeacher, distillation_loss
from recbole_mqsa.model.sampled import (
    Drawn,
    NegativeSampler,
    sampled_distillation_loss,
    sampled_recommendation_loss,
)
from recbole_mqsa.model.softmax import recommendation_loss

N_ITEMS, D = 30, 8


def made_items(scale: float = 1.0) -> torch.Tensor:
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, D, dtype=torch.float64) * scale
    items[0] = 0
    return items.requires_grad_()


def made_teacher(tau: float) -> TransitionTeacher:
    random = np.random.default_rng(0)
    dense = random.poisson(0.2, (N_ITEMS + 1, N_ITEMS + 1)).astype(float)
    dense[0] = dense[:, 0] = dense[5] = 0
    return TransitionTeacher(sparse.csr_matrix(dense), tau)


EVERYTHING = Drawn(torch.arange(1, N_ITEMS + 1), torch.zeros(N_ITEMS, dtype=torch.float64))


def equal_gradients(ours: torch.Tensor, true: torch.Tensor, *of: torch.Tensor) -> None:
    torch.testing.assert_close(ours, true, rtol=1e-6, atol=1e-6)
    for mine, theirs in zip(torch.autograd.grad(ours, of), torch.autograd.grad(true, of)):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_recommendation_with_every_item_drawn_is_the_full_loss() -> None:
    items = made_items()
    states, targets = torch.randn(7, D, dtype=torch.float64, requires_grad=True), torch.arange(3, 10)
    ours = sampled_recommendation_loss(states, targets, items, EVERYTHING)
    equal_gradients(ours, recommendation_loss(states, targets, items), states, items)


def slow_recommendation(states, targets, items, drawn):
    """A position after the other, each with its own list of classes."""
    losses = []
    for state, target in zip(states, targets.tolist()):
        scores = [items[target] @ state, torch.zeros((), dtype=states.dtype)]
        for item, weight in zip(drawn.items.tolist(), drawn.log_weights):
            if item != target:
                scores.append(items[item] @ state + weight)
        losses.append(torch.stack(scores).logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("drawn", [[4], [2, 3, 9, 30]], ids=str)
def test_recommendation_against_a_loop(count: int, drawn: list[int]) -> None:
    """Of one item drawn nothing is left for the positions whose target it is; 300 positions are two blocks."""
    items, drawn = made_items(), torch.tensor(drawn)
    one = Drawn(drawn, torch.linspace(0.5, 2.0, len(drawn), dtype=torch.float64))
    states = torch.randn(count, D, dtype=torch.float64, requires_grad=True)
    targets = torch.arange(count) % N_ITEMS + 1
    targets[0] = drawn[0]
    ours = sampled_recommendation_loss(states, targets, items, one)
    equal_gradients(ours, slow_recommendation(states, targets, items, one), states, items)


def test_half_precision_costs_little() -> None:
    items = made_items(0.3).detach().float().requires_grad_()
    states, targets = torch.randn(70, D), torch.randint(1, N_ITEMS + 1, (70,))
    drawn = Drawn(torch.arange(1, N_ITEMS, 2), torch.full((N_ITEMS // 2,), 0.7))
    exact = sampled_recommendation_loss(states, targets, items, drawn)
    coarse = sampled_recommendation_loss(states, targets, items, drawn, torch.bfloat16)
    assert coarse.item() == pytest.approx(exact.item(), rel=2e-3)
    (true,), (near,) = (torch.autograd.grad(loss, items) for loss in (exact, coarse))
    assert (near - true).norm() < 0.01 * true.norm()


@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_distillation_with_every_item_drawn_is_the_full_loss(tau: float) -> None:
    items, teacher = made_items(0.2), made_teacher(tau)
    heads = torch.tensor([3, 5, 3, 9, 30])  # 5 has no followers
    ours = sampled_distillation_loss(heads, items, teacher, tau, EVERYTHING)
    equal_gradients(ours, distillation_loss(heads, items, teacher, tau), items)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_draws_stand_for_all_items_without_bias(beta: float) -> None:
    """The weighted sum over the draws of any f has the sum over all items as its mean."""
    torch.manual_seed(0)
    sampler = NegativeSampler(torch.arange(N_ITEMS + 1), 20, beta)
    f = torch.rand(N_ITEMS + 1).double()
    sums = []
    for _ in range(4000):
        drawn = sampler()
        assert drawn.items.min() > 0
        assert len(drawn.items.unique()) == len(drawn.items)
        sums.append((drawn.log_weights.double().exp() * f[drawn.items]).sum())
    estimates = torch.stack(sums)
    error = estimates.std() / len(estimates) ** 0.5
    assert abs(estimates.mean() - f[1:].sum()) < 4 * error
    assert error < 0.01 * f.sum()


def test_few_draws_come_near_the_full_losses() -> None:
    torch.manual_seed(1)
    items, tau = made_items(0.3), 0.5
    teacher, heads = made_teacher(tau), torch.randint(1, N_ITEMS + 1, (40,))
    states, targets = torch.randn(60, D, dtype=torch.float64), torch.randint(1, N_ITEMS + 1, (60,))
    sampler = NegativeSampler(torch.ones(N_ITEMS + 1), 400, 0.0)
    drawn = [sampler() for _ in range(50)]
    rec = torch.stack([sampled_recommendation_loss(states, targets, items, one) for one in drawn])
    kd = torch.stack([sampled_distillation_loss(heads, items, teacher, tau, one) for one in drawn])
    assert rec.mean().item() == pytest.approx(recommendation_loss(states, targets, items).item(), rel=0.01)
    assert kd.mean().item() == pytest.approx(distillation_loss(heads, items, teacher, tau).item(), rel=0.02)


def test_an_item_that_never_occurs_is_drawn_too() -> None:
    torch.manual_seed(0)
    sampler = NegativeSampler(torch.tensor([0, 5, 0, 5]), 200, 1.0)
    assert sampler().items.tolist() == [1, 2, 3]

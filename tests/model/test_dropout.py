"""Dropout from few random bits against what dropout promises."""

from __future__ import annotations

import pytest
import torch

from recbole_mqsa.model.dropout import dropout

N = 400_000


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_share_scale_and_gradient(p):
    torch.manual_seed(0)
    x = torch.rand(N // 4 + 3, 4).add_(1).requires_grad_()
    out = dropout(x, p, training=True)
    kept = out != 0
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(kept.double().mean().item() - (1 - p)) < 5 * deviation + 2**-17
    scale = {"rtol": 2**-16 / (1 - p), "atol": 0.0}  # p counts to within 2**-17, of which the scale makes up
    torch.testing.assert_close(out[kept], x[kept] / (1 - p), **scale)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(gradient, kept / torch.tensor(1 - p), **scale)


@pytest.mark.parametrize("p", [0.99, 0.9999, 0.999999, 1 - 1e-12])
def test_the_mean_is_kept_close_to_one(p):
    torch.manual_seed(0)
    out = dropout(torch.ones(40 * N), p, training=True)
    kept = max(1 - p, 2**-16)
    assert abs(out.double().mean().item() - 1) < 5 * ((1 - kept) / kept / len(out)) ** 0.5


def test_elements_are_independent():
    """Four elements share a word of random bits, but no element tells of its neighbours."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(N), 0.5, training=True) != 0).double()
    for lag in (1, 2, 3, 4, 8):
        agree = (kept[:-lag] == kept[lag:]).double().mean().item()
        assert abs(agree - 0.5) < 5 * 0.5 / N**0.5


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_nothing_is_dropped(p, training):
    x = torch.rand(7, 3)
    assert dropout(x, p, training) is x


def test_seed_decides():
    x, draws = torch.rand(9, 5), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(x, 0.5, training=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])

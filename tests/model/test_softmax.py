"""The blocked losses against dense ones, values and gradients, over odd shapes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from recbole_mqsa.model.softmax import (
    Limits,
    RowBlocks,
    product_dtype,
    recommendation_loss,
    weighted_logsumexp,
)

D = 7
BLOCKS = [0, 1, 7, 64, 1000]


def made(n_states, n_items, dtype=torch.float64, scale=1.0, seed=0):
    """States, items and uneven weights; item 0 is padding, a zero vector."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(n_states, D, generator=generator, dtype=dtype) * scale
    items = torch.randn(n_items, D, generator=generator, dtype=dtype)
    items[0] = 0
    weights = torch.rand(n_states, generator=generator, dtype=dtype)
    weights[0] = 0
    targets = torch.randint(1, n_items, (n_states,), generator=generator)
    return states.requires_grad_(), items.requires_grad_(), weights, targets


def dense_logsumexp(states, items, weights):
    return (weights * (states @ items.T).logsumexp(1)).sum()


def dense_recommendation(states, targets, items):
    """Padding takes part as a class, but is no parameter."""
    items = torch.cat([items[:1].detach(), items[1:]])
    return F.cross_entropy(states @ items.T, targets)


def with_gradients(loss, *inputs, upstream=1.0):
    return [loss.detach(), *torch.autograd.grad(loss, inputs, torch.as_tensor(upstream, dtype=loss.dtype))]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("n_items", [2, 12, 507])
@pytest.mark.parametrize("n_states", [1, 5, 64, 130])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_against_dense(dtype, n_states, n_items, block):
    states, items, weights, targets = made(n_states, n_items, dtype, scale=2.0)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for fast, slow in (
        (weighted_logsumexp(states, items, weights, block), dense_logsumexp(states, items, weights)),
        (recommendation_loss(states, targets, items, block), dense_recommendation(states, targets, items)),
    ):
        assert fast.dtype == dtype and fast.shape == ()
        ours = with_gradients(fast, states, items, upstream=-2.5)
        theirs = with_gradients(slow, states, items, upstream=-2.5)
        for our, their in zip(ours, theirs):
            assert our.shape == their.shape
            assert (our - their).abs().max() <= tolerance * their.abs().max() + tolerance / 10


@pytest.mark.parametrize("block", BLOCKS)
def test_float32_is_no_worse_than_dense_float32(block):
    exact = made(130, 507, scale=3.0)
    single = [tensor.detach().float().requires_grad_() for tensor in exact[:2]]
    best = with_gradients(dense_recommendation(exact[0], exact[3], exact[1]), *exact[:2])
    fast = with_gradients(recommendation_loss(single[0], exact[3], single[1], block), *single)
    dense = with_gradients(dense_recommendation(single[0], exact[3], single[1]), *single)
    for ours, theirs, true in zip(fast, dense, best):
        assert (ours - true).abs().max() <= 2 * (theirs - true).abs().max() + 1e-7 * true.abs().max()


@pytest.mark.parametrize("block", BLOCKS)
def test_large_scores_stay_finite(block):
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(65, D, generator=generator)
    items = torch.randn(40, D, generator=generator)
    states = (states * 200 / (states @ items.T).abs().amax(1, keepdim=True)).requires_grad_()
    items.requires_grad_()
    torch.testing.assert_close((states @ items.T).abs().amax(1), torch.full((65,), 200.0))
    weights = torch.full((65,), 1 / 65)
    fast = with_gradients(weighted_logsumexp(states, items, weights, block), states, items)
    exact = [tensor.detach().double().requires_grad_() for tensor in (states, items)]
    slow = with_gradients(dense_logsumexp(*exact, weights.double()), *exact)
    for ours, true in zip(fast, slow):
        torch.testing.assert_close(ours.double(), true, rtol=1e-4, atol=1e-4)


def test_scores_that_a_naive_exponential_cannot_take():
    """One item at +-200 beside padding at 0: the loss is 200 or 0, not infinite."""
    items = torch.tensor([[0.0], [1.0]])
    for score, target_loss in ((200.0, 0.0), (-200.0, 200.0), (0.0, 0.6931472)):
        loss = recommendation_loss(torch.tensor([[score]]), torch.tensor([1]), items)
        assert loss.item() == pytest.approx(target_loss)


@pytest.mark.parametrize("block", BLOCKS)
def test_padding_gets_no_gradient(block):
    states, items, weights, targets = made(70, 12)
    recommendation_loss(states, targets, items, block).backward()
    assert items.grad[0].abs().max() == 0 and items.grad[1:].abs().amin(1).min() > 0
    items.grad = None
    weighted_logsumexp(states, items, weights, block, padding_idx=3).backward()
    assert items.grad[3].abs().max() == 0 and items.grad[0].abs().max() > 0


@pytest.mark.parametrize("constant", [0, 1])
def test_one_input_may_be_constant(constant):
    both = list(made(9, 12)[:2])
    weights = torch.rand(9, dtype=torch.float64)
    expected = with_gradients(dense_logsumexp(*both, weights), both[1 - constant])
    both[constant] = both[constant].detach()
    loss = weighted_logsumexp(*both, weights, 4)
    torch.testing.assert_close(with_gradients(loss, both[1 - constant]), expected)


def test_no_gradient_at_all():
    states, items, weights, _ = made(9, 12)
    expected = dense_logsumexp(states, items, weights)
    with torch.no_grad():
        loss = weighted_logsumexp(states, items, weights, 4)
    torch.testing.assert_close(loss, expected.detach())
    assert not loss.requires_grad


@pytest.mark.parametrize("block", [0, 7, 64])
@pytest.mark.parametrize("n_items", [12, 507])
def test_bfloat16_is_near(block, n_items):
    """bfloat16 keeps 8 bits: the loss within 1 %, the gradients' direction within a degree or two."""
    states, items, _, targets = made(130, n_items, torch.float32)
    fast = with_gradients(recommendation_loss(states, targets, items, block, torch.bfloat16), states, items)
    slow = with_gradients(dense_recommendation(states, targets, items), states, items)
    assert [part.dtype for part in fast] == [torch.float32] * 3
    assert fast[0].item() == pytest.approx(slow[0].item(), rel=1e-2)
    for ours, true in zip(fast[1:], slow[1:]):
        assert F.cosine_similarity(ours.flatten(), true.flatten(), dim=0) > 0.999
        assert ours.norm().item() == pytest.approx(true.norm().item(), rel=1e-2)


def test_blocks_give_the_same_in_bfloat16():
    states, items, _, targets = made(130, 507, torch.float32)
    results = [
        with_gradients(recommendation_loss(states, targets, items, block, torch.bfloat16), states, items)
        for block in (0, 7, 64)
    ]
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("precision", "supported", "dtype"),
    [
        ("float32", True, None),
        ("bfloat16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, None),
    ],
)
def test_product_dtype(monkeypatch, precision, supported, dtype):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: supported, raising=False)
    assert product_dtype(precision, torch.device("cpu")) == dtype


def test_product_dtype_on_a_torch_without_those_questions(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert product_dtype("auto", torch.device("cpu")) is None


# A catalogue of which not even one block's scores may be held.


@pytest.mark.parametrize("cells", [1, 70, 640, 5000])
@pytest.mark.parametrize("without_padding", [False, True])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_chunks_of_items_give_the_same(cells, without_padding, dtype):
    """Item chunks of every size, one of a single item among them, against all items at once."""
    torch.manual_seed(0)
    states, items = torch.randn(70, 16) * 2, torch.randn(131, 16)
    weights = torch.rand(70)
    states.requires_grad_()
    items.requires_grad_()

    def loss_and_gradients(limits):
        options = {"without_padding": without_padding, "limits": limits}
        loss = weighted_logsumexp(states, items, weights, 32, dtype, **options)
        return [loss, *torch.autograd.grad(loss, (states, items))]

    tolerance = 1e-5 if dtype is None else 2e-2
    for chunked, whole in zip(loss_and_gradients(Limits(0, cells)), loss_and_gradients(Limits())):
        assert (chunked - whole).abs().max() <= tolerance * whole.abs().max()


@pytest.mark.parametrize("cells", [1, 70, 5000])
def test_chunks_against_dense(cells):
    """Value and gradients, scaled from above, with padding that is no parameter."""
    states, items, _, targets = made(130, 57, scale=2.0)
    fast = recommendation_loss(states, targets, items, 32, limits=Limits(0, cells))
    slow = dense_recommendation(states, targets, items)
    for ours, theirs in zip(*(with_gradients(loss, states, items, upstream=-2.5) for loss in (fast, slow))):
        torch.testing.assert_close(ours, theirs)


def test_rows_at_once_by_device():
    """None takes 256 rows on a processor; a GPU takes all that it can hold, but no fewer than 256."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for rows, n_items, expected in ((1472, 12_102, 1472), (4096, 100_001, 2624), (4096, 10**7, 256)):
        assert RowBlocks(rows, n_items, None, cuda).rows == expected
        assert RowBlocks(rows, n_items, None, cpu).rows == 256
    assert RowBlocks(64, 12_102, None, cpu).rows == 64
    assert RowBlocks(4096, 12_102, 0, cpu).rows == RowBlocks(4096, 12_102, 0, cuda).rows == 4096


def test_chunks_never_hold_more_scores_than_allowed(monkeypatch):
    """The largest product of states and items that is ever made."""
    made = []
    product = torch.mm

    def watched(a, b, **keywords):
        made.append(a.shape[0] * b.shape[1])
        return product(a, b, **keywords)

    monkeypatch.setattr(torch, "mm", watched)
    states, items = torch.randn(200, 8, requires_grad=True), torch.randn(1001, 8, requires_grad=True)
    weighted_logsumexp(states, items, torch.ones(200), 64, limits=Limits(64 * 1000, 64 * 50)).backward()
    assert max(made) == 64 * 50
    assert sum(made) == 2 * 256 * 1001  # each score twice; 200 rows fill up to 256

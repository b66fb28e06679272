"""One gradient buffer for all who read the item embeddings, against autograd's own sums of dense gradients."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recbole_mqsa.model.item_table import ItemTable
from recbole_mqsa.model.softmax import Limits, recommendation_loss, weighted_logsumexp

N_ITEMS, D = 40, 6
GENERATOR = torch.Generator()


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR.manual_seed(seed), dtype=torch.float64)


STATES, IDS, WEIGHTS = random(9, D, seed=1), torch.tensor([3, 7, 7, 1, 40]), random(9, seed=2).abs()
IN_CHUNKS = Limits(block=0, chunk=500)
READERS = {
    "rows": (lambda table, _: table.rows(IDS), lambda items: items[IDS]),
    "same rows": (lambda table, _: table.rows(IDS).square(), lambda items: items[IDS].square()),
    "total": (lambda table, _: table.total(), lambda items: items[1:].sum(0)),
    "scores": (
        lambda table, limits: weighted_logsumexp(STATES, table, WEIGHTS, 4, limits=limits),
        lambda items: WEIGHTS @ (STATES @ items.T).logsumexp(1),
    ),
    "more scores": (
        lambda table, limits: weighted_logsumexp(
            STATES * 2, table, WEIGHTS, 0, without_padding=True, limits=limits
        ),
        lambda items: WEIGHTS @ (2 * STATES @ items[1:].T).logsumexp(1),
    ),
    "loss": (
        lambda table, limits: recommendation_loss(table.rows(IDS), IDS, table, limits=limits),
        lambda items: torch.nn.functional.cross_entropy(
            items[IDS] @ torch.cat([items[:1].detach(), items[1:]]).T, IDS
        ),
    ),
}
"""By name, what reads a table under some limits, and the same of plain embeddings."""


@pytest.fixture(params=[Limits(), IN_CHUNKS], ids=["at once", "in chunks"])
def limits(request):
    return request.param


@pytest.mark.parametrize(
    "names",
    [[name] for name in READERS]
    + [["rows", "same rows", "total"], ["scores", "more scores"], ["rows", *reversed(READERS)], [*READERS]],
    ids=", ".join,
)
def test_the_gradient_is_the_sum_over_all_readers(limits, names):
    """Each reader's result enters with a factor of its own; one that enters nothing adds nothing."""
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    factors = range(-2, len(names) - 2)
    table = ItemTable(weight)
    unused = weighted_logsumexp(STATES, table, WEIGHTS, limits=limits)
    ours = sum(f * READERS[name][0](table, limits).sum() for f, name in zip(factors, names))
    theirs = sum(f * READERS[name][1](weight).sum() for f, name in zip(factors, names))
    torch.testing.assert_close(ours, theirs)
    expected = torch.autograd.grad(theirs, weight)[0]
    torch.testing.assert_close(torch.autograd.grad(ours, weight)[0], expected)
    assert unused.requires_grad


def test_a_sparse_gradient_is_the_same_gradient():
    """Several readers of rows, one of them twice; without any there is none."""
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    sums = []
    for sparse in (True, False):
        table = ItemTable(weight, sparse)
        sums.append(table.rows(IDS).square().sum() + (STATES @ table.rows(IDS[:2]).T).exp().sum())
    ours, theirs = (torch.autograd.grad(each, weight)[0] for each in sums)
    assert ours.is_sparse and not theirs.is_sparse
    assert sorted(set(ours.coalesce().indices()[0].tolist())) == sorted(set(IDS.tolist()))
    torch.testing.assert_close(ours.to_dense(), theirs)


@pytest.mark.parametrize("name", ["total", "scores"])
def test_what_reads_all_rows_has_no_sparse_gradient(limits, name):
    table = ItemTable(random(N_ITEMS + 1, D, seed=0).requires_grad_(), sparse=True)
    with pytest.raises(NotImplementedError, match="that of all"):
        READERS[name][0](table, limits).backward(
            torch.ones(D if name == "total" else (), dtype=torch.float64)
        )


def test_gradients_add_up_over_backward_passes(limits):
    """What the parameter already holds stays, as with any other operation."""
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    for name in ("loss", "rows"):
        READERS[name][0](ItemTable(weight), limits).sum().backward()
    ours, weight.grad = weight.grad, None
    for name in ("loss", "rows"):
        READERS[name][1](weight).sum().backward()
    torch.testing.assert_close(ours, weight.grad)


def test_computed_embeddings(limits):
    """The table of something computed hands its gradient on to what it was computed of."""
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    ours = (
        READERS["loss"][0](ItemTable(weight * 3), limits)
        + READERS["total"][0](ItemTable(weight.square()), limits).sum()
    )
    theirs = READERS["loss"][1](weight * 3) + READERS["total"][1](weight.square()).sum()
    torch.testing.assert_close(torch.autograd.grad(ours, weight), torch.autograd.grad(theirs, weight))


def test_a_second_backward_pass_is_refused(limits):
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    loss = READERS["loss"][0](ItemTable(weight), limits)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_without_gradient_nothing_is_recorded(limits):
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    with torch.no_grad():
        assert not READERS["loss"][0](ItemTable(weight), limits).requires_grad
    assert not READERS["loss"][0](ItemTable(weight.detach()), limits).requires_grad


def test_one_cast_for_all():
    table = ItemTable(torch.randn(N_ITEMS + 1, D))
    assert table.cast(torch.float32) is table.values
    assert table.cast(torch.bfloat16) is table.cast(torch.bfloat16)
    assert torch.equal(table.cast(torch.bfloat16), table.values.bfloat16())


class _LargeTensors(TorchDispatchMode):
    """Weak references to every tensor as large as the embeddings that an operation makes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.made: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.untyped_storage().nbytes() >= self.size:
            storage = result.untyped_storage()
            self.made.setdefault(storage.data_ptr(), weakref.ref(result))
        return result


def test_many_items_need_one_gradient_and_no_other_copy():
    """Of all that a step makes, only the gradient itself is as large as the embeddings."""
    weight = torch.randn(5001, D, requires_grad=True)
    with _LargeTensors(weight.numel() * weight.element_size() // 2) as large:
        table = ItemTable(weight)
        loss = recommendation_loss(table.rows(IDS), IDS, table, 4, limits=IN_CHUNKS) + table.total().sum()
        scores = weighted_logsumexp(STATES.float(), table, WEIGHTS.float(), 4, limits=IN_CHUNKS)
        (loss + scores).backward()
    assert set(large.made) == {weight.data_ptr(), weight.grad.data_ptr()}


def test_nothing_outlives_the_step(limits):
    """No cycle of references keeps a table or its gradient until the garbage is collected."""
    weight = random(N_ITEMS + 1, D, seed=0).requires_grad_()
    gc.disable()
    try:
        table = ItemTable(weight)
        kept = [weakref.ref(table), weakref.ref(table.gradient)]
        loss = READERS["loss"][0](table, limits)
        loss.backward()
        del table, loss
        assert [reference() for reference in kept] == [None, None]
    finally:
        gc.enable()

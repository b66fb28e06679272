"""The sparse teacher and its loss against dense softmax rows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.transitions import N_ITEMS, D, dense_rows, made_counts, made_items
from scipy import sparse

from recbole_mqsa.errors import UserError
from recbole_mqsa.model.distillation import TransitionTeacher, distillation_loss, sample_heads
from recbole_mqsa.model.dropout import dropout
from recbole_mqsa.model.mqsated import MQSATED
from recbole_mqsa.training.build import build_dataset, build_loaders

TAUS = [1, 0.1, 0.05, 0.005]


def teacher_of(counts, tau):
    return TransitionTeacher(sparse.csr_matrix(counts.numpy()), tau)


def stored_rows(teacher):
    """[I, I] what the teacher holds: the mean item of one-hot items is the row itself."""
    one_hot = torch.cat([torch.zeros(1, N_ITEMS), torch.eye(N_ITEMS)]).double()
    return teacher.mean_item(torch.arange(1, N_ITEMS + 1), one_hot)


@pytest.mark.parametrize("tau", TAUS)
def test_rows_are_softmax_rows(tau):
    counts = made_counts()
    rows = stored_rows(teacher_of(counts, tau))
    torch.testing.assert_close(rows, dense_rows(counts, tau), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(rows.sum(1), torch.ones(N_ITEMS).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(rows[0], torch.full((N_ITEMS,), 1 / N_ITEMS).double(), rtol=1e-6, atol=0)


def test_a_row_by_hand():
    """Item 3 is followed by item 5 alone: e^1 against e^0 ten times at temperature 1."""
    row = stored_rows(teacher_of(made_counts(), 1))[2]
    assert row[4].item() == pytest.approx(2.7182818 / 12.7182818)
    assert row[0].item() == pytest.approx(1 / 12.7182818)


@pytest.mark.parametrize("tau", TAUS)
def test_a_scaled_row_is_the_same(tau):
    counts = made_counts()
    torch.testing.assert_close(
        stored_rows(teacher_of(counts * 1000, tau)), stored_rows(teacher_of(counts, tau))
    )


def test_no_transitions_at_all():
    rows = stored_rows(teacher_of(torch.zeros(N_ITEMS + 1, N_ITEMS + 1), 0.1))
    torch.testing.assert_close(rows, torch.full_like(rows, 1 / N_ITEMS), rtol=1e-6, atol=0)


@pytest.mark.parametrize("heads", [[5], [1], [3, 3, 1, 2, 11, 1, 7], [1, 1]])
@pytest.mark.parametrize("tau", TAUS)
def test_mean_item(tau, heads):
    counts, items, heads = made_counts(), made_items(), torch.tensor(heads)
    fast = teacher_of(counts, tau).mean_item(heads, items)
    slow = dense_rows(counts, tau)[heads - 1] @ items[1:]
    upstream = torch.randn(slow.shape, generator=torch.Generator().manual_seed(2), dtype=slow.dtype)
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        torch.autograd.grad(fast, items, upstream),
        torch.autograd.grad(slow, items, upstream),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("heads", [[5], [1], [3, 3, 1, 2, 11, 1, 7]])
@pytest.mark.parametrize("more", [0, 1, 50])
def test_followers_with_padding(heads, more):
    """A count that is enough: the same entries, then item 0 with a share of 0."""
    teacher, heads = teacher_of(made_counts(), 0.1), torch.tensor(heads)
    exact = teacher.followers(heads)
    assert teacher.most == N_ITEMS
    count = len(exact[0])
    padded = teacher.followers(heads, count + more)
    for ours, theirs in zip(padded, exact):
        assert len(ours) == count + more and torch.equal(ours[:count], theirs)
    assert padded[1][count:].tolist() == padded[2][count:].tolist() == [0] * more


def dense_distillation(heads, items, counts, tau):
    student = (items[heads] * D**0.5 @ items[1:].T / tau).log_softmax(1)
    return -(dense_rows(counts, tau).to(items.dtype)[heads - 1] * student).sum(1).mean()


@pytest.mark.parametrize("block", [0, 3, 64])
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_loss_against_dense_cross_entropy(dtype, tau, block):
    counts, items = made_counts(), made_items(dtype)
    heads = torch.tensor([3, 3, 1, 2, 11, 1, 7, 4, 8])
    fast = distillation_loss(heads, items, teacher_of(counts, tau), tau, block=block)
    slow = dense_distillation(heads, items, counts, tau)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    ours, true = torch.autograd.grad(fast, items)[0], torch.autograd.grad(slow, items)[0]
    assert (ours - true).abs().max() <= 1e-5 * true.abs().max()
    assert ours[0].abs().max() == 0


def test_loss_drops_out_whole_embedding_entries():
    """With dropout the head's entries are zeroed or doubled; the mean over draws is that of a loop."""
    counts, items, heads, tau = made_counts(), made_items(), torch.tensor([3, 7]), 1.0
    teacher = teacher_of(counts, tau)
    torch.manual_seed(0)
    fast = distillation_loss(heads, items, teacher, tau, dropout_prob=0.5)
    torch.manual_seed(0)
    dropped = dropout(items[heads], 0.5, training=True)
    student = (dropped * D**0.5 @ items[1:].T / tau).log_softmax(1)
    torch.testing.assert_close(fast, -(dense_rows(counts, tau)[heads - 1] * student).sum(1).mean())
    assert set((dropped / items[heads]).round().flatten().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("count", [0, 8, 9])
def test_all_heads(count):
    positions = torch.tensor([4, 4, 1, 2, 9, 4, 7, 1])
    assert sample_heads(positions, count).tolist() == positions.tolist()


def test_heads_are_drawn_without_replacement():
    torch.manual_seed(0)
    for count in (1, 5, 19):
        drawn = sample_heads(torch.arange(20), count).tolist()
        assert len(drawn) == count == len(set(drawn)) and set(drawn) <= set(range(20))


def test_drawn_heads_are_unbiased():
    """The mean over draws of 5 of 20 is the mean of all 20, within five standard errors of the draws."""
    torch.manual_seed(0)
    values = torch.arange(20).square().double()
    draws = torch.stack([values[sample_heads(torch.arange(20), 5)].mean() for _ in range(2000)])
    deviation = (values.var() / 5 * (1 - 5 / 20)).sqrt().item()
    assert abs(draws.mean() - values.mean()) < 5 * deviation / len(draws) ** 0.5
    assert draws.std().item() == pytest.approx(deviation, rel=0.1)


def test_without_distillation_nothing_is_counted(toy):
    sequences = {"ann": "a b c d", "bob": "b c d a e"}

    def losses(lambda_kd, counts=True):
        config = toy(sequences, lambda_kd=lambda_kd)
        train, *_ = build_loaders(config, build_dataset(config))
        uncounted = SimpleNamespace(num=train._dataset.num)
        return MQSATED(config, train._dataset if counts else uncounted).losses(next(iter(train)))

    assert set(losses(0.1)) == {"recommendation", "distillation"}
    assert set(losses(0, counts=False)) == {"recommendation"}
    with pytest.raises(UserError, match="counts what follows what"):
        losses(0.1, counts=False)


def test_the_loss_is_weighted_by_lambda_kd(toy):
    config = toy({"ann": "a b c d", "bob": "b c d a e"}, lambda_kd=0.3, tau=0.2, distillation_heads=0)
    train, *_ = build_loaders(config, build_dataset(config))
    model, batch = MQSATED(config, train._dataset).eval(), next(iter(train))
    losses = model.losses(batch)
    inputs = batch["item_id_list"]
    heads, items = inputs[inputs > 0], model.item_embedding.weight
    plain = distillation_loss(heads, items, model.transition.distillation.teacher, 0.2)
    torch.testing.assert_close(losses["distillation"], 0.3 * plain, rtol=1e-3, atol=0)
    torch.testing.assert_close(sum(losses.values()), model.calculate_loss(batch))

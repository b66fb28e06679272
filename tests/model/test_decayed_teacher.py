"""A teacher whose counts are fractions: its rows, its loss and gradients against dense softmax rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.chain import write_chain
from helpers.transitions import N_ITEMS, D, dense_rows, made_counts, made_items
from scipy import sparse

from recbole_mqsa.model.distillation import TransitionTeacher, distillation_loss
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model

TAU, SPAN, DECAY, BACKWARD = 0.4, 3, 0.8, 0.5


def fractions() -> torch.Tensor:
    """Counts of which most are no whole numbers, some below 1."""
    generator = torch.Generator().manual_seed(5)
    counts = made_counts()
    return counts * torch.rand(counts.shape, generator=generator, dtype=torch.float64)


def rows_of(teacher: TransitionTeacher, n_items: int) -> torch.Tensor:
    """[I, I] the mean item of one-hot items is the row itself."""
    one_hot = torch.eye(n_items + 1, dtype=torch.float64)[:, 1:]
    return teacher.mean_item(torch.arange(1, n_items + 1), one_hot)


def test_rows_are_the_softmax_of_each_items_shares() -> None:
    counts = fractions()
    largest = counts[1:, 1:].amax(1, keepdim=True)
    expected = (counts[1:, 1:] / largest.where(largest > 0, 1) / TAU).softmax(1)
    rows = rows_of(TransitionTeacher(sparse.csr_matrix(counts.numpy()), TAU), N_ITEMS)
    torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-7)


def test_loss_and_gradients_against_dense_rows() -> None:
    counts, heads = fractions(), torch.tensor([4, 2, 1, 4, 3, 9])
    teacher = TransitionTeacher(sparse.csr_matrix(counts.numpy()), TAU)
    fast, slow = made_items(), made_items()
    loss = distillation_loss(heads, fast, teacher, TAU)
    scores = slow[heads] @ slow[1:].T * D**0.5 / TAU
    largest = counts[1:, 1:].amax(1, keepdim=True)
    rows = (counts[1:, 1:] / largest.where(largest > 0, 1) / TAU).softmax(1)
    expected = -(rows[heads - 1] * scores.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_the_settings_reach_the_teacher_of_any_model(tmp_path: Path, model: str) -> None:
    write_chain(tmp_path, certainty=0.8)
    given = {
        "time_span": SPAN,
        "time_decay": DECAY,
        "backward_weight": BACKWARD,
        "tau": TAU,
        "transition": "ted",
    }
    config = Config(model, "chain", config_dict={"data_path": str(tmp_path), **given})
    train = build_loaders(config, build_dataset(config))[0]._dataset
    (term,) = build_model(config, train).transition.values()
    counts = torch.zeros(train.item_num, train.item_num, dtype=torch.float64)
    items, begin, end = train.sequences.items, train.sequences.offsets[:-1], train.train_end
    for first, last in zip(begin, end):
        for earlier in range(first, last + 1):
            for later in range(earlier + 1, min(earlier + SPAN, last) + 1):
                weight = DECAY ** (later - earlier - 1)
                counts[items[earlier], items[later]] += weight
                counts[items[later], items[earlier]] += weight * BACKWARD
    expected = dense_rows(counts, TAU)
    assert counts[1:, 1:].amax(1).min() > 1  # so that the clamp of dense_rows is idle
    torch.testing.assert_close(rows_of(term.teacher, train.item_num - 1), expected, rtol=1e-4, atol=1e-7)

"""RecBole's models in groups of similar length: their own losses and gradients, on fewer cells."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from helpers.chain import write_chain
from recbole.utils import init_seed
from recbole_mqsa.training.length_groups import EXACT
from test_transition import loaded

from recbole_mqsa.errors import UserError
from recbole_mqsa.training.build import build_model

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "dropout_prob": 0.0}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.9)
    return tmp_path


def losses_of(home: Path, name: str, groups: int, **given: object):
    """The model and its losses of three batches, with all gradients added up; and the cells its inputs had."""
    config, loader = loaded(home, name, length_groups=groups, **WITHOUT_DROPOUT, **given)
    init_seed(7, True)
    model = build_model(config, loader._dataset)
    cells = 0

    def count(module: object, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal cells
        cells += inputs[0].numel()

    model.item_embedding.register_forward_pre_hook(count)
    model.train()
    random.seed(3)  # which BERT4Rec masks with
    losses = []
    for _, batch in zip(range(3), loader):
        loss = model.calculate_loss(batch)
        sum(loss if isinstance(loss, tuple) else (loss,)).backward()
        losses.append(loss)
    return model, losses, cells


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("groups", [2, 6])
def test_the_same_loss_and_gradients(home: Path, name: str, groups: int) -> None:
    # The mean of BERT4Rec runs over masked items, of which a short group has fewer a row.
    given = {"prefixes": "longest", "mask_ratio": 0.5, "ft_ratio": 0.0} if name == "BERT4Rec" else {}
    plain, expected, all_cells = losses_of(home, name, 1, **given)
    grouped, losses, cells = losses_of(home, name, groups, **given)
    assert cells < all_cells
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-6)
    theirs = {key: parameter.grad for key, parameter in plain.named_parameters()}
    ours = {key: parameter.grad for key, parameter in grouped.named_parameters()}
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_transitions_come_once_a_batch(home: Path) -> None:
    given = {"transition": "ted", "distillation_heads": 0, "softmax_precision": "float32"}
    _, expected, _ = losses_of(home, "SASRec", 1, **given)
    _, losses, _ = losses_of(home, "SASRec", 6, **given)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-6)


def test_other_models_are_refused(home: Path) -> None:
    with pytest.raises(
        UserError, match=r"length_groups is 4; it has to be 1, or .* BERT4Rec, GRU4Rec, SASRec"
    ):
        loaded(home, "Caser", length_groups=4)

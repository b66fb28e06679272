"""The loss of a step: a model's own in groups of similar length, TED's term, and that no model is changed by it."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.chain import write_chain
from helpers.models import built, counts_of, embedding, loaded, losses, neutral
from helpers.transitions import dense_rows
from recbole.utils import init_seed

from recbole_mqsa.errors import UserError
from recbole_mqsa.model.transition import TRANSITIONS
from recbole_mqsa.settings.spec import RECBOLE_MODELS
from recbole_mqsa.training.build import build_model, build_trainer
from recbole_mqsa.training.objective import Objective, batch_heads

GROUPED = [name for name, spec in RECBOLE_MODELS.items() if spec.length_groups]
OTHERS = ["SASRec", "GRU4Rec", "BERT4Rec", "RepeatNet", "FMLPRec", "LightGCN"]
WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "dropout_prob": 0.0}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.9)
    return tmp_path


# Groups of similar length: a model's own loss and gradients, on fewer cells.


def in_groups(home: Path, name: str, groups: int, **given: object) -> tuple[Any, list[Any], int]:
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
    objective, found = Objective(model, config), []
    for _, batch in zip(range(3), loader):
        found.append(objective(batch))
        sum(found[-1]).backward()
    return model, found, cells


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("groups", [2, 6])
def test_the_same_loss_and_gradients(home: Path, name: str, groups: int) -> None:
    # The mean of BERT4Rec runs over masked items, of which a short group has fewer a row.
    given = {"prefixes": "longest", "mask_ratio": 0.5, "ft_ratio": 0.0} if name == "BERT4Rec" else {}
    plain, expected, all_cells = in_groups(home, name, 1, **given)
    grouped, found, cells = in_groups(home, name, groups, **given)
    assert cells < all_cells
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    theirs = {key: parameter.grad for key, parameter in plain.named_parameters()}
    ours = {key: parameter.grad for key, parameter in grouped.named_parameters()}
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_transitions_come_once_a_batch(home: Path) -> None:
    given = {"transition": "ted", "distillation_heads": 0, "softmax_precision": "float32"}
    _, expected, _ = in_groups(home, "SASRec", 1, **given)
    _, found, _ = in_groups(home, "SASRec", 6, **given)
    assert [len(parts) for parts in found] == [2, 2, 2]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_other_models_have_no_groups(home: Path) -> None:
    with pytest.raises(
        UserError, match=r"length_groups is 4; it has to be 1, or .* BERT4Rec, GRU4Rec, SASRec"
    ):
        loaded(home, "Caser", length_groups=4)


# TED's term.


@pytest.mark.parametrize("name", OTHERS)
def test_ted_adds_the_cross_entropy_of_each_rows_one_head(home: Path, name: str) -> None:
    model, config, batch = neutral(home, name, lambda_kd=0.3, tau=0.5)
    _, loader = loaded(home, name)
    if name == "LightGCN":
        heads = batch["item_id"]
    else:
        rows, lengths = batch["item_id_list"], batch["item_length"]
        heads = torch.stack([row[length - 1] for row, length in zip(rows, lengths)])
        assert len(heads) == len(batch) and heads.min() > 0 and heads.max() < model.n_items
    assert batch_heads(batch, config).tolist() == heads.tolist()

    own, term = losses(model, config, batch)
    torch.manual_seed(0)
    torch.testing.assert_close(own, model.calculate_loss(batch))
    weight = embedding(model, config)
    items = weight.double()
    student = (items[heads] * items.size(1) ** 0.5 @ items[1:].T / 0.5).log_softmax(1)
    slow = -0.3 * (dense_rows(counts_of(loader), 0.5)[heads - 1] * student).sum(1).mean()
    torch.testing.assert_close(term.double(), slow, rtol=1e-5, atol=0)
    learnt = model.item_matrix if name == "RepeatNet" else model.item_embedding
    ours, true = (torch.autograd.grad(loss, learnt.weight)[0] for loss in (term, slow))
    assert (ours - true).abs().max() <= 1e-5 * true.abs().max()


def test_bert4rec_distils_what_stood_below_the_mask(home: Path) -> None:
    """Training masks items; the mask token is no item, though the embedding has a row of it."""
    model, config, batch = neutral(home, "BERT4Rec", ft_ratio=0)
    assert len(model.item_embedding.weight) == model.n_items + 1
    shown = batch["Mask_item_id_list"]
    newest = shown.gather(1, batch["item_length"][:, None] - 1).squeeze(1)
    hidden = newest == model.n_items
    assert hidden.any() and not hidden.all()
    heads = batch_heads(batch, config)
    assert (heads[~hidden] == newest[~hidden]).all() and (heads < model.n_items).all()


def test_sampled_negatives_are_no_heads(home: Path) -> None:
    config, loader = loaded(home, "NeuMF")
    batch = next(iter(loader))
    positive = [item for item, label in zip(batch["item_id"].tolist(), batch["label"].tolist()) if label == 1]
    assert 0 < len(positive) < len(batch)
    assert batch_heads(batch, config).tolist() == positive


def test_the_last_item_is_found_at_either_side(home: Path) -> None:
    _, config, batch = neutral(home, "SASRec")
    batch["item_id_list"] = torch.tensor(
        [[3, 5, 0, 0], [0, 0, 4, 7], [0, 0, 0, 0], [1, 2, 3, 9], [8, 0, 0, 0]]
    )
    assert batch_heads(batch, config).tolist() == [5, 7, 9, 8]


def test_batches_of_users_have_no_heads(home: Path) -> None:
    model, config, loader = built(home, "MacridVAE", "ted")
    with pytest.raises(UserError, match="MacridVAE trains on batches of users alone"):
        losses(model, config, next(iter(loader)))


def test_heads_are_dropped_out_as_the_model_drops(home: Path) -> None:
    """GRU4Rec's dropout_prob, SASRec's hidden_dropout_prob, none where a model has none; none in evaluation."""
    for name, expected in {"GRU4Rec": 0.3, "SASRec": 0.5, "LightGCN": 0.0}.items():
        model, *_ = built(home, name, "ted")
        assert model.transition["distillation"].dropout_prob == expected
    model, config, batch = neutral(home, "SASRec", hidden_dropout_prob=0.9, attn_dropout_prob=0.0)
    (_, first), (_, second) = (losses(model, config, batch, seed) for seed in (1, 2))
    assert first == second
    (_, first), (_, second) = (losses(model.train(), config, batch, seed) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize(("way", "off"), [("ted", "lambda_kd"), ("grareg", "lambda_reg")])
@pytest.mark.parametrize("name", ["SASRec", "MQSATED"])
def test_a_weight_of_0_turns_a_term_off(home: Path, name: str, way: str, off: str) -> None:
    for weight, parts in ((0, 1), (0.5, 2)):
        model, config, loader = built(home, name, way, **{off: weight})
        assert len(losses(model, config, next(iter(loader)))) == parts


# The whole: its parts and their names, and nothing in the model.


def test_parts_have_the_models_names_or_numbers(home: Path) -> None:
    for name, expected in {"MQSATED": ["recommendation", "distillation"], "SASRec": ["1", "2"]}.items():
        model, config, loader = built(home, name, "ted")
        objective = Objective(model, config)
        parts = objective(next(iter(loader)))
        assert objective.names == expected and len(parts) == 2


def test_around_another_loss_everything_else_stays(home: Path) -> None:
    model, config, batch = neutral(home, "SASRec", length_groups=3)
    _, term = losses(model, config, batch)
    number, other = Objective(model, config).around(lambda part: part["item_length"].double().mean())(batch)
    assert number.item() == pytest.approx(batch["item_length"].double().mean().item())
    assert other == term


@pytest.mark.parametrize("way", TRANSITIONS)
def test_a_trainer_leaves_its_model_as_it_was(home: Path, way: str) -> None:
    """Two trainers on one model: no method is replaced, and what they minimise is the same."""
    model, config, batch = neutral(home, "SASRec", way, length_groups=3)
    before = set(vars(model))
    first, second = (build_trainer(config, model).objective for _ in range(2))
    assert set(vars(model)) == before and not {"calculate_loss", "predict"} & before
    parts = []
    for objective in (first, second, first):
        torch.manual_seed(0)
        parts.append(objective(batch))
    assert parts[0] == parts[1] == parts[2]
    assert first.is_models_own == second.is_models_own is False


def test_alone_it_is_the_models_own_loss(home: Path) -> None:
    model, config, batch = neutral(home, "SASRec", "none", length_groups=1)
    assert Objective(model, config).is_models_own and not hasattr(model, "transition")
    (loss,) = losses(model, config, batch)
    assert loss == model.calculate_loss(batch)


@pytest.mark.parametrize("way", ["ted", "ges"])
def test_a_copy_of_the_model_has_its_own_weights(home: Path, way: str) -> None:
    model, config, batch = neutral(home, "SASRec", way)
    twin = copy.deepcopy(model)
    before = losses(model, config, batch)
    assert losses(twin, config, batch) == before
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    assert losses(model, config, batch) == before != losses(twin, config, batch)

"""BERT4Rec on whole sequences: what it masks, against a slow loss, what it sees at test, and what it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.chain import train, write_chain
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction

from recbole_mqsa.model.bert4rec import BERT4RecWhole
from recbole_mqsa.model.registry import MODELS

T, ITEMS = 6, "abcdefghijkl"
USERS = {
    "all": ITEMS,  # so that ids, which go by appearance, are alphabetical
    **{f"u{n}": ITEMS[n % 7 : n % 7 + 4 + n % 3] for n in range(9)},
}


@pytest.fixture
def model(toy, trainer_for) -> BERT4RecWhole:
    settings = {"MAX_ITEM_LIST_LENGTH": T, "hidden_size": 8, "inner_size": 16, "softmax_precision": "float32"}
    config = toy({user: " ".join(items) for user, items in USERS.items()}, "BERT4RecWhole", **settings)
    train_data, _, _ = data_preparation(config, create_dataset(config))
    made = trainer_for(train_data).model
    torch.nn.init.normal_(made.output_bias[1:].detach())
    return made.eval()


def batch(*rows: list[int], target: int = 9, width: int | None = None) -> Interaction:
    """Inputs, padded on the right, each with a target after them."""
    width = width or max(map(len, rows))
    return Interaction(
        {
            "item_id_list": torch.tensor([row + [0] * (width - len(row)) for row in rows]),
            "item_length": torch.tensor([len(row) for row in rows]),
            "item_id": torch.full((len(rows),), target),
        }
    )


def slow_scores(model: BERT4RecWhole, items: list[int]) -> torch.Tensor:
    """[I + 1] by RecBole's own network, from one list without padding, with the mask after it."""
    sequence = [*items, model.mask_token][-T:]
    state = model.forward(torch.tensor([sequence]))[0, -1]
    return model.item_embedding.weight[: model.n_items] @ state + model.output_bias


def test_it_is_one_of_our_models() -> None:
    assert "BERT4RecWhole" in MODELS and BERT4RecWhole.spec.training == "sequences"


@pytest.mark.parametrize("width", [None, T])
@pytest.mark.parametrize("groups", [1, 3])
def test_the_oldest_item_leaves_a_full_input_alone(
    model: BERT4RecWhole, groups: int, width: int | None
) -> None:
    model.groups = groups
    rows = [[1, 2, 3], [4], [1, 2, 3, 4, 5, 6], [7, 6, 5, 4, 3]]
    scores = model.full_sort_predict(batch(*rows, width=width))
    for row, found in zip(rows, scores):
        torch.testing.assert_close(found, slow_scores(model, row))
    assert not torch.allclose(scores[0], slow_scores(model, rows[0][1:]))  # the oldest item matters
    picked = model.predict(batch(*rows, target=3, width=width))
    torch.testing.assert_close(picked, scores[:, 3])


@pytest.mark.parametrize("groups", [1, 3])
def test_loss_and_gradients_against_loops(model: BERT4RecWhole, groups: int) -> None:
    """The mean over all masked items, row by row without padding; the target counts as an item of its row."""
    model.groups = groups
    rows = [[1, 2, 3], [4], [1, 2, 3, 4, 5, 6], [7, 6, 5, 4, 3]]
    given = batch(*rows)
    sequences, lengths = model._followed_by(given["item_id"], given)
    masked = model._drawn(lengths, sequences.size(1))
    model._drawn = lambda *_: masked  # type: ignore[method-assign]
    loss = model.calculate_loss(given)
    loss.backward()
    fast = {name: of.grad.clone() for name, of in model.named_parameters()}
    model.zero_grad()

    # Padding takes part in the sum, and learns nothing of it.
    items, bias = model.item_embedding.weight[: model.n_items], model.output_bias
    items, bias = (torch.cat([of[:1].detach(), of[1:]]) for of in (items, bias))
    parts = []
    for row, places in zip(rows, masked):
        whole = [*row, 9][-T:]
        chosen = [place for place in range(len(whole)) if places[place]]
        inputs = [model.mask_token if place in chosen else item for place, item in enumerate(whole)]
        states = model.forward(torch.tensor([inputs]))[0]
        parts += [-(items @ states[place] + bias).log_softmax(0)[whole[place]] for place in chosen]
    slow = torch.stack(parts).mean()
    slow.backward()
    torch.testing.assert_close(loss, slow)
    for name, of in model.named_parameters():
        torch.testing.assert_close(fast[name], of.grad, msg=name, rtol=1e-4, atol=1e-6)


def test_what_is_masked(model: BERT4RecWhole) -> None:
    """Every real place by chance, the newest in some rows alone, at least one in each, and never padding."""
    torch.manual_seed(0)
    lengths = torch.tensor([1, 3, 6] * 4000)
    model.mask_ratio, model.ft_ratio = 0.3, 0.0
    masked = model._drawn(lengths, T)
    assert masked.any(1).all() and not masked[torch.arange(T) >= lengths[:, None]].any()
    none = 0.7**3  # then the newest is masked
    found = masked[lengths == 3].float().mean(0)
    torch.testing.assert_close(found[:3], torch.tensor([0.3, 0.3, 0.3 + none]), atol=0.03, rtol=0)
    model.ft_ratio = 0.25
    rest = model._drawn(lengths, T)[lengths == 6]
    alone = ((rest.sum(1) == 1) & rest[:, 5]).float().mean()
    by_chance = 0.7**5 * 0.3 + 0.7**6
    assert alone.item() == pytest.approx(0.25 + 0.75 * by_chance, abs=0.03)


def test_the_newest_training_item_is_learned(model: BERT4RecWhole) -> None:
    """RecBole's class never masks it."""
    given = batch([1, 2, 3], target=9)
    sequences, lengths = model._followed_by(given["item_id"], given)
    assert sequences.tolist() == [[1, 2, 3, 9]] and lengths.tolist() == [4]
    full = batch([1, 2, 3, 4, 5, 6], target=9)
    assert model._followed_by(full["item_id"], full)[0].tolist() == [[2, 3, 4, 5, 6, 9]]


def test_it_learns_a_chain(tmp_path: Path) -> None:
    """All but the fifth of the users whose mask stands at a place that no training sequence reaches."""
    write_chain(tmp_path, certainty=1.0)
    found = train(
        *(tmp_path, "run", "BERT4RecWhole"),
        **{"epochs": 100, "eval_step": 20, "learning_rate": 0.005, "mask_ratio": 0.3, "ft_ratio": 0.3},
        **{
            "n_layers": 1,
            "n_heads": 1,
            "hidden_dropout_prob": 0.0,
            "attn_dropout_prob": 0.0,
            "inner_size": 64,
        },
    )
    assert found.result["test"]["hit@1"] > 0.7

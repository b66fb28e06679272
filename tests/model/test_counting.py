"""Counting models by hand, and through the whole path against the paper's tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation

ITEMS = "abcdefghij"
RNG = np.random.default_rng(0)
USERS = {"all": " ".join(ITEMS)}  # so that ids, which go by appearance, are alphabetical
USERS.update((f"u{n}", " ".join(RNG.choice(list(ITEMS), size=RNG.integers(4, 8)))) for n in range(30))


def known(part):
    """Each user's items that may be counted, training only or with validation."""
    left_out = {"valid": 2, "test": 1}[part]
    return {user: items.split()[:-left_out] for user, items in USERS.items()}


def slow_scores(name, last, part):
    """What orders the items, by token: popularity, or transitions from ``last`` and then popularity."""
    histories = known(part).values()
    scores = {}
    for item in ITEMS:
        popularity = sum(items.count(item) for items in histories)
        followed = sum((a, b) == (last, item) for items in histories for a, b in zip(items, items[1:]))
        scores[item] = (popularity,) if name == "Pop" else (followed, popularity)
    return scores


@pytest.fixture(params=["Pop", "ItemTransition"])
def counting(request, toy, trainer_for):
    config = toy(USERS, request.param)
    train, valid, test = data_preparation(config, create_dataset(config))
    return request.param, trainer_for(train), {"valid": valid, "test": test}


def test_counts_of_the_training_part_alone(toy, trainer_for):
    config = toy(USERS, "ItemTransition", count_validation=False)
    train, valid, test = data_preparation(config, create_dataset(config))
    trainer = trainer_for(train)
    before = trainer.model.transitions.toarray()
    for loader in (valid, test):
        trainer.evaluate(loader, load_best_model=False)
        assert (trainer.model.transitions.toarray() == before).all()
    trainer.model.count(test._dataset)
    assert trainer.model.transitions.sum() == before.sum() + len(USERS) * 1


@pytest.mark.parametrize(
    "parts", [["valid"], ["test"], ["test", "valid"], ["valid", "test", "valid", "test"]]
)
def test_evaluation_against_loops(counting, parts):
    """Counts are those of the evaluated part, whichever came before."""
    name, trainer, loaders = counting
    for part in parts:
        result = trainer.evaluate(loaders[part], load_best_model=False)
        ranks = []
        for user, items in known(part).items():
            target = USERS[user].split()[len(items)]
            scores = slow_scores(name, items[-1], part)
            order = sorted(set(ITEMS) - set(items), key=lambda item: [-s for s in scores[item]] + [item])
            ranks.append(order.index(target) if target in order else None)
        gains = [0 if rank is None else 1 / math.log2(rank + 2) for rank in ranks]
        assert result["ndcg@20"] == pytest.approx(sum(gains) / len(USERS), abs=1e-7)
        hits = sum(rank is not None and rank < 5 for rank in ranks)
        assert 0 < hits < len(USERS) and result["hit@5"] == pytest.approx(hits / len(USERS), abs=1e-7)


def test_scores_order_as_the_counts_do(counting):
    name, trainer, loaders = counting
    for part, loader in loaders.items():
        trainer.evaluate(loader, load_best_model=False)
        interaction = next(iter(loader))[0]
        scores = trainer.model.full_sort_predict(interaction)
        assert scores.shape == (len(USERS), len(ITEMS) + 1)
        for row, items in zip(scores, known(part).values()):
            expected = slow_scores(name, items[-1], part)
            row = dict(zip(ITEMS, row[1:].tolist()))
            for a, b in itertools.product(ITEMS, ITEMS):
                assert (row[a] > row[b]) == (expected[a] > expected[b])
                assert (row[a] == row[b]) == (expected[a] == expected[b])
        picked = trainer.model.predict(interaction)
        torch.testing.assert_close(
            picked, scores[torch.arange(len(USERS)), interaction["item_id"]], check_dtype=False
        )


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_item_is_found_at_either_side(toy, trainer_for, side):
    config = toy(USERS, "ItemTransition")
    train, *_ = data_preparation(config, create_dataset(config))
    model = trainer_for(train).model
    rows = {"left": [[0, 0, 1, 2], [0, 0, 0, 3]], "right": [[1, 2, 0, 0], [3, 0, 0, 0]]}[side]
    scores = model.full_sort_predict({"item_id_list": torch.tensor(rows)})
    counts = train._dataset.transition_counts().toarray()
    assert counts[2].max() > 0
    np.testing.assert_array_equal(scores.floor().numpy(), counts[[2, 3]])


def test_there_is_nothing_to_learn(counting):
    _, trainer, _ = counting
    loss = trainer.model.calculate_loss(None)
    assert loss.item() == 0 and loss.requires_grad

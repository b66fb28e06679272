"""What a model costs: parameters and operations counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_mqsa.evaluation.cost import parameters, scoring_flops
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model

SEQUENCES = {"ann": "a b a b d", "bob": "a b c d a", "cid": "c c a b", "dee": "b a b"}


def test_operations_of_scoring_one_user(toy: Any) -> None:
    config = toy({"ann": "a b c d", "bob": "c d e f"}, "LightGCN", embedding_size=8)
    train, _, test = build_loaders(config, build_dataset(config))
    model = build_model(config, train._dataset)
    n_users, n_items = 3, 7  # with the padding of each
    assert parameters(model) == (n_users + n_items) * 8
    assert scoring_flops(model, test) == 2 * n_items * 8  # the propagation is done once for all users


def test_recurrent_layers_are_counted(toy: Any) -> None:
    config = toy(SEQUENCES, "GRU4Rec", embedding_size=8, hidden_size=4, MAX_ITEM_LIST_LENGTH=6, num_layers=1)
    train, _, test = build_loaders(config, build_dataset(config))
    model = build_model(config, train._dataset)
    gates = 6 * 2 * (3 * 4) * (8 + 4)  # positions, multiply and add, three gates, input and state
    assert scoring_flops(model, test) == gates + 6 * 2 * 4 * 8 + 2 * 5 * 8  # the dense layer, the items


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_operations_are_those_of_a_full_input(toy: Any, model: str) -> None:
    counted = set()
    for first in ("a b c d", "a b c d a b c d"):
        config = toy({"ann": first, "bob": "c d e f"}, model, MAX_ITEM_LIST_LENGTH=6)
        train, _, test = build_loaders(config, build_dataset(config))
        counted.add(scoring_flops(build_model(config, train._dataset), test))
    assert len(counted) == 1  # however much the first user has done
    if model == "MQSATED":
        # Two stacks of one layer: keys and values of all six positions, the rest of the newest; then the six items.
        layer = 2 * 64 * 64 * (2 * 6 + 1 + 2)
        assert counted == {2 * layer + 2 * 64 * 7}


def test_counting_has_nothing_to_learn(toy: Any) -> None:
    config = toy(SEQUENCES, "Pop")
    train, _, test = build_loaders(config, build_dataset(config))
    model = build_model(config, train._dataset)
    assert parameters(model) == 0 and scoring_flops(model, test) == 0

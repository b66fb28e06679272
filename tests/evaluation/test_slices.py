"""Slices by transition frequency: by hand, and the paper's own counts and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import SHARED
from recbole.data import data_preparation

from recbole_mqsa.evaluation.collector import NEVER, metrics_of_ranks, slices
from recbole_mqsa.evaluation.cost import parameters, scoring_flops
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset as create_dataset
from recbole_mqsa.training.build import build_model
from recbole_mqsa.training.run import run

SETTINGS = {"metrics": ["Hit", "NDCG", "ItemCoverage"], "topk": [1, 3], "metric_decimal_place": 8}
# Of training (all but each user's last two): a > b twice, b > a and b > c once.
SEQUENCES = {"ann": "a b a b d", "bob": "a b c d a", "cid": "c c a b", "dee": "b a b"}


def test_the_frequency_is_that_of_training(toy: Any) -> None:
    config = toy(SEQUENCES, "Pop")
    train, _, test = data_preparation(config, create_dataset(config))
    found = slices.transition_frequency(train._dataset.transition_counts(), test._dataset)
    # b > d never; d > a never; a > b: ann, bob; dee's training is b > a, and a > b is what it tests.
    assert found.tolist() == [0, 0, 2, 2]


def test_slices_are_the_same_whatever_a_model_reads(toy: Any, tmp_path: Path) -> None:
    """Caser reads five items; what is counted in training must not depend on it."""
    drawn = np.random.default_rng(0).integers(0, 40, (30, 24))
    sequences = {f"u{n}": " ".join(f"i{item}" for item in row) for n, row in enumerate(drawn)}
    found = []
    for longest in (2, 50):
        config = toy(sequences, "MQSATED", MAX_ITEM_LIST_LENGTH=longest, query_windows=[1, 2], epochs=1)
        result = run(config, tmp_path / f"run-{longest}").result["slices"]
        found.append({name: of["samples"] for name, of in result.items()})
    assert found[0] == found[1] and 0 < found[0][">0"] < 30


def test_each_slice_has_its_own_metrics() -> None:
    found = slices.by_transition_frequency(SETTINGS, np.array([0, 2, 0, 1]), torch.tensor([0, 1, NEVER, 2]))
    half, third = 1 / np.log2(3), 1 / 2
    assert found == {
        "0": {"samples": 2, "hit@1": 0.5, "hit@3": 0.5, "ndcg@1": 0.5, "ndcg@3": 0.5},
        ">0": {
            "samples": 2, "hit@1": 0.0, "hit@3": 1.0, "ndcg@1": 0.0,
            "ndcg@3": pytest.approx((half + third) / 2),
        },
        "all": {
            "samples": 4, "hit@1": 0.25, "hit@3": 0.75, "ndcg@1": 0.25,
            "ndcg@3": pytest.approx((1 + half + third) / 4),
        },
    }  # fmt: skip


def test_an_empty_slice_has_no_metrics() -> None:
    found = slices.by_transition_frequency(SETTINGS, np.zeros(2, dtype=int), torch.tensor([0, 1]))
    assert found[">0"] == {"samples": 0}


def test_metrics_of_ranks_take_those_that_ranks_tell() -> None:
    assert set(metrics_of_ranks(SETTINGS, torch.tensor([0]))) == {"hit@1", "hit@3", "ndcg@1", "ndcg@3"}


# The paper's table 1: samples, and NDCG@20 of its "Item Trans.".
TABLE = {
    "amazon-beauty": {"0": (20446, 0.0081), ">0": (1917, 0.5520), "all": (22363, 0.0547)},
    "amazon-sports-outdoors": {"0": (33778, 0.0045), ">0": (1820, 0.4772), "all": (35598, 0.0287)},
}


@pytest.mark.parametrize("dataset", TABLE)
def test_the_paper_s_table(tmp_path: Path, dataset: str) -> None:
    if not (SHARED / dataset).is_dir():
        pytest.skip(f"the paper's data are not in {SHARED / dataset}")
    given = {"data_path": str(SHARED), "show_progress": False, "state": "ERROR"}
    found = run(Config("ItemTransition", dataset, config_dict=given), tmp_path / "run").result["slices"]
    for name, (samples, ndcg) in TABLE[dataset].items():
        assert found[name]["samples"] == samples
        assert found[name]["ndcg@20"] == pytest.approx(ndcg, abs=0.0005)


# What a model costs.


def test_operations_of_scoring_one_user(toy: Any) -> None:
    config = toy({"ann": "a b c d", "bob": "c d e f"}, "LightGCN", embedding_size=8)
    train, _, test = data_preparation(config, create_dataset(config))
    model = build_model(config, train._dataset)
    n_users, n_items = 3, 7  # with the padding of each
    assert parameters(model) == (n_users + n_items) * 8
    assert scoring_flops(model, test) == 2 * n_items * 8  # the propagation is done once for all users


def test_recurrent_layers_are_counted(toy: Any) -> None:
    config = toy(SEQUENCES, "GRU4Rec", embedding_size=8, hidden_size=4, MAX_ITEM_LIST_LENGTH=6, num_layers=1)
    train, _, test = data_preparation(config, create_dataset(config))
    model = build_model(config, train._dataset)
    gates = 6 * 2 * (3 * 4) * (8 + 4)  # positions, multiply and add, three gates, input and state
    assert scoring_flops(model, test) == gates + 6 * 2 * 4 * 8 + 2 * 5 * 8  # the dense layer, the items


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_operations_are_those_of_a_full_input(toy: Any, model: str) -> None:
    counted = set()
    for first in ("a b c d", "a b c d a b c d"):
        config = toy({"ann": first, "bob": "c d e f"}, model, MAX_ITEM_LIST_LENGTH=6)
        train, _, test = data_preparation(config, create_dataset(config))
        counted.add(scoring_flops(build_model(config, train._dataset), test))
    assert len(counted) == 1  # however much the first user has done
    if model == "MQSATED":
        # Two stacks of one layer: keys and values of all six positions, the rest of the newest; then the six items.
        layer = 2 * 64 * 64 * (2 * 6 + 1 + 2)
        assert counted == {2 * layer + 2 * 64 * 7}


def test_counting_has_nothing_to_learn(toy: Any) -> None:
    config = toy(SEQUENCES, "Pop")
    train, _, test = data_preparation(config, create_dataset(config))
    model = build_model(config, train._dataset)
    assert parameters(model) == 0 and scoring_flops(model, test) == 0

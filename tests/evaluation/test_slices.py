"""Slices by transition frequency: by hand, and the paper's own counts and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_mqsa.evaluation import slices
from recbole_mqsa.evaluation.collector import NEVER
from recbole_mqsa.training.build import build_dataset, build_loaders
from recbole_mqsa.training.run import run

SETTINGS = {"metrics": ["Hit", "NDCG", "ItemCoverage"], "topk": [1, 3], "metric_decimal_place": 8}
# Of training (all but each user's last two): a > b twice, b > a and b > c once.
SEQUENCES = {"ann": "a b a b d", "bob": "a b c d a", "cid": "c c a b", "dee": "b a b"}


def test_the_frequency_is_that_of_training(toy: Any) -> None:
    config = toy(SEQUENCES, "Pop")
    train, _, test = build_loaders(config, build_dataset(config))
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

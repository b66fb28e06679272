"""The paper's own numbers: some of them read from the paper again, all of them for what must hold of them."""

from __future__ import annotations

import pytest

from recbole_mqsa.experiments.report.published import published_on

DATASETS = ("amazon-beauty", "amazon-sports-outdoors", "amazon-toys-games", "yelp")
MODELS = ["POP", "LightGCN", "FPMC", "Caser", "GRU4Rec", "SASRec", "BERT4Rec", "FMLP-Rec", "MQSA-TED"]


@pytest.mark.parametrize(
    ("dataset", "model", "metric", "value"),
    [
        ("amazon-beauty", "MQSA-TED", "ndcg@20", 0.0726),
        ("amazon-beauty", "POP", "hit@5", 0.0077),
        ("amazon-beauty", "SASRec", "hit@10", 0.0932),
        ("amazon-sports-outdoors", "FMLP-Rec", "ndcg@10", 0.0346),
        ("amazon-sports-outdoors", "MQSA-TED", "hit@20", 0.0906),
        ("amazon-toys-games", "GRU4Rec", "ndcg@5", 0.0297),
        ("amazon-toys-games", "MQSA-TED", "ndcg@20", 0.0789),
        ("yelp", "LightGCN", "hit@20", 0.0790),
        ("yelp", "MQSA-TED", "ndcg@20", 0.0348),
    ],
)
def test_numbers_of_the_paper(dataset: str, model: str, metric: str, value: float) -> None:
    assert published_on(dataset)[model][metric] == value


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_model_has_every_metric(dataset: str) -> None:
    found = published_on(dataset)
    assert list(found) == MODELS
    for numbers in found.values():
        assert list(numbers) == [f"{name}@{n}" for n in (5, 10, 20) for name in ("hit", "ndcg")]
        for n in (5, 10, 20):  # one target, whose gain is at most 1
            assert 0 < numbers[f"ndcg@{n}"] < numbers[f"hit@{n}"] < 1
        for name in ("hit", "ndcg"):  # a longer list holds the shorter
            assert numbers[f"{name}@5"] < numbers[f"{name}@10"] < numbers[f"{name}@20"]


def test_other_data_sets_have_none() -> None:
    assert published_on("ml-100k") == {}

"""Ranks against sorting in Python, metrics against hand arithmetic and RecBole's own way."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.collector import DataStruct

from recbole_mqsa.data.sequences import Sequences
from recbole_mqsa.evaluation.collector import RankCollector, metrics_of_ranks
from recbole_mqsa.evaluation.metrics import RunEvaluator
from recbole_mqsa.settings.config import Config

INF, NAN = math.inf, math.nan


def settings(metrics, **other):
    metrics = metrics if isinstance(metrics, list) else [metrics]
    cut_off = "" if metrics[0] == "GAUC" else "@5"
    given = {"metrics": metrics, "valid_metric": metrics[0] + cut_off, "topk": [5, 10], **other}
    return Config("MQSATED", "ml-100k", config_dict=given)


COUNTS = Counter({item: 1 + item % 7 for item in range(1, 60)})


def measured(config, collector, batches, evaluator=RunEvaluator):
    """What an evaluator makes of scores that a collector saw in ``batches``; one user did all training actions."""
    items = np.array(sorted(COUNTS.elements()))
    sequences = Sequences(items, np.array([0, len(items)]))
    part = SimpleNamespace(item_num=60, sequences=sequences, train_end=np.array([len(items) - 1]))
    collector.data_collect(SimpleNamespace(_dataset=part))
    for scores, target in batches:
        collector.eval_batch_collect(scores.clone(), None, torch.arange(len(target)), target)
    return evaluator(config).evaluate(collector.get_data_struct())


def test_metrics_by_hand():
    """Ranks 0, 2, 7 and a seen target: two of four within 5, three within 10."""
    scores = torch.arange(20.0).flip(0).repeat(4, 1)
    target = torch.tensor([0, 2, 7, 3])
    scores[3, 3] = -INF
    config = settings(["Hit", "NDCG", "MRR"])
    collector = RankCollector(config)
    result = measured(config, collector, [(scores[:3], target[:3]), (scores[3:], target[3:])])
    assert collector.ranks.tolist()[:3] == [0, 2, 7] and collector.ranks[3] >= 20
    assert result == pytest.approx(
        {
            "hit@5": 0.5,
            "hit@10": 0.75,
            "ndcg@5": (1 + 1 / 2) / 4,
            "ndcg@10": (1 + 1 / 2 + 1 / math.log2(9)) / 4,
            "mrr@5": (1 + 1 / 3) / 4,
            "mrr@10": (1 + 1 / 3 + 1 / 8) / 4,
        }
    )


BY_RANK = ["Hit", "NDCG", "MRR", "Recall", "Precision", "MAP"]
BY_LIST = ["AveragePopularity", "TailPercentage"]


def random_batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    for size in (7, 1, 20):
        scores = torch.randn(size, 60, generator=generator)
        scores[:, 0] = -INF
        yield scores, torch.randint(1, 60, (size,), generator=generator)


@pytest.mark.parametrize("metrics", [BY_RANK, ["Hit", "GAUC"], *BY_RANK, "GAUC"], ids=str)
def test_metrics_against_recboles_collector(metrics):
    config, batches = settings(metrics), list(random_batches())
    ours = measured(config, RankCollector(config), batches)
    theirs = measured(config, Collector(config), batches, Evaluator)
    assert len(ours) >= 1 and {**ours, "gauc": 0} == {**theirs, "gauc": 0}
    assert ours.get("gauc", 0) == pytest.approx(theirs.get("gauc", 0), abs=1e-6)  # RecBole's is in float32


@pytest.mark.parametrize("metrics", [BY_RANK + BY_LIST, *BY_LIST], ids=str)
def test_metrics_that_need_more_than_ranks(metrics):
    """RecBole's own collector fails at these; these metrics of its are right when given what they read."""
    config, batches = settings(metrics), list(random_batches())
    scores, target = (torch.cat(parts) for parts in zip(*batches))
    struct = DataStruct()
    items = scores.topk(10).indices
    struct.set("rec.items", items)
    struct.set("rec.topk", torch.cat([items == target[:, None], torch.ones(len(target), 1)], 1).int())
    struct.set("data.count_items", COUNTS)
    expected = Evaluator(config).evaluate(struct)
    assert measured(config, RankCollector(config), batches) == pytest.approx(expected, abs=1e-8)


def test_each_evaluation_starts_anew():
    config = settings(["Hit", "NDCG", "ShannonEntropy"])
    collector = RankCollector(config)
    first = measured(config, collector, list(random_batches(0)))
    other = measured(config, collector, list(random_batches(1)))
    assert len(collector.ranks) == 28 and first != other
    assert measured(config, collector, list(random_batches(0))) == first


def test_a_cut_off_above_the_number_of_items():
    config = settings(["Hit", "NDCG"], topk=[5, 100])
    result = measured(config, RankCollector(config), [(torch.randn(4, 9), torch.tensor([1, 2, 3, 4]))])
    assert result["hit@100"] == 1


@pytest.mark.parametrize("score", [-INF, NAN])
def test_a_target_without_a_score_is_no_hit_among_few_items(score):
    """With 9 items the last rank is below the cut-off, but what is left out was not recommended."""
    config, scores = settings(["Hit", "NDCG"], topk=[5, 100]), torch.randn(4, 9)
    scores[:, 3] = score
    result = measured(config, RankCollector(config), [(scores, torch.tensor([3, 3, 3, 3]))])
    assert set(result.values()) == {0}


def test_several_targets_a_row_are_refused():
    with pytest.raises(ValueError, match="one target"):
        RankCollector(settings(["Hit"])).eval_batch_collect(
            torch.randn(2, 9), None, torch.tensor([0, 0, 1]), torch.tensor([3, 4, 5])
        )


def test_metrics_of_ranks_take_those_that_ranks_tell():
    config = {"metrics": ["Hit", "NDCG", "ItemCoverage"], "topk": [1, 3], "metric_decimal_place": 8}
    assert metrics_of_ranks(config, torch.tensor([0, 2])) == pytest.approx(
        {"hit@1": 0.5, "hit@3": 1.0, "ndcg@1": 0.5, "ndcg@3": 0.75}
    )

"""Every metric on every kind of model, whole and by blocks of items, against plain Python."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import metrics as plain
from helpers.metrics import BY_LIST, BY_RANK, BY_VALUE, TOPK, Case, built, configured, mean

from recbole_mqsa.data import loader as loaders
from recbole_mqsa.errors import UserError
from recbole_mqsa.evaluation import collector as collecting
from recbole_mqsa.evaluation.collector import RankCollector
from recbole_mqsa.evaluation.cost import scoring_flops
from recbole_mqsa.evaluation.metrics import RunEvaluator
from recbole_mqsa.evaluation.ranking import best_items, target_ranks, top_items_by_blocks
from recbole_mqsa.parallel.launch import spawn
from recbole_mqsa.training.build import build_dataset, build_loaders
from recbole_mqsa.training.run import run

MODELS = ["MQSATED", "SASRec", "BPR", "Pop"]
N_ITEMS = 40


@cache
def trained(model: str) -> tuple[Any, Any, Any]:
    """A model after one epoch, its trainer and its test loader."""
    net, trainer, (train, _, test) = built(configured(model))
    with torch.enable_grad():
        trainer.fit(train, saved=False)
    if model == "Pop":
        net.count(test._dataset)
    return net.eval(), trainer, test


def factors(model: str, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """States and items whose products are a model's scores."""
    net = trained(model)[0]
    if model == "MQSATED":
        return net.factors(batch)
    if model == "SASRec":
        return net.forward(batch["item_id_list"], batch["item_length"]), net.item_embedding.weight
    if model == "BPR":
        return net.user_embedding(batch["user_id"]), net.item_embedding.weight
    return torch.ones(len(batch), 1), net.popularity[:, None]


@cache
def in_numbers() -> list[tuple[list[int], int]]:
    """History and target of each test sample, from the file."""
    data = trained("Pop")[2]._dataset
    return [
        (data.token2id("item_id", items[:-1]).tolist(), int(data.token2id("item_id", items[-1])))
        for items in plain.histories().values()
    ]


@cache
@torch.no_grad()
def cases(model: str, negatives: Any = None) -> list[Case]:
    """What plain Python knows of each test sample."""
    net, _, test = trained(model)
    found = []
    for row, (history, target) in enumerate(in_numbers()):
        scores = net.full_sort_predict(test._dataset[np.array([row])]).flatten().tolist()
        among = set(range(1, N_ITEMS + 1)) if negatives is None else {*negatives[row], target} - {0}
        found.append((scores, plain.ranking(scores, among - set(history)), target))
    return found


@cache
def popularity() -> Counter[int]:
    """Of all training actions: all but a user's last two."""
    return Counter(item for history, _ in in_numbers() for item in history[:-1])


def expected(metric: str, samples: list[Case]) -> dict[str, float]:
    """A metric by its definition."""
    tail = plain.tail(popularity(), 0.3)
    of = {
        "Hit": plain.at_target(lambda place, k: 1.0),
        "Recall": plain.at_target(lambda place, k: 1.0),
        "Precision": plain.at_target(lambda place, k: 1 / k),
        "MRR": plain.at_target(lambda place, k: 1 / (place + 1)),
        "MAP": plain.at_target(lambda place, k: 1 / (place + 1)),
        "NDCG": plain.at_target(lambda place, k: 1 / math.log2(place + 2)),
        "ItemCoverage": partial(plain.coverage, n_items=N_ITEMS),
        "ShannonEntropy": plain.entropy,
        "GiniIndex": partial(plain.gini, n_items=N_ITEMS),
        "AveragePopularity": partial(plain.over_lists, value=popularity().__getitem__),
        "TailPercentage": partial(plain.over_lists, value=lambda item: float(item in tail)),
    }
    if metric == "GAUC":
        return {"gauc": plain.gauc(samples)}
    return {f"{metric.lower()}@{k}": of[metric](samples, k) for k in TOPK}


def of_metric(result: dict[str, float], metric: str) -> dict[str, float]:
    return {name: value for name, value in result.items() if name.partition("@")[0] == metric.lower()}


@cache
@torch.no_grad()
def measured(model: str, way: str) -> dict[str, float]:
    """All metrics of the test, by the trainer, or by blocks of five items."""
    _, trainer, test = trained(model)
    if way == "whole":
        return dict(trainer.evaluate(test, load_best_model=False))
    config = configured(model)
    collector = RankCollector(config)
    collector.data_collect(test)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("target_ranks_by_blocks", "top_items_by_blocks", "pairs_won_by_blocks"):
            patch.setattr(collecting, name, partial(getattr(collecting, name), cells=5 * 32))
        for batch, seen, _, target in loaders_of(test, 32):
            best = collector.by_blocks(*factors(model, batch), target, seen)
            collector.eval_batch_collect(best, batch, torch.arange(len(target)), target)
    return dict(RunEvaluator(config).evaluate(collector.get_data_struct()))


def loaders_of(test: Any, size: int) -> Any:
    rows = list(range(test.sample_size))
    return [test.collate_fn(rows[start : start + size]) for start in range(0, len(rows), size)]


@pytest.mark.parametrize("metric", [*BY_RANK, *BY_LIST])
@pytest.mark.parametrize("way", ["whole", "by blocks"])
@pytest.mark.parametrize("model", MODELS)
def test_against_the_definition(model: str, way: str, metric: str) -> None:
    assert of_metric(measured(model, way), metric) == pytest.approx(expected(metric, cases(model)), abs=1e-9)


@pytest.mark.parametrize("metric", [*BY_RANK, *BY_LIST])
@pytest.mark.parametrize("mode", ["uni7", "pop7", "uni100"])
@pytest.mark.parametrize("model", MODELS)
def test_among_candidates_against_the_definition(model: str, mode: str, metric: str) -> None:
    result, negatives = among_candidates(model, mode)
    assert of_metric(result, metric) == pytest.approx(expected(metric, cases(model, negatives)), abs=1e-9)
    if mode == "uni100":  # of 40 items
        assert result == measured(model, "whole")


@cache
def among_candidates(model: str, mode: str) -> tuple[dict[str, float], Any]:
    _, trainer, _ = trained(model)
    config = configured(model, mode)
    test = build_loaders(config, build_dataset(config))[2]
    result = dict(trainer.evaluate(test, load_best_model=False))
    drawn = test.candidates.of(np.arange(test.sample_size))
    return result, tuple(map(tuple, drawn.tolist()))


# Single pairs of user and item.


@pytest.mark.parametrize("model", MODELS)
def test_auc_against_the_definition(model: str) -> None:
    config = configured(model, "uni7", ["AUC"])
    net, trainer, (_, _, test) = built(config)
    if model == "Pop":
        net.count(test._dataset)
    result = trainer.evaluate(test, load_best_model=False)
    pairs, row, _, _ = test.collate_fn(list(range(80)))
    with torch.no_grad():
        scores = net.eval().predict(pairs)
    assert (row.bincount() == 8).all()
    labels = pairs["label"]
    assert pairs["item_id"][labels == 1].tolist() == [target for _, target in in_numbers()]
    assert result["auc"] == pytest.approx(
        plain.auc(scores[labels == 1].tolist(), scores[labels == 0].tolist()), abs=1e-9
    )


@pytest.mark.parametrize("model", ["NeuMF", "NNCF", "FISM", "CDAE"])
def test_metrics_of_probabilities_against_the_definition(model: str) -> None:
    config = configured(model, "pop7", ["LogLoss", "MAE", "RMSE"])
    net, trainer, (_, _, test) = built(config)
    result = trainer.evaluate(test, load_best_model=False)
    pairs, _, _, _ = test.collate_fn(list(range(80)))
    with torch.no_grad():
        scores = net.eval().predict(pairs).tolist()
    errors = [abs(label - score) for label, score in zip(pairs["label"].tolist(), scores)]
    assert result == pytest.approx(
        {
            "logloss": mean(-math.log(1 - error) for error in errors),
            "mae": mean(errors),
            "rmse": math.sqrt(mean(error**2 for error in errors)),
        },
        abs=1e-6,
    )


@pytest.mark.parametrize("metric", ["LogLoss", "MAE", "RMSE"])
@pytest.mark.parametrize("model", [*MODELS, "LightGCN", "GRU4Rec"])
def test_scores_that_are_no_probabilities_are_refused(model: str, metric: str) -> None:
    with pytest.raises(UserError, match=f"without LogLoss, MAE and RMSE for {model}, whose scores"):
        configured(model, "uni7", [metric])


@pytest.mark.parametrize("metric", BY_VALUE)
@pytest.mark.parametrize("mode", ["full", {"valid": "uni7", "test": "full"}], ids=str)
def test_metrics_by_value_need_pairs(metric: str, mode: Any) -> None:
    with pytest.raises(UserError, match="metrics by value judge sampled pairs: set mode uni100"):
        configured("NeuMF", mode, [metric])


def test_scores_out_of_range_are_noticed_where_a_model_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured("NeuMF", "uni7", ["MAE"])
    net, trainer, (_, _, test) = built(config)
    monkeypatch.setattr(net, "sigmoid", torch.nn.Threshold(9, 9))
    with pytest.raises(UserError, match="metric MAE takes probabilities, but this model's scores go from"):
        trainer.evaluate(test, load_best_model=False)


# By hand.


def test_a_masked_target_counts_as_none_in_gauc() -> None:
    """Of 80 users of 'tiny', 20 test on a seen item: they lose all pairs; RecBole's formula is negative for them."""
    masked = [target in history for history, target in in_numbers()]
    assert sum(masked) == 20
    shares = [plain.gauc([case]) for case in cases("MQSATED")]
    assert {share for share, lost in zip(shares, masked) if lost} == {0.0}
    assert measured("MQSATED", "whole")["gauc"] == pytest.approx(sum(shares) / 80)


def test_lists_that_end_before_k() -> None:
    """Three items, two users: one may get items 3 and 1, the other item 2; the third place of both is empty."""
    config = configured("Pop", topk=[1, 3], valid_metric="NDCG@3")
    collector, inf = RankCollector(config), math.inf
    collector.data_struct.set("data.num_items", 3)
    collector.data_struct.set("data.count_items", np.array([0, 4, 1, 2]))
    scores = torch.tensor([[-inf, 0.1, -inf, 0.2], [-inf, -inf, 0.3, -inf]])
    collector.eval_batch_collect(scores, None, torch.arange(2), torch.tensor([1, 3]))
    struct = collector.get_data_struct()
    assert struct.get("rec.items").tolist() == [[3, 1, 0], [2, 0, 0]]
    result = RunEvaluator(config).evaluate(struct)
    assert {
        name: result[f"{name}@3"] for name in ("itemcoverage", "averagepopularity", "tailpercentage")
    } == {
        "itemcoverage": 1.0,
        "averagepopularity": ((2 + 4) / 2 + 1) / 2,
        "tailpercentage": (0 + 1) / 2,  # item 2, a third of the items
    }
    assert result["shannonentropy@3"] == pytest.approx(math.log(3))
    assert result["giniindex@3"] == 0 and result["giniindex@1"] == pytest.approx(1 / 3)
    assert result["gauc"] == 0  # the first target is behind item 3, the second is left out


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 3, 30])
def test_ties_go_by_id_in_lists_as_in_ranks(levels: int, k: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    states = torch.randint(1, 3, (50, 1), generator=generator).float()
    items = torch.randint(levels, (25, 1), generator=generator).float()
    scores = states @ items.T
    scores[:, 0] = -math.inf
    left_out = torch.nonzero(torch.rand(50, 25, generator=generator) < 0.2, as_tuple=True)
    scores[left_out] = -math.inf
    lists, width = best_items(scores, k), min(k, 25)
    assert lists[1].tolist() == [
        ([i for i in sorted(range(25), key=lambda i: (-row[i], i)) if row[i] > -math.inf] + [0] * k)[:width]
        for row in scores.tolist()
    ]
    for target in range(1, 25):
        ranks = target_ranks(scores, torch.full((50,), target))
        for row, rank in enumerate(ranks.tolist()):
            place = lists[1][row].tolist().index(target) if target in lists[1][row] else width
            assert place == min(rank, width)
    for cells in (50, 350, 10**6):
        best, ids = top_items_by_blocks(states, items, k, left_out, cells)
        assert torch.equal(best, lists[0][:, :24]) and torch.equal(ids, lists[1][:, :24])


# Wherever they are computed.


def test_the_trainer_of_a_large_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few users at once make it rank by blocks."""
    monkeypatch.setattr(loaders, "SCORE_CELLS", 10 * N_ITEMS)
    _, trainer, (_, _, test) = built(configured("MQSATED"))
    small = dict(trainer.evaluate(test, load_best_model=False))
    assert trainer._by_blocks
    monkeypatch.undo()
    _, trainer, (_, _, test) = built(configured("MQSATED"))
    assert small == pytest.approx(dict(trainer.evaluate(test, load_best_model=False)), abs=1e-9)
    assert not trainer._by_blocks


def test_a_model_that_was_loaded_is_tested_without_training() -> None:
    """RecBole counts items when training begins, so that these metrics fail without."""
    _, trainer, (_, _, test) = built(configured("BPR", metrics=["NDCG", *BY_LIST]))
    result = trainer.evaluate(test, load_best_model=False)
    assert 0 < result["averagepopularity@5"] < popularity().most_common(1)[0][1]


def test_mixed_metrics_with_slices_and_a_cut_off_above_the_items(tmp_path: Path) -> None:
    given = {
        "metrics": ["Hit", "NDCG", "ItemCoverage"],
        "topk": [10, 100],
        "valid_metric": "NDCG@10",
        "state": "ERROR",
    }
    result = run(configured("MQSATED", **given), tmp_path / "run").result
    assert set(result["test"]) == {
        f"{name}@{k}" for name in ("hit", "ndcg", "itemcoverage") for k in (10, 100)
    }
    assert (
        result["test"]["hit@100"] == 0.75 and result["test"]["itemcoverage@100"] == 1
    )  # 20 of 80 targets are seen
    assert set(result["slices"]["all"]) == {"samples", "hit@10", "hit@100", "ndcg@10", "ndcg@100"}


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    spawn(plain.in_two_processes, 2, tmp_path)
    for mode in ("full", "uni7", "pop7"):
        _, trainer, (_, _, test) = built(configured("MQSATED", mode))
        alone = dict(trainer.evaluate(test, load_best_model=False))
        for rank in range(2):
            assert torch.load(tmp_path / f"{rank}.pt")[mode] == pytest.approx(alone, abs=1e-9)


def test_operations_are_of_one_user_where_pairs_are_judged() -> None:
    net, _, (_, _, ranked) = built(configured("BPR"))
    pairs = build_loaders(sampled := configured("BPR", "uni7", ["AUC"]), build_dataset(sampled))[2]
    assert scoring_flops(net, pairs) == scoring_flops(net, ranked) > 0

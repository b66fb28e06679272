"""Negatives of sampled evaluation: against drawing one by one in plain Python, and the same for all who ask."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.metrics import built, configured, histories, protocol
from recbole.quick_start import run_recbole

from recbole_mqsa.data import candidates as drawing
from recbole_mqsa.data.candidates import Candidates, Negatives
from recbole_mqsa.parallel.sharding import own_samples
from recbole_mqsa.training.build import build_dataset, build_loaders
from recbole_mqsa.training.run import run

BITS = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15


def mixed(state: int) -> int:
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & BITS
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & BITS
    return state ^ (state >> 31)


def number(key: int, column: int) -> float:
    """A row's number of a column, in [0, 1)."""
    return (mixed(mixed(key * GAMMA + drawing.SEED & BITS) + (column + 1) * GAMMA & BITS) >> 12) / 2**52


def slowly(key: int, weights: list[int], left_out: set[int], count: int) -> list[int]:
    """One draw after the other, those again that must not be; then by exponential order."""
    found: list[int] = []
    for column in range(4 * count + 64):
        place, item = number(key, column) * sum(weights), 0
        while sum(weights[: item + 1]) <= place:
            item += 1
        if item not in left_out and item not in found and len(found) < count:
            found.append(item)
    rest = [item for item, weight in enumerate(weights) if weight and item not in {*left_out, *found}]
    rest.sort(key=lambda item: -math.log1p(-number(key, item + 2**32)) / weights[item])
    return [*found, *rest, *[0] * count][:count]


@pytest.mark.parametrize("count", [1, 5, 30, 60])
@pytest.mark.parametrize("kind", ["uniform", "popular", "few popular"])
@pytest.mark.parametrize("cells", [1, 10**6])
def test_draws_against_drawing_one_by_one(
    monkeypatch: pytest.MonkeyPatch, kind: str, count: int, cells: int
) -> None:
    monkeypatch.setattr(drawing, "CELLS", cells)
    random = np.random.default_rng(count)
    weights = {
        "uniform": np.ones(41, dtype=int),
        "popular": random.integers(0, 9, 41),
        "few popular": np.where(np.arange(41) % 10 == 1, 10**6, np.arange(41) % 2),
    }[kind]
    weights[0] = 0
    keys, left_out = random.integers(10**9, size=30), random.random((30, 41)) < 0.3
    left_out[0], left_out[1, 1:] = True, False
    drawn = Negatives(weights, count).draw(keys, left_out)
    assert drawn.tolist() == [
        slowly(key, weights.tolist(), set(np.flatnonzero(out)), count)
        for key, out in zip(keys.tolist(), left_out)
    ]


@pytest.mark.parametrize("weights", [[0, 1, 1, 1, 1], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("way", ["draws", "exponential order"])
def test_each_item_comes_as_often_as_its_weight_says(
    monkeypatch: pytest.MonkeyPatch, weights: list[int], way: str
) -> None:
    """Two of four items without replacement: i first, or j and then i, with w_i / (W - w_j)."""
    negatives, total = Negatives(np.array(weights), 2), sum(weights)
    if way == "exponential order":
        nothing = lambda keys, *_: (np.zeros(len(keys), dtype=bool), np.zeros((len(keys), 2), dtype=int))  # noqa: E731
        monkeypatch.setattr(negatives, "_first_different", nothing)
    counts = Counter(negatives.draw(np.arange(40_000), np.zeros((40_000, 5), dtype=bool)).ravel().tolist())
    for item in range(1, 5):
        other = [weights[j] / total * weights[item] / (total - weights[j]) for j in range(1, 5) if j != item]
        assert counts[item] / 40_000 == pytest.approx(weights[item] / total + sum(other), abs=0.01)


def drawn(model: str, mode: str = "uni20", **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """The negatives of all samples of validation and of test."""
    config = configured(model, mode, ["NDCG"], **more)
    _, *loaders = build_loaders(config, build_dataset(config))
    valid, test = (loader.candidates.of(np.arange(loader.sample_size)) for loader in loaders)
    return valid, test


@pytest.mark.parametrize("mode", ["uni20", "pop20", "uni100"])
def test_no_seen_item_no_target_and_no_item_twice(mode: str) -> None:
    """In validation training items are seen, in the test that of validation, too; all others if they are too few."""
    config = configured("MQSATED", mode, ["NDCG"])
    _, *loaders = build_loaders(config, build_dataset(config))
    for loader, last in zip(loaders, (-2, -1)):
        data = loader._dataset
        ids = [data.token2id("item_id", items).tolist() for items in histories().values()]
        trained = {item for items in ids for item in items[:last]}
        for items, negatives in zip(ids, loader.candidates.of(np.arange(80)).tolist()):
            possible = (set(range(1, 41)) if mode.startswith("uni") else trained) - {
                *items[:last],
                items[last],
            }
            given = [item for item in negatives if item]
            assert set(given) <= possible and len(set(given)) == len(given)
            assert len(given) == min(int(mode[3:]), len(possible))
            assert negatives == given + [0] * (len(negatives) - len(given))


@pytest.mark.parametrize(("mode", "known"), [("valid", -2), ("test", -1)])
def test_popularity_is_what_is_known_before_a_part_is_predicted(mode: str, known: int) -> None:
    config = configured("BPR", "pop5", ["NDCG"])
    _, *parts = build_loaders(config, build_dataset(config))
    loader = parts[mode == "test"]
    counts = Counter(item for items in histories().values() for item in items[:known])
    names = loader._dataset.id2token("item_id", np.arange(1, 41))
    assert loader.candidates.negatives.weights.tolist() == [0, *(counts[name] for name in names)]


@pytest.mark.parametrize("mode", ["uni20", "pop20"])
def test_all_models_and_seeds_get_the_same(mode: str) -> None:
    first = drawn("MQSATED", mode)
    assert not np.array_equal(*first)
    for model, more in (
        ("SASRec", {"seed": 1}),
        ("SASRec", {"prefixes": "longest", "eval_batch_size": 3}),
        ("BPR", {"seed": 7, "repeatable": True}),
        ("LightGCN", {}),
        ("Pop", {"MAX_ITEM_LIST_LENGTH": 3}),
        ("ItemTransition", {}),
    ):
        assert all(map(np.array_equal, first, drawn(model, mode, **more))), model


def test_without_a_mask_seen_items_are_negatives_but_for_the_target() -> None:
    _, test = drawn("BPR", "uni100", mask_seen=False)
    assert (np.sort(test[:, :39], 1) > 0).all() and not test[:, 39:].any()


def test_every_evaluation_asks_for_the_same() -> None:
    """Whether or not the ids are kept, whatever was drawn in between, and for any part of the samples."""
    config = configured("MQSATED", "uni20", ["NDCG"])
    _, trainer, (_, _, test) = built(config)
    first = trainer.evaluate(test, load_best_model=False)
    np.random.seed(1)
    torch.manual_seed(1)
    assert trainer.evaluate(test, load_best_model=False) == first
    fresh = Candidates(test._dataset, "uniform", 20, mask_seen=True)
    whole = fresh.of(np.arange(80))
    assert np.array_equal(
        Candidates(test._dataset, "uniform", 20, True).of(np.array([7, 3, 7])), whole[[7, 3, 7]]
    )
    unkept = Candidates(test._dataset, "uniform", 20, mask_seen=True)
    unkept._kept = unkept._kept[:0]
    assert np.array_equal(unkept.of(np.arange(80)), whole)


def test_ranks_shard_by_shard_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured("SASRec", "uni7", ["NDCG"])
    _, trainer, (_, _, test) = built(config)
    trainer.evaluate(test, load_best_model=False)
    whole, shards = trainer.eval_collector.ranks, []
    monkeypatch.setattr("recbole_mqsa.parallel.group.size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr("recbole_mqsa.parallel.group.rank", lambda rank=rank: rank)
        shards.append(own_samples(test))
    monkeypatch.undo()
    parts = []
    for shard in shards:
        trainer.evaluate(shard, load_best_model=False)
        parts.append(trainer.eval_collector.ranks)
    assert torch.equal(torch.cat(parts), whole) and len({len(part) for part in parts}) > 1


@pytest.mark.parametrize("model", ["MQSATED", "Pop", "ItemTransition", "BPR"])
@pytest.mark.parametrize("mode", ["uni100", "pop100", {"valid": "full", "test": "uni5"}], ids=str)
def test_of_few_items_the_target_is_found_more_often(model: str, mode: Any) -> None:
    config = configured(model, mode, ["Hit"], valid_metric="Hit@5", topk=[5])
    _, trainer, (_, valid, test) = built(config)
    found = [trainer.evaluate(loader, load_best_model=False)["hit@5"] for loader in (valid, test)]
    assert 0 < found[0] < 1 and 0 < found[1] <= 0.75  # a quarter of all targets is seen
    assert found[1] > found[0] if isinstance(mode, dict) else True


def test_a_ratio_split_has_candidates_for_each_of_a_users_targets() -> None:
    """RecBole gives a user's test items one row; here each is a sample."""
    args = {**protocol("uni5"), "split": {"RS": [0.6, 0.1, 0.3]}}
    config = configured("SASRec", "uni5", ["Hit"], valid_metric="Hit@5", eval_args=args)
    _, trainer, (_, _, test) = built(config)
    result = trainer.evaluate(test, load_best_model=False)
    assert len(trainer.eval_collector.ranks) == len(test._dataset) > 80
    assert 0 < result["hit@1"] < result["hit@100"] < 1


def test_a_large_catalogue_is_not_ranked_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks know seen items, but no candidates."""
    config = configured("MQSATED", "uni7", ["NDCG"])
    _, trainer, (_, _, test) = built(config)
    expected = trainer.evaluate(test, load_best_model=False)
    monkeypatch.setattr("recbole_mqsa.data.loader.SCORE_CELLS", 1)
    _, _, test = build_loaders(config, build_dataset(config))
    assert test.step == 64
    assert trainer.evaluate(test, load_best_model=False) == expected and not trainer._by_blocks


def test_a_run_writes_the_ranks_among_candidates_and_their_slices(tmp_path: Path) -> None:
    config = configured("BPR", "uni20", ["Hit", "ItemCoverage"], valid_metric="Hit@5", state="ERROR")
    result = run(config, tmp_path / "run").result
    ranks = np.load(tmp_path / "run" / "ranks.npz")["ranks"]
    assert (
        len(ranks) == 80 and (ranks == -1).sum() == 20 and ranks.max() <= 20
    )  # a quarter of all targets is seen
    assert result["slices"]["all"]["hit@5"] == result["test"]["hit@5"] == np.mean((ranks >= 0) & (ranks < 5))


def test_those_who_enter_through_recbole_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["test"])
    given = dict(
        configured("MQSATED", "pop20", ["Hit"], valid_metric="Hit@5", state="ERROR").external_config_dict
    )
    given["checkpoint_dir"] = str(tmp_path)
    theirs = run_recbole(model="MQSATED", dataset="tiny", config_dict=given)
    ours = run(configured("MQSATED", "pop20", ["Hit"], valid_metric="Hit@5", state="ERROR"), tmp_path / "run")
    assert dict(theirs["test_result"]) == ours.result["test"]

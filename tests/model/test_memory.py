"""The bonus of a transition memory: against loops in every way of ranking, on any model, and what it teaches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.accuracy import broken_and_resumed, built, config, record
from helpers.chain import N_ITEMS, write_chain
from recbole.utils.case_study import full_sort_scores, full_sort_topk
from torch import Tensor

from recbole_mqsa.api import train
from recbole_mqsa.errors import UserError
from recbole_mqsa.evaluation.ranking import target_ranks, target_ranks_by_blocks, top_items_by_blocks
from recbole_mqsa.model import memory as memory_module
from recbole_mqsa.training.load import load_checkpoint
from recbole_mqsa.training.run import run

NUMBERS = {
    "transition_memory": 0.7, "memory_scale": 30.0, "memory_recency": 0.5, "memory_items": 3, "memory_span": 2,
    "memory_decay": 0.6,
}  # fmt: skip
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("MQSATED", {}),
    ("SASRec", {"prefixes": "longest"}),
    ("LightGCN", {}),
    ("ItemTransition", {}),
    ("BERT4Rec", {"prefixes": "longest"}),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.8)
    return tmp_path


def slow_bonus(train: Any, part: Any) -> Tensor:
    """[samples, I + 1] by loops over users, distances and ages."""
    sequences, total = train.sequences, train.item_num
    everybody = np.zeros((train.user_num, total, total))
    for user, last in enumerate(train.train_end):
        for earlier in range(sequences.offsets[user], last + 1):
            for distance in (1, 2):
                if earlier + distance <= last:
                    pair = sequences.items[earlier], sequences.items[earlier + distance]
                    everybody[(user, *pair)] += 0.6 ** (distance - 1)
    joint = everybody.sum(0)
    bonus = np.zeros((len(part), total))
    for sample, row in enumerate(part.rows):
        user = int(part.inter_feat[part.uid_field][sample])
        others = joint - everybody[user]
        history = sequences.items[sequences.offsets[user] : row][-3:]
        for age, item in enumerate(reversed(history)):
            if others[item].sum() > 1e-9:
                bonus[sample] += 0.5**age * others[item] / others[item].sum()
    return torch.from_numpy(0.7 * np.log1p(30 * bonus)).float()


def all_scores(trainer: Any, loader: Any) -> Tensor:
    """[samples, I + 1] as evaluation has them."""
    trainer.model.eval()
    trainer.tot_item_num = loader._dataset.item_num
    with torch.no_grad():
        return torch.cat([trainer._full_sort_batch_eval(batch)[1].clone() for batch in loader])


@pytest.mark.parametrize("mask_seen", [True, False])
@pytest.mark.parametrize(("model", "settings"), MODELS)
def test_scores_and_metrics_against_loops(
    home: Path, model: str, settings: dict[str, Any], mask_seen: bool
) -> None:
    shared = {"mask_seen": mask_seen, "eval_batch_size": 37, **settings}
    plain, (_, _, test) = built(home, model, **shared)
    trainer, (train_data, valid, _) = built(home, model, **shared, **NUMBERS)
    for loader in (valid, test):
        if model == "ItemTransition":
            trainer.model.count(loader._dataset)
            plain.model.count(loader._dataset)
        bonus = slow_bonus(train_data._dataset, loader._dataset)
        assert (bonus > 0).float().mean() > 0.05
        expected = all_scores(plain, loader) + bonus
        scores = all_scores(trainer, loader)
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5, check_dtype=False)
        assert torch.isneginf(scores[:, 0]).all()
        ranks = target_ranks(expected, loader._dataset.inter_feat["item_id"])
        gains = [0.0 if rank >= 5 else 1 / math.log2(rank + 2) for rank in ranks.tolist()]
        result = trainer.evaluate(loader, load_best_model=False)
        assert result["ndcg@5"] == pytest.approx(sum(gains) / len(gains), abs=2e-3)


@pytest.mark.parametrize("mask_seen", [True, False])
def test_what_is_recommended_has_the_bonus(home: Path, mask_seen: bool) -> None:
    for model in ("MQSATED", "SASRec", "LightGCN"):
        trainer, (train_data, _, test) = built(home, model, mask_seen=mask_seen, **NUMBERS)
        users = test._dataset.inter_feat["user_id"][[5, 3, 100]].numpy()
        scores = full_sort_scores(users, trainer.model, test)
        rows = [test._dataset.inter_feat["user_id"].tolist().index(user) for user in users.tolist()]
        expected = all_scores(trainer, test)[rows]
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-6)
        trainer.model.scoring_memory = None
        assert not torch.allclose(full_sort_scores(users, trainer.model, test), expected)
        memory_module.attach_memory(trainer.model, trainer.config, train_data._dataset)
        best, items = full_sort_topk(users, trainer.model, test, 7)
        torch.testing.assert_close(best, expected.topk(7, 1)[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(expected.gather(1, items), best, rtol=1e-5, atol=1e-6)


def test_a_history_of_somebody_new(home: Path) -> None:
    """As a sample's, but that nobody's training actions are taken out."""
    trainer, (train_data, _, test) = built(home, **NUMBERS)
    memory = trainer.model.scoring_memory
    samples = test._dataset[[4, 9]]
    begin, end, users = train_data._dataset.histories_of(samples)
    flat = np.concatenate([memory.source.items[first:last] for first, last in zip(begin, end)])
    cuts = np.array([0, end[0] - begin[0], len(flat)])
    rows, items, values = memory.after(cuts[:-1], cuts[1:], items=flat)
    expected = memory.after(begin, end)
    assert torch.equal(rows, expected.rows) and torch.equal(items, expected.items)
    assert torch.equal(values, expected.values) and len(values) > 0
    assert not torch.equal(memory.after(begin, end, users).values, values)


def test_by_blocks_as_at_once() -> None:
    generator = torch.Generator().manual_seed(0)
    states, items = (torch.randn(count, 4, generator=generator) for count in (5, 23))
    scores = states @ items.T
    scores[:, 0] = -torch.inf
    place = torch.randperm(5 * 22, generator=generator)[:40]
    raised = place // 22, place % 22 + 1, torch.rand(40, generator=generator)
    seen = torch.tensor([0, 1, 1, 4]), torch.tensor([3, 7, 22, 9])
    scores[raised[:2]] += raised[2]
    scores[seen] = -torch.inf
    for target in (torch.tensor([1, 2, 3, 4, 5]), torch.tensor([22, 22, 7, 8, 9])):
        expected = target_ranks(scores, target).where(target_ranks(scores, target) < 23, 23)
        for cells in (1, 20, 1000):
            ranks = target_ranks_by_blocks(states, items, target, seen, cells, raised)
            assert torch.equal(ranks, expected)
    for cells in (1, 20, 1000):
        best, ids = top_items_by_blocks(states, items, 6, seen, cells, raised)
        torch.testing.assert_close(best, scores.topk(6, 1)[0])
        torch.testing.assert_close(scores.gather(1, ids), best)


@pytest.mark.parametrize("model", ["MQSATED", "FMLPRec"])
def test_a_large_catalogue_is_ranked_alike(home: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    metrics = []
    for large in (False, True):
        trainer, (_, valid, _) = built(home, model, **NUMBERS)
        monkeypatch.setattr(type(trainer), "_is_too_large", lambda *_, large=large: large)
        metrics.append(trainer.evaluate(valid, load_best_model=False))
        assert trainer._by_blocks is large
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-9)


@pytest.mark.parametrize("room", [0, 3000, 1 << 25])
def test_a_repeated_evaluation_is_the_same(home: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(memory_module, "REPEATED", room)
    trainer, (_, valid, test) = built(home, eval_batch_size=37, **NUMBERS)
    once = trainer.evaluate(valid, load_best_model=False)
    for _ in range(3):
        assert trainer._valid_epoch(valid)[1] == once
    memory = trainer.model.scoring_memory
    assert memory._held <= room and len(memory._known) == {0: 0, 1 << 25: len(valid)}.get(
        room, len(memory._known)
    )
    assert (memory._held > 0) == (room > 0)
    before = memory._held
    trainer.evaluate(test, load_best_model=False)  # which comes once
    assert memory._held == before


def test_no_memory_without_strength(home: Path) -> None:
    trainer, (train_data, *_) = built(home)
    trainer.epochs = 1
    trainer.fit(train_data, saved=False)
    assert memory_module.memory_of(trainer.model) is None and not hasattr(trainer.model, "scoring_memory")


@pytest.mark.parametrize("model", ["MQSATED", "LightGCN"])
def test_a_loaded_model_has_the_same_scores(home: Path, model: str) -> None:
    finished = run(config(home, model, epochs=2, ema_decay=0.5, **NUMBERS), home / "run")
    loaded = load_checkpoint(home / "run" / "checkpoint.pth")
    users = loaded.loaders[2]._dataset.inter_feat["user_id"].numpy()
    scores = full_sort_scores(users, loaded.model, loaded.loaders[2])
    ranks = target_ranks(scores, loaded.loaders[2]._dataset.inter_feat["item_id"])
    with np.load(home / "run" / "ranks.npz") as arrays:
        assert (arrays["ranks"][arrays["ranks"] >= 0] == ranks.numpy()[arrays["ranks"] >= 0]).all()
    assert finished.result["settings"]["transition_memory"] == 0.7


def test_a_model_that_recbole_builds_gets_its_memory_too(home: Path) -> None:
    """By RecBole's own entry nobody attaches it before training."""
    trainer, (train_data, *_) = built(home, **NUMBERS)
    del trainer.model.scoring_memory
    trainer.epochs = 1
    trainer.fit(train_data, saved=False)
    assert memory_module.memory_of(trainer.model) is not None


def test_a_resumed_run_is_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, resumed = broken_and_resumed(home, monkeypatch, "MQSATED", **NUMBERS)
    assert record(resumed) == record(whole)


def test_several_processes_rank_alike(home: Path) -> None:
    given = {"data_path": str(home), "topk": [5], "valid_metric": "NDCG@5", "show_progress": False, **NUMBERS}
    results = [
        train("ItemTransition", "chain", home / str(nproc), nproc=nproc, state="ERROR", **given).result
        for nproc in (1, 2)
    ]
    assert results[0]["valid"] == results[1]["valid"] and results[0]["test"] == results[1]["test"]
    ranks = [np.load(home / nproc / "ranks.npz")["ranks"] for nproc in "12"]
    assert (ranks[0] == ranks[1]).all()


# What it teaches.


def hits(folder: Path, certainty: float, **settings: object) -> tuple[float, float]:
    """HR@1 at validation and test of popularity, which knows no transitions."""
    write_chain(folder, certainty)
    given = {"mask_seen": False, "topk": [1, 5], **settings}
    result = run(config(folder, "Pop", **given), folder / "run").result
    return result["valid"]["hit@1"], result["test"]["hit@1"]


STRONG = {"transition_memory": 100.0, "memory_span": 1, "memory_items": 1}
CHANCE = 1 / N_ITEMS


def test_it_teaches_transitions_to_a_model_that_cannot_know_them(tmp_path: Path) -> None:
    for name in ("plain", "memory"):
        (tmp_path / name).mkdir()
    plain, remembering = hits(tmp_path / "plain", 0.8), hits(tmp_path / "memory", 0.8, **STRONG)
    assert max(plain) < 3 * CHANCE
    assert min(remembering) > 0.7


def test_it_finds_nothing_in_noise(tmp_path: Path) -> None:
    valid, test = hits(tmp_path, 0.0, **STRONG)
    deviation = math.sqrt(CHANCE * (1 - CHANCE) / 400)
    assert max(valid, test) < CHANCE + 4 * deviation


@pytest.mark.parametrize(
    ("model", "given", "says"),
    [
        (
            "MQSATED",
            {"transition_memory": -0.1},
            "transition_memory is -0.1; it has to be a number of at least 0",
        ),
        ("MQSATED", {"transition_memory": "strong"}, "transition_memory is 'strong'"),
        ("MQSATED", {"memory_scale": 0}, "memory_scale is 0; it has to be a number above 0"),
        ("SASRec", {"memory_recency": 1.5}, "memory_recency is 1.5"),
        ("MQSATED", {"memory_decay": 0}, "memory_decay is 0"),
        ("MQSATED", {"memory_items": 0}, "memory_items is 0; it has to be a whole number of at least 1"),
        ("MQSATED", {"memory_span": 1.5}, "memory_span is 1.5"),
        ("MQSATED", {"memory_fit": "yes"}, "memory_fit is 'yes'; it has to be True or False"),
        (
            "SASRec",
            {"memory_fit": True, "metrics": ["ItemCoverage"], "valid_metric": "ItemCoverage@5"},
            "NDCG@20",
        ),
    ],
)
def test_bad_settings_are_refused(home: Path, model: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config(home, model, **given)


@pytest.mark.parametrize("setting", [{"transition_memory": 0.5}, {"memory_fit": True}], ids=str)
def test_sampled_evaluation_is_refused(home: Path, setting: dict[str, Any]) -> None:
    sampled = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "uni10"}
    with pytest.raises(UserError, match="evaluation over all items"):
        config(home, eval_args=sampled, **setting)

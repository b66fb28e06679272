"""Choosing a memory's numbers: ranks against ranking anew, the climb, and whole runs that never read the test part."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.accuracy import built, config
from helpers.chain import N_ITEMS, write_chain
from recbole.utils.case_study import full_sort_scores

from recbole_mqsa.api import train
from recbole_mqsa.errors import UserError
from recbole_mqsa.evaluation import memory_fit
from recbole_mqsa.evaluation.memory_fit import GRID
from recbole_mqsa.evaluation.ranking import target_ranks
from recbole_mqsa.model.memory import SETTINGS, Memory, MemoryNumbers
from recbole_mqsa.training.fit_memory import _Fit
from recbole_mqsa.training.load import load_checkpoint
from recbole_mqsa.training.run import Run, run

START = MemoryNumbers(strength=0.5, scale=100.0, recency=0.6, items=4, span=3, decay=0.8)
TRIED = (
    START,
    MemoryNumbers(0.0, 100.0, 0.6, 4, 3, 0.8),
    MemoryNumbers(2.0, 10.0, 0.3, 4, 1, 1.0),
    MemoryNumbers(32.0, 1000.0, 1.0, 4, 8, 0.4),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.7)
    return tmp_path


@pytest.mark.parametrize("mask_seen", [True, False])
@pytest.mark.parametrize(("model", "large"), [("MQSATED", False), ("MQSATED", True), ("SASRec", False)])
def test_ranks_are_those_of_ranking_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, large: bool, mask_seen: bool
) -> None:
    trainer, (train_data, valid, _) = built(home, model, mask_seen=mask_seen, eval_batch_size=37)
    monkeypatch.setattr(type(trainer), "_is_too_large", lambda *_: large)
    with torch.no_grad():  # scores that do not drown in the bonus
        trainer.model.item_embedding.weight.mul_(50)
    trainer.evaluate(valid, load_best_model=False)
    fit = _Fit(trainer, train_data._dataset, valid, START)
    assert fit.samples == len(valid._dataset) and len(fit.batches) > 5
    trainer._by_blocks = False
    for numbers in TRIED:
        ranks = memory_fit.ranks_with(fit.batches, fit._evidence, numbers, 5)
        trainer.model.scoring_memory = Memory(train_data._dataset, numbers, mask_seen)
        scores = torch.cat([trainer._full_sort_batch_eval(batch)[1].clone() for batch in valid])
        expected = target_ranks(scores, valid._dataset.inter_feat["item_id"]).numpy()
        expected = np.where(expected >= 5, memory_fit.MISSED, expected)
        assert (ranks == expected).mean() > 0.995  # a score may be another in its last digit
        trainer.model.scoring_memory = None
        assert 0 < (ranks < 5).sum() < len(ranks)


def test_some_batches_stand_for_all_where_there_are_too_many(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, (train_data, valid, _) = built(home, eval_batch_size=20)
    trainer.evaluate(valid, load_best_model=False)
    whole = _Fit(trainer, train_data._dataset, valid, START)
    candidates = sum(len(batch.scores) for batch in whole.batches)
    monkeypatch.setattr(memory_fit, "CANDIDATES", candidates // 3)
    some = _Fit(trainer, train_data._dataset, valid, START)
    assert 0.2 < some.samples / whole.samples < 0.4
    assert some.metric(START) == pytest.approx(whole.metric(START), abs=0.1)


@dataclass(frozen=True)
class Point:
    strength: float
    scale: float


def test_the_climb_finds_the_top_of_a_hill() -> None:
    grid = {"strength": (0.0, 1.0, 2.0, 3.0, 4.0), "scale": (1.0, 10.0, 100.0)}
    asked: list[Point] = []

    def hill(point: Point) -> float:
        asked.append(point)
        return (
            -abs(point.strength - 3)
            - abs(math.log10(point.scale))
            + 0.1 * point.strength * (point.scale == 1)
        )

    best, tried = memory_fit.climb(Point(0.5, 100.0), hill, grid)
    assert best == Point(3.0, 1.0) == max(tried, key=tried.__getitem__)
    assert len(asked) == len(set(asked)) == len(tried) and Point(0.0, 100.0) in tried


def test_the_climb_begins_where_the_models_scores_are() -> None:
    """A model whose scores are hundreds: nothing changes for any strength nearby."""
    best, _ = memory_fit.climb(
        Point(0.5, 1.0),
        lambda point: min(1.0, point.strength // 20),
        {"strength": GRID["strength"], "scale": (1.0,)},
    )
    assert best.strength > 20


def test_the_climb_keeps_what_is_equal_and_tries_none_at_all() -> None:
    grid = {"strength": (0.0, 1.0), "scale": (1.0, 10.0)}
    assert memory_fit.climb(Point(1.0, 1.0), lambda _: 0.0, grid)[0] == Point(1.0, 1.0)
    assert memory_fit.climb(Point(1.0, 1.0), lambda point: -point.strength, grid)[0].strength == 0.0


def fitted(home: Path, name: str, model: str = "Pop", **settings: object) -> Run:
    given = {
        "memory_fit": True,
        "mask_seen": False,
        "memory_items": 4,
        "epochs": 3,
        "topk": [1, 5],
        **settings,
    }
    return run(config(home, model, **given), home / name)


@pytest.mark.parametrize("model", ["Pop", "MQSATED"])
def test_a_run_records_what_it_chose_and_why(home: Path, model: str) -> None:
    finished = fitted(home, "run", model, ema_decay=0.5 if model == "MQSATED" else 0.0)
    memory, valid = finished.result["memory"], finished.result["valid"]
    assert memory["metric"] == "ndcg@5" and memory["samples"] == finished.result["users"]["valid"]
    assert set(memory["given"]) == set(memory["chosen"]) == set(SETTINGS.values())
    assert memory["given"]["transition_memory"] == 0 == finished.result["settings"]["transition_memory"]
    scores = [trial["ndcg@5"] for trial in memory["tried"]]
    assert {**memory["chosen"], "ndcg@5": max(scores)} in memory["tried"]
    assert valid["ndcg@5"] == memory["valid"]["chosen"] == pytest.approx(max(scores), abs=5e-3)
    assert memory["valid"]["chosen"] > memory["valid"]["given"] + 0.01
    none = [trial["ndcg@5"] for trial in memory["tried"] if trial["transition_memory"] == 0]
    assert none[0] == pytest.approx(memory["valid"]["given"], abs=5e-3)
    assert {**json.loads((home / "run" / "result.json").read_text()), "checksum": ""} == {
        **finished.result,
        "checksum": "",
    }


@pytest.mark.parametrize("model", ["MQSATED", "LightGCN"])
def test_a_loaded_model_has_the_chosen_memory(home: Path, model: str) -> None:
    finished = fitted(home, "run", model, mask_seen=True)
    loaded = load_checkpoint(home / "run" / "checkpoint.pth")
    assert {key: loaded.config[key] for key in SETTINGS.values()} == finished.result["memory"]["chosen"]
    test = loaded.loaders[2]
    scores = full_sort_scores(test._dataset.inter_feat["user_id"].numpy(), loaded.model, test)
    ranks = target_ranks(scores, test._dataset.inter_feat["item_id"]).numpy()
    with np.load(home / "run" / "ranks.npz") as arrays:
        assert (arrays["ranks"] == np.where(ranks < N_ITEMS + 1, ranks, -1)).all()


def write_with_tests(folder: Path, seed: int) -> None:
    """A chain whose users' last items, the test ones, depend on the seed, and nothing else does."""
    random, last = np.random.default_rng(0), np.random.default_rng(seed)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(150):
        items = list(range(30)) if user == 0 else [(random.integers(30) + step) % 30 for step in range(7)]
        items = [*items, last.integers(30)]
        lines += [f"{user}\t{item}\t{time}" for time, item in enumerate(items)]
    (folder / "chain").mkdir(parents=True)
    (folder / "chain" / "chain.inter").write_text("\n".join(lines) + "\n")


def test_the_test_part_chooses_nothing(tmp_path: Path) -> None:
    results = []
    for seed in (1, 2):
        write_with_tests(tmp_path / str(seed), seed)
        results.append(fitted(tmp_path / str(seed), "run").result)
    same = [{key: value for key, value in result["memory"].items() if key != "seconds"} for result in results]
    assert same[0] == same[1] and results[0]["valid"] == results[1]["valid"]
    assert results[0]["test"] != results[1]["test"]


def test_several_processes_choose_alike(home: Path) -> None:
    given = {
        "data_path": str(home), "topk": [5], "valid_metric": "NDCG@5", "show_progress": False, "state": "ERROR",
        "memory_fit": True, "mask_seen": False, "memory_items": 4,
    }  # fmt: skip
    results = [train("Pop", "chain", home / str(nproc), nproc=nproc, **given).result for nproc in (1, 2)]
    one, two = ({k: v for k, v in result["memory"].items() if k != "seconds"} for result in results)
    assert one == two and results[0]["test"] == results[1]["test"]


def test_it_teaches_what_there_is_and_nothing_else(tmp_path: Path) -> None:
    """A model that knows no transitions: on the chain it learns them, on noise it stays with chance."""
    for name, certainty in (("signal", 0.8), ("noise", 0.0)):
        (tmp_path / name).mkdir()
        write_chain(tmp_path / name, certainty)
    signal, noise = (fitted(tmp_path / name, "run").result["test"]["hit@1"] for name in ("signal", "noise"))
    chance = 1 / N_ITEMS
    assert signal > 0.6
    assert noise < chance + 4 * math.sqrt(chance * (1 - chance) / 400)


def test_without_validation_it_is_refused(home: Path) -> None:
    split = {"split": {"RS": [0.8, 0.0, 0.2]}, "group_by": "user", "order": "TO", "mode": "full"}
    with pytest.raises(UserError, match=r"it has to be False, as it needs .* a validation part"):
        fitted(home, "run", eval_args=split)


def test_without_the_setting_nothing_is_chosen(home: Path) -> None:
    assert "memory" not in fitted(home, "run", memory_fit=False).result

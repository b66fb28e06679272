"""A small data set with seen targets, models trained on it, and RecBole's metrics in plain Python."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from recbole.utils import init_seed

from recbole_mqsa.parallel import group
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer

SMALL_SETS = Path(__file__).resolve().parents[1] / "cases"
"""Made-up data sets, committed."""
TOPK = [1, 5, 100]
"""With one that is above the number of items, 40."""
BY_RANK = ["Hit", "MRR", "MAP", "Recall", "NDCG", "Precision", "GAUC"]
BY_LIST = ["ItemCoverage", "AveragePopularity", "ShannonEntropy", "GiniIndex", "TailPercentage"]
BY_VALUE = ["AUC", "LogLoss", "MAE", "RMSE"]


def protocol(mode: str) -> dict[str, Any]:
    """``eval_args`` of a mode."""
    return {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": mode}


def configured(model: str, mode: str = "full", metrics: list[str] | None = None, **more: Any) -> Config:
    """Settings of a model on ``tiny``."""
    metrics = metrics or [*BY_RANK, *BY_LIST]
    given = {
        "data_path": str(SMALL_SETS), "checkpoint_dir": tempfile.gettempdir(), "metrics": metrics, "topk": TOPK,
        "valid_metric": metrics[0] if metrics[0] in BY_VALUE else "NDCG@5", "metric_decimal_place": 12,
        "eval_args": protocol(mode), "epochs": 1, "show_progress": False, "train_batch_size": 64, "tail_ratio": 0.3,
        **more,
    }  # fmt: skip
    return Config(model, more.get("dataset", "tiny"), config_dict=given)


def built(config: Config) -> tuple[Any, Any, tuple[Any, Any, Any]]:
    """A model with its trainer, and the loaders."""
    loaders = build_loaders(config, build_dataset(config))
    init_seed(1, True)
    model = build_model(config, loaders[0]._dataset)
    return model, build_trainer(config, model), loaders


def histories(name: str = "tiny") -> dict[str, list[str]]:
    """Each user's items in the file, from old to new."""
    found: dict[str, list[str]] = {}
    for line in (SMALL_SETS / name / f"{name}.inter").read_text().splitlines()[1:]:
        user, item = line.split("\t")[:2]
        found.setdefault(user, []).append(item)
    return found


def ranking(scores: list[float], among: set[int]) -> list[int]:
    """Items, the best first, equal ones in order of ids."""
    return sorted(among, key=lambda item: (-scores[item], item))


Case = tuple[list[float], list[int], int]
"""The scores of all items for a sample, its ranking, and its target."""


def mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def at_target(gain: Callable[[int, int], float]) -> Callable[[list[Case], int], float]:
    """A metric that is a gain of the target's place, from 0, within the first k."""
    return lambda cases, k: mean(
        gain(ranked.index(target), k) if target in ranked[:k] else 0.0 for _, ranked, target in cases
    )


def recommended(cases: list[Case], k: int) -> Counter[int]:
    return Counter(item for _, ranked, _ in cases for item in ranked[:k])


def coverage(cases: list[Case], k: int, n_items: int) -> float:
    return len(recommended(cases, k)) / n_items


def entropy(cases: list[Case], k: int) -> float:
    counts = recommended(cases, k)
    return -sum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())


def gini(cases: list[Case], k: int, n_items: int) -> float:
    """Half the mean difference of two items' counts, over their mean."""
    counts = [recommended(cases, k)[item] for item in range(1, n_items + 1)]
    return sum(abs(a - b) for a in counts for b in counts) / (2 * n_items * sum(counts))


def over_lists(cases: list[Case], k: int, value: Callable[[int], float]) -> float:
    return mean(mean(value(item) for item in ranked[:k]) for _, ranked, _ in cases if ranked)


def tail(popularity: Counter[int], ratio: float) -> set[int]:
    order = sorted(popularity, key=lambda item: (popularity[item], item))
    return set(order[: max(1, int(len(order) * ratio))])


def gauc(cases: list[Case]) -> float:
    """Pairs of the target and another ranked item in the right order, a tie a half; none if the target is left out."""

    def of(scores: list[float], ranked: list[int], target: int) -> float:
        if target not in ranked:
            return 0.0
        others = [scores[item] for item in ranked if item != target]
        return mean((scores[target] > other) + 0.5 * (scores[target] == other) for other in others)

    return mean(of(*case) for case in cases)


def auc(positive: list[float], negative: list[float]) -> float:
    return mean((p > n) + 0.5 * (p == n) for p in positive for n in negative)


def in_two_processes(folder: Path) -> None:
    """Every metric of an untrained model by each of two processes, for each mode."""
    torch.set_num_threads(1)
    found = {}
    for mode in ("full", "uni7", "pop7"):
        config = configured("MQSATED", mode)
        with group.joined(config):
            _, trainer, (_, _, test) = built(config)
            result = trainer.evaluate(test, load_best_model=False)
            found[mode] = {name: float(value) for name, value in result.items()}
            rank = group.rank()
    torch.save(found, folder / f"{rank}.pt")

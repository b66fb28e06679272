"""A data set with a provable answer: everybody follows one chain, but for some noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.run import run

N_ITEMS, N_USERS = 40, 400


def write_chain(folder: Path, certainty: float, seed: int = 0) -> None:
    """Everybody's next item follows one permutation with this probability, else it is any item."""
    random = np.random.default_rng(seed)
    follower = np.roll(random.permutation(N_ITEMS), 1)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(N_USERS):
        item = random.integers(N_ITEMS)
        for time in range(random.integers(4, 12)):
            lines.append(f"{user}\t{item}\t{time}")
            item = follower[item] if random.random() < certainty else random.integers(N_ITEMS)
    (folder / "chain").mkdir()
    (folder / "chain" / "chain.inter").write_text("\n".join(lines) + "\n")


def train(
    folder: Path,
    name: str,
    model: str = "MQSATED",
    resume: bool = False,
    callback: Callable[[int, float], None] | None = None,
    **settings: object,
):
    """A finished run on the chain, at a size that trains in seconds."""
    small = {
        "data_path": str(folder), "epochs": 20, "eval_step": 5, "stopping_step": 5, "train_batch_size": 64,
        "hidden_size": 32, "MAX_ITEM_LIST_LENGTH": 12, "learning_rate": 0.01, "hidden_dropout_prob": 0.2,
        "weight_decay": 0.0, "topk": [1, 5], "valid_metric": "NDCG@5", "metrics": ["Hit", "NDCG"], "mask_seen": False,
        "show_progress": False, "state": "ERROR",
    }  # fmt: skip
    if model == "MQSATED":
        small.update(inner_size=32, attn_dropout_prob=0.2)
    config = Config(model, "chain", config_dict={**small, **settings})
    return run(config, folder / name, callback, resume)

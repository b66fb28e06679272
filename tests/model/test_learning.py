"""What the model learns: a Markov chain it must find, and noise in which there is nothing to find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.chain import N_ITEMS, N_USERS, train, write_chain

from recbole_mqsa.training.load import load_data_and_model


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"softmax_precision": "float32"}, 0.75),
        ({"softmax_precision": "bfloat16"}, 0.75),
        ({"negatives": 30}, 0.65),  # from estimates it learns more slowly
        ({"negatives": 30, "sparse_gradients": True}, 0.65),
    ],
    ids=str,
)
def test_finds_the_chain(tmp_path: Path, settings: dict, least: float) -> None:
    write_chain(tmp_path, certainty=0.9)
    test = train(tmp_path, "run", **settings).result["test"]
    # The best possible hit@1 is 0.9 + 0.1 / 40; 400 test users give it a standard deviation of 0.015.
    assert test["hit@1"] > least
    assert test["hit@1"] < 0.9 + 0.0025 + 4 * 0.015


def test_finds_nothing_in_noise(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.0)
    test = train(tmp_path, "run").result["test"]
    chance, deviation = 5 / N_ITEMS, (5 / N_ITEMS * (1 - 5 / N_ITEMS) / N_USERS) ** 0.5
    assert abs(test["hit@5"] - chance) < 4 * deviation


def test_distillation_teaches_the_embeddings_the_transitions(tmp_path: Path) -> None:
    """What TED is for: e_i . e_j alone, without any sequence, tells how often j follows i."""
    write_chain(tmp_path, certainty=0.9)
    distance = {}
    for lambda_kd in (0.0, 1.0):
        finished = train(tmp_path, f"lambda-{lambda_kd}", lambda_kd=lambda_kd, tau=0.3)
        _, model, _, train_data, _, _ = load_data_and_model(str(finished.folder / "checkpoint.pth"))
        counts = train_data._dataset.transition_counts().toarray()[1:, 1:]
        teacher = torch.from_numpy(counts / counts.max(1, keepdims=True) / 0.3).softmax(1)
        items = model.item_embedding.weight[1:].detach().double()
        student = (items @ items.T * 32**0.5 / 0.3).log_softmax(1)
        distance[lambda_kd] = (teacher * (teacher.log() - student)).sum(1).mean().item()
    # An item is most similar to itself though it seldom follows itself, so the distance cannot reach 0.
    assert distance[1.0] < 1.0
    assert distance[0.0] > 2 * distance[1.0]


def test_two_windows_see_what_one_item_cannot(tmp_path: Path) -> None:
    """The next item depends on the sum of the last two: a chain over pairs, chance for single items."""
    random = np.random.default_rng(1)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(600):
        items = list(random.integers(0, 8, 2))
        while len(items) < 14:
            items.append((items[-1] + items[-2]) % 8)
        lines += [f"{user}\tx{item}\t{time}" for time, item in enumerate(items)]
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "chain.inter").write_text("\n".join(lines) + "\n")
    test = train(tmp_path, "run", query_windows=[1, 2], lambda_kd=0.0, epochs=60).result["test"]
    assert test["hit@1"] > 0.9  # 1/8 by chance

"""MQSA-TED digit for digit against its authors' own program (recorded passes), and what it learns.

It has to find a Markov chain, and nothing in noise, in which there is nothing to find.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.chain import N_ITEMS, N_USERS, train, write_chain
from helpers.paths import GOLDEN
from recbole.data.interaction import Interaction

from recbole_mqsa.data.sequences import Sequences, last_window
from recbole_mqsa.data.transition_counts import count_transitions
from recbole_mqsa.model.mqsated import MQSATED
from recbole_mqsa.training.load import load_data_and_model

FILES = sorted(GOLDEN.glob("mqsa_ted_*.npz"))


class Golden:
    """One recorded reference and our model with its weights."""

    def __init__(self, path: Path) -> None:
        self.data = dict(np.load(path))
        d = self.data
        n_items, max_length = int(d["n_items"]), int(d["max_length"])
        rows = [[int(item) for item in row.split()] for row in d["train_sequences"]]
        users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        self.sequences = Sequences.from_sorted(users, np.concatenate(rows), len(rows))
        begin, end = last_window(self.sequences.offsets[:-1], self.sequences.offsets[1:] - 1, max_length - 1)
        self.counts = count_transitions(self.sequences.items, begin, end, n_items + 1, int(d["time_span"]))
        config = {
            "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "LIST_SUFFIX": "_list",
            "ITEM_LIST_LENGTH_FIELD": "item_length", "NEG_PREFIX": "neg_", "device": torch.device("cpu"),
            "MAX_ITEM_LIST_LENGTH": max_length, "hidden_size": int(d["hidden_size"]),
            "inner_size": int(d["hidden_size"]), "n_layers": int(d["n_layers"]), "n_heads": int(d["n_heads"]),
            "query_windows": [1, int(d["query_window"])], "alpha": float(d["alpha"]), "query_pooling": "mean",
            "query_decay": 0.5, "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "layer_norm_eps": 1e-24,
            "initializer_range": 0.01, "attention_groups": 3, "softmax_block": 5, "softmax_precision": "float32",
            "lambda_kd": float(d["lambda_kd"]), "tau": float(d["tau"]), "time_span": int(d["time_span"]),
            "time_decay": 1.0, "backward_weight": 0.0,
            "transition": "ted", "distillation_heads": 0, "negatives": "full", "sparse_gradients": False,
        }  # fmt: skip
        dataset = SimpleNamespace(
            num=lambda field: n_items + 1, transition_counts=lambda *_, **__: self.counts
        )
        self.model = MQSATED(config, dataset)
        self.parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in self.names():
                theirs = torch.from_numpy(d[f"weight/{name}"])
                parameter, rows = self.locate(name)
                parameter[rows] = theirs.flip(0) if name == "position_embedding" else theirs

    def names(self) -> list[str]:
        return [key.split("/")[1] for key in self.data if key.startswith("weight/")]

    def locate(self, name: str) -> tuple[torch.nn.Parameter, slice]:
        """Our parameter of a reference's name, and the rows that it shares with the reference."""
        if name == "item_embedding":
            return self.parameters["item_embedding.weight"], slice(1, None)
        if name == "position_embedding":
            return self.parameters["position_embedding.weight"], slice(None)
        stack, _, rest = name.partition(".")
        layer = rest if rest.startswith("final_norm") else f"layers.{rest}"
        return self.parameters[f"encoder.stacks.{0 if stack == 'short' else 1}.{layer}"], slice(None)

    def gradient(self, name: str) -> np.ndarray:
        """Our gradient in the reference's order: its positions count from the oldest column."""
        parameter, rows = self.locate(name)
        gradient = parameter.grad[rows]
        return (gradient.flip(0) if name == "position_embedding" else gradient).numpy()

    def interaction(self, side: str) -> Interaction:
        inputs, targets = self.data["input_sequence"], self.data["target_sequence"]
        if side == "right":
            inputs = np.stack([np.concatenate([row[row > 0], row[row == 0]]) for row in inputs])
        return Interaction(
            {"item_id_list": torch.from_numpy(inputs), "item_id": torch.from_numpy(targets[:, -1].copy())}
        )


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.param)


def test_references_are_there() -> None:
    assert FILES, f"no mqsa_ted_*.npz in {GOLDEN}"


def test_transition_counts(golden: Golden) -> None:
    np.testing.assert_array_equal(golden.counts.toarray()[1:, 1:], golden.data["transition_counts"])


@pytest.mark.parametrize("side", ["left", "right"])
def test_scores(golden: Golden, side: str) -> None:
    scores = golden.model.eval().full_sort_predict(golden.interaction(side))[:, 1:]
    theirs = golden.data["scores"]
    assert np.abs(scores.detach().numpy() - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("side", ["left", "right"])
def test_losses_and_gradients(golden: Golden, side: str) -> None:
    d = golden.data
    losses = golden.model.train().losses(golden.interaction(side))
    lambda_kd = float(d["lambda_kd"])
    assert losses["recommendation"].item() == pytest.approx(float(d["loss_recommendation"]), rel=1e-5)
    assert losses["distillation"].item() / lambda_kd == pytest.approx(float(d["loss_distillation"]), rel=1e-5)

    golden.model.calculate_loss(golden.interaction(side)).backward()
    for name in golden.names():
        theirs = d[f"grad/{name}"]
        difference = np.abs(golden.gradient(name) - theirs).max()
        assert difference <= 1e-4 * np.abs(theirs).max() + 1e-7, name
    assert golden.parameters["item_embedding.weight"].grad[0].abs().max() == 0


def test_total_adds_l2_on_every_weight(golden: Golden) -> None:
    """Adam's coupled weight_decay is the gradient of l2/2 times the sum of squares of all of them."""
    d = golden.data
    squares = sum(float((d[f"weight/{name}"].astype(np.float64) ** 2).sum()) for name in golden.names())
    total = (
        golden.model.calculate_loss(golden.interaction("left")).item() + float(d["l2_weight"]) / 2 * squares
    )
    assert total == pytest.approx(float(d["loss_total"]), rel=1e-5)
    counted = sum(parameter.numel() for parameter in golden.model.parameters()) - golden.model.hidden_size
    assert counted == sum(d[f"weight/{name}"].size for name in golden.names())


# What it learns.


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"softmax_precision": "float32"}, 0.75),
        ({"softmax_precision": "bfloat16"}, 0.75),
        ({"negatives": 30, "epochs": 25}, 0.65),  # from estimates it learns more slowly
        ({"negatives": 30, "sparse_gradients": True, "epochs": 25}, 0.65),
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
        finished = train(tmp_path, f"lambda-{lambda_kd}", lambda_kd=lambda_kd, tau=0.3, epochs=10)
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
    for user in range(300):
        items = list(random.integers(0, 8, 2))
        while len(items) < 14:
            items.append((items[-1] + items[-2]) % 8)
        lines += [f"{user}\tx{item}\t{time}" for time, item in enumerate(items)]
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "chain.inter").write_text("\n".join(lines) + "\n")
    test = train(
        tmp_path, "run", query_windows=[1, 2], lambda_kd=0.0, epochs=40, MAX_ITEM_LIST_LENGTH=16
    ).result["test"]
    assert test["hit@1"] > 0.9  # 1/8 by chance

"""Digit for digit against the paper authors' own program (recorded forward and backward passes)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.paths import GOLDEN
from recbole.data.interaction import Interaction

from recbole_mqsa.data.sequences import Sequences, last_window
from recbole_mqsa.data.transition_counts import count_transitions
from recbole_mqsa.model.mqsated import MQSATED

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
        dataset = SimpleNamespace(num=lambda field: n_items + 1, transition_counts=lambda *_, **__: self.counts)
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

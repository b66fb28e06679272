"""FMLP-Rec against its authors' own program, and what it learns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.chain import train, write_chain
from helpers.paths import GOLDEN
from recbole.data.interaction import Interaction

from recbole_mqsa.model.fmlprec import FMLPRec

FILES = sorted(GOLDEN.glob("fmlp_rec_*.npz"))


def made_model(n_items: int, max_length: int, hidden_size: int, n_layers: int) -> FMLPRec:
    config = {
        "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "item_length", "NEG_PREFIX": "neg_", "device": torch.device("cpu"),
        "MAX_ITEM_LIST_LENGTH": max_length, "hidden_size": hidden_size, "n_layers": n_layers,
        "hidden_dropout_prob": 0.0, "layer_norm_eps": 1e-12, "initializer_range": 0.02, "softmax_block": 3,
        "softmax_precision": "float32",
    }  # fmt: skip
    return FMLPRec(config, SimpleNamespace(num=lambda field: n_items + 1))


def golden(path: Path) -> tuple[FMLPRec, dict[str, np.ndarray]]:
    """Our model with the reference's weights."""
    data = dict(np.load(path))
    model = made_model(*(int(data[key]) for key in ("n_items", "max_length", "hidden_size", "n_layers")))
    ours = {}
    for key in data:
        if key.startswith("weight/"):
            name = key[len("weight/") :].replace("block.", "blocks.").replace("filter.weight", "filter")
            name = name.replace("filter.norm", "filter_norm").replace("feedforward.norm", "feedforward_norm")
            name += ".weight" if name.endswith("embedding") else ""
            ours[name] = torch.from_numpy(data[key])
    model.load_state_dict(ours)
    return model, data


def right_padded(rows: np.ndarray) -> np.ndarray:
    return np.stack([np.concatenate([row[row > 0], row[row == 0]]) for row in rows])


def test_references_are_there() -> None:
    assert FILES, f"no fmlp_rec_*.npz in {GOLDEN}"


@pytest.mark.parametrize("side", ["left", "right", "narrow"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scores_and_loss(path: Path, side: str) -> None:
    model, data = golden(path)
    rows = data["input_sequence"]
    if side == "narrow":  # as wide as the longest, as a loader may make them
        rows = right_padded(rows)[:, : (rows > 0).sum(1).max()]
    elif side == "right":
        rows = right_padded(rows)
    batch = Interaction({"item_id_list": torch.from_numpy(rows), "item_id": torch.from_numpy(data["target"])})
    scores = model.eval().full_sort_predict(batch).detach().numpy()
    assert np.abs(scores - data["scores"]).max() <= 1e-5 * np.abs(data["scores"]).max()
    assert model.calculate_loss(batch).item() == pytest.approx(float(data["loss"]), rel=1e-5)
    picked = model.predict(batch).detach().numpy()
    np.testing.assert_allclose(picked, scores[np.arange(len(scores)), data["target"]], rtol=1e-5, atol=1e-6)


def test_finds_the_chain_from_prefixes(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.9)
    test = train(tmp_path, "run", model="FMLPRec", epochs=10).result["test"]
    assert test["hit@1"] > 0.7

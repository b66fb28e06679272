"""One protocol for all: every model is asked for the same items of the same users, out of the same candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_mqsa.training.build import build_dataset, build_loaders
from recbole_mqsa.training.run import run

GENERAL = ["LightGCN", "BPR"]
SEQUENTIAL = ["FPMC", "Caser", "GRU4Rec", "SASRec", "BERT4Rec", "FOSSIL", "FMLPRec", "MQSATED"]
MODELS = ["Pop", "ItemTransition", *GENERAL, *SEQUENTIAL]
# Users of 5, 4, 3, 2 and 1 actions; 'cid' meets the same item twice, and 'dee' tests on one seen before.
SEQUENCES = {"ann": "a b c d e", "bob": "b c d a", "cid": "c a c", "dee": "d e d", "eve": "e a", "fay": "f"}


def loaders(toy: Any, model: str, **more: Any) -> Any:
    config = toy(SEQUENCES, model, topk=[1, 2], valid_metric="NDCG@2", **more)
    return build_loaders(config, build_dataset(config))


def asked(loader: Any) -> list[tuple[str, str, list[str]]]:
    """User, target and the items left out, as the trainer gets them, for each row."""
    data = loader._dataset
    rows = []
    for samples, seen, _, targets in loader:
        left_out: list[set[str]] = [set() for _ in range(len(samples))]
        for row, item in zip(*(part.tolist() for part in seen)):
            left_out[row].add(data.id2token(data.iid_field, item))
        users = data.id2token(data.uid_field, samples[data.uid_field].numpy())
        items = data.id2token(data.iid_field, targets.numpy())
        rows += [(str(u), str(i), sorted(out)) for u, i, out in zip(users, items, left_out)]
    return rows


@pytest.mark.parametrize("model", MODELS)
def test_all_are_asked_the_same(toy: Any, model: str) -> None:
    _, valid, test = loaders(toy, model)
    assert asked(valid) == [("ann", "d", ["a", "b", "c"]), ("bob", "d", ["b", "c"])]
    assert asked(test) == [
        ("ann", "e", ["a", "b", "c", "d"]),
        ("bob", "a", ["b", "c", "d"]),
        ("cid", "c", ["a", "c"]),
        ("dee", "d", ["d", "e"]),
    ]


@pytest.mark.parametrize("model", MODELS)
def test_all_rank_by_the_same_metric_and_seen_items_never_rank(toy: Any, model: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"topk": [1, 2], "valid_metric": "NDCG@2", "epochs": 1, "show_progress": False}
    if model == "BERT4Rec":  # whose loss is NaN for a batch in which no item happens to be masked
        given["ft_ratio"] = 1.0
    config = toy(SEQUENCES, model, state="ERROR", **given)
    finished = run(config, tmp_path / "run")
    assert set(finished.result["test"]) == {"hit@1", "hit@2", "ndcg@1", "ndcg@2"}
    kept = np.load(tmp_path / "run" / "ranks.npz")
    assert kept["frequency"].shape == kept["ranks"].shape and kept["frequency"].max() > 0
    # cid's and dee's items are in their history, so nobody can hit them; the mask is as long as the history.
    assert kept["ranks"][2:].tolist() == [-1, -1]
    assert all(0 <= rank <= 6 - len(seen) for rank, seen in zip(kept["ranks"][:2], ("abcd", "bcd")))
    ndcg = sum(1 / np.log2(rank + 2) for rank in kept["ranks"] if 0 <= rank < 2) / 4
    assert finished.result["test"]["ndcg@2"] == pytest.approx(ndcg, abs=1e-7)


@pytest.mark.parametrize("model", GENERAL)
def test_general_models_train_on_every_training_action(toy: Any, model: str) -> None:
    train, _, _ = loaders(toy, model)
    data = train._dataset
    users = data.id2token(data.uid_field, data.inter_feat[data.uid_field].numpy())
    items = data.id2token(data.iid_field, data.inter_feat[data.iid_field].numpy())
    assert sorted(zip(users, items)) == sorted(
        # cid, dee and eve train on their first two: of three actions none validates; fay's one is no sequence.
        [("ann", item) for item in "abc"] + [("bob", item) for item in "bc"]
        + [("cid", item) for item in "ca"] + [("dee", item) for item in "de"] + [("eve", item) for item in "ea"]
    )  # fmt: skip
    assert data.inter_matrix().nnz == 11


def test_sequential_models_train_on_recboles_prefixes(toy: Any) -> None:
    train, _, _ = loaders(toy, "SASRec")
    data = train._dataset
    assert [
        "".join(data.id2token(data.iid_field, row[row > 0].numpy())) for row in data[:]["item_id_list"]
    ] == ["a", "ab", "b", "c", "d", "e"]


def test_or_on_the_longest_prefix_only(toy: Any) -> None:
    train, valid, _ = loaders(toy, "SASRec", prefixes="longest")
    data = train._dataset
    assert [
        "".join(data.id2token(data.iid_field, row[row > 0].numpy())) for row in data[:]["item_id_list"]
    ] == ["ab", "b", "c", "d", "e"]
    assert len(asked(valid)) == 2

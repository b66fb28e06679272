"""Explanations against models asked again without an item, and transitions against a count by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.served import histories, served

from recbole_mqsa.errors import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


def pairs(place: Path) -> Counter[tuple[str, str]]:
    """How often one item came right after another."""
    return Counter(pair for items in histories(place).values() for pair in zip(items, items[1:]))


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_a_weight_is_what_the_score_loses(place: Path, model: str) -> None:
    run = served(place, model)
    rec = run.recommender()
    history = histories(place)["3"]
    found = rec.explain("3", k=2)
    assert found.item_id.unique().tolist() == rec.recommend(["3"], k=2).item_id.tolist()
    assert found.history_item_id[: len(history)].tolist() == history[::-1]

    def score(items: list[str], item: str) -> float:
        numbers = run.dataset.token2id("item_id", np.array(items))
        inputs = {"item_id_list": torch.from_numpy(numbers)[None], "item_length": torch.tensor([len(items)])}
        with torch.no_grad():
            return float(run.model.full_sort_predict(inputs)[0, run.dataset.token2id("item_id", item)])

    for row in found.itertuples():
        place_of = len(history) - 1 - row.age
        without = history[:place_of] + history[place_of + 1 :]
        assert row.weight == pytest.approx(
            score(history, row.item_id) - score(without, row.item_id), abs=1e-5
        )
        assert row.followed == pairs(place)[row.history_item_id, row.item_id]
        assert row.of == sum(n for (first, _), n in pairs(place).items() if first == row.history_item_id)


def test_an_only_item_is_all_of_the_score(place: Path) -> None:
    rec = served(place, "MQSATED").recommender()
    found = rec.explain(sequence=["1"], k=3)
    np.testing.assert_allclose(found.weight, rec.recommend_sequences([["1"]], k=3).score)


def test_an_explanation_of_given_items(place: Path) -> None:
    found = served(place, "Pop").recommender().explain("3", items=["2", "1"])
    assert found.item_id.unique().tolist() == ["2", "1"] and (found.weight == 0).all()


def test_a_model_without_histories_says_so(place: Path) -> None:
    with pytest.raises(UserError, match="LightGCN reads no history"):
        served(place, "LightGCN").recommender().explain("3")


def test_neighbours(place: Path) -> None:
    run = served(place, "MQSATED")
    found = run.recommender().similar_items(["1", "2"], k=4)
    assert found.item_id.unique().tolist() == ["1", "2"] and len(found) == 16
    weights = run.model.item_embedding.weight.detach().double()
    names = run.dataset.field2id_token["item_id"]
    own = run.dataset.token2id("item_id", "1")
    cosines = {
        name: float(torch.cosine_similarity(weights[own], weights[number], dim=0))
        for number, name in enumerate(names)
        if number not in (0, own)
    }
    by = found[(found.item_id == "1") & (found.by == "embedding")]
    assert by.similar_item_id.tolist() == sorted(cosines, key=lambda name: -cosines[name])[:4]
    np.testing.assert_allclose(by.score, sorted(cosines.values(), reverse=True)[:4])
    after = Counter({b: n for (a, b), n in pairs(place).items() if a == "1"})
    by = found[(found.item_id == "1") & (found.by == "transition")]
    assert by.times.tolist() == sorted((n for b, n in after.items() if b != "1"), reverse=True)[:4]
    assert [after[name] for name in by.similar_item_id] == by.times.tolist()
    np.testing.assert_allclose(by.score, by.times / after.total())


def test_neighbours_without_embeddings(place: Path) -> None:
    rec = served(place, "Pop").recommender()
    assert rec.embeddings is None and set(rec.similar_items("1").by) == {"transition"}

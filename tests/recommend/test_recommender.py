"""Recommendations by name: against every item scored by itself, and the metrics of the run computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.served import histories, listed, ndcg, served

from recbole_mqsa.api import Run
from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.recommend import recommender as module
from recbole_mqsa.recommend import scorer, threads

MODELS = ["MQSATED", "SASRec", "LightGCN", "Pop"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


def alone(run: Run, items: list[str]) -> pd.Series:
    """The score of every item after a history, from the model as it is called for one input."""
    data = run.dataset
    numbers = data.token2id("item_id", np.array(items))[-run.config["MAX_ITEM_LIST_LENGTH"] :]
    inputs = {
        "item_id_list": torch.from_numpy(numbers)[None],
        "item_length": torch.tensor([len(numbers)]),
    }
    with torch.no_grad():
        scores = run.model.eval().full_sort_predict(inputs)[0]  # type: ignore[arg-type]
    return pd.Series(scores.numpy()[1:], index=data.field2id_token["item_id"][1:])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_the_written_lists_have_the_metrics_of_the_run(place: Path, model: str, ending: str) -> None:
    run = served(place, model)
    file = place / f"{model}.{ending}"
    words = [f"--run={run.folder}", f"--output={file}", "--split=test", "--topk=20"]
    assert main(["recommend", *words]) == 0
    targets = {user: items[-1] for user, items in histories(place).items()}
    for k in (5, 20):
        assert ndcg(listed(file), targets, k) == pytest.approx(run.result["test"][f"ndcg@{k}"], abs=1e-8)
        assert abs(ndcg(listed(file), targets, k) - evaluated(run, f"ndcg@{k}")) < 1e-9


def evaluated(run: Run, metric: str) -> float:
    """The metric with all its decimals."""
    run.config["metric_decimal_place"] = 15
    return run.evaluate()[metric]


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_all_actions_are_known_by_default(place: Path, model: str) -> None:
    run = served(place, model)
    for user in ("3", "77"):
        items = histories(place)[user]
        expected = alone(run, items).drop(list(set(items))).nlargest(6)
        found = run.recommender().recommend([user], k=6)
        assert found.columns.tolist() == ["user_id", "item_id", "rank", "score"]
        assert found.user_id.tolist() == [user] * 6 and found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
        assert found.item_id.tolist() == expected.index.tolist()
        np.testing.assert_allclose(found.score, expected, rtol=1e-5)


def test_counts_are_of_all_actions(place: Path) -> None:
    """Not of what was known before the test alone."""
    rec = served(place, "Pop").recommender()
    everything = pd.Series([item for items in histories(place).values() for item in items]).value_counts()
    found = rec.recommend(["0"], k=40, exclude_seen=False)
    assert dict(zip(found.item_id, found.score)) == everything.to_dict()


def test_strangers_get_what_a_user_of_their_history_gets(place: Path) -> None:
    rec = served(place, "MQSATED").recommender()
    known = rec.recommend(["3", "77"], k=5)
    sequences = {"x": histories(place)["3"], "y": histories(place)["77"]}
    found = rec.recommend_sequences(sequences, k=5)
    assert found.user_id.tolist() == ["x"] * 5 + ["y"] * 5
    assert found.item_id.tolist() == known.item_id.tolist()
    np.testing.assert_allclose(found.score, known.score, rtol=1e-5)
    assert rec.recommend_sequences([*sequences.values()], k=5).user_id.tolist() == [0] * 5 + [1] * 5


def test_unknown_items_of_strangers_are_skipped(place: Path) -> None:
    rec = served(place, "MQSATED").recommender()
    found = rec.recommend_sequences(
        {"a": ["1", "2"], "b": ["1", "no such", "2"], "c": ["no such"], "d": []}, k=3
    )
    assert found.user_id.tolist() == ["a"] * 3 + ["b"] * 3
    assert found.item_id[:3].tolist() == found.item_id[3:].tolist()
    assert len(rec.recommend_sequences({"c": ["no such"]})) == 0


@pytest.mark.parametrize("model", ["LightGCN", "FPMC"])
def test_a_model_of_its_own_users_says_so(place: Path, model: str) -> None:
    rec = served(place, model).recommender()
    assert len(rec.recommend(["3"], k=4)) == 4
    with pytest.raises(UserError, match=f"{model} knows only the users that it was trained on"):
        rec.recommend_sequences([["1", "2"]])


@pytest.mark.parametrize("model", ["MQSATED", "Pop"])
@pytest.mark.parametrize("by_blocks", [False, True])
def test_what_lists_may_hold(place: Path, model: str, by_blocks: bool) -> None:
    run = served(place, model)
    rec = run.recommender()
    rec.scorer.by_blocks = by_blocks
    owned = set(histories(place)["3"])
    whole = rec.recommend(["3"], k=40, exclude_seen=False).item_id.tolist()
    assert len(whole) == 40
    assert rec.recommend(["3"], k=40).item_id.tolist() == [item for item in whole if item not in owned]
    few = whole[3:12]
    found = rec.recommend(["3"], k=40, items=few, exclude=few[:2], exclude_seen=False)
    assert found.item_id.tolist() == few[2:] and found["rank"].tolist() == [*range(1, 8)]


def test_threads_change_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rec = served(place, "MQSATED").recommender()
    rec.scorer.step = 7
    plain = rec.recommend(k=3)
    cores = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    threaded = rec.recommend(k=3)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(plain, threaded)
    assert torch.get_num_threads() == cores
    assert plain.user_id.unique().tolist() == rec.users.tokens[1:].tolist()


@pytest.mark.parametrize("words", [{}, {"exclude_seen": False}, {"items": ["1", "2", "3"]}], ids=str)
def test_few_rows_at_once_give_the_lists_of_all_scores(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]
) -> None:
    rec = served(place, "MQSATED").recommender()
    monkeypatch.setattr(scorer, "CACHED_CELLS", 1)
    fast = rec.recommend(k=5, **words)
    rec.scorer.freely = False
    slow = rec.recommend(k=5, **words)
    assert len(rec.histories()) > 2 * scorer.ROWS
    pd.testing.assert_frame_equal(fast, slow, rtol=1e-5)


def test_a_failing_thread_is_heard() -> None:
    def fail(number: int) -> int:
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        list(threads.side_by_side(fail, range(9)))


def test_repeated_users_and_none(place: Path) -> None:
    rec = served(place, "MQSATED").recommender()
    assert rec.recommend(["5", "4", "5"], k=1).user_id.tolist() == ["5", "4", "5"]
    assert rec.recommend([4], k=1).user_id.tolist() == ["4"]
    assert len(rec.recommend([], k=1)) == 0


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda rec: rec.recommend(["3", "nobody"]), "user 'nobody' has no action in the data of"),
        (lambda rec: rec.recommend([f"x{n}" for n in range(9)]), "users 'x0', 'x1', 'x2', 'x3', 'x4' and 4 more have"),
        (lambda rec: rec.recommend("3"), "users are a list of names, not the text '3'; put it in a list"),
        (lambda rec: rec.recommend_sequences(["1"]), "items are a list of names, not the text '1'"),
        (lambda rec: rec.recommend(["3"], k=0), "k is 0; it has to be a whole number of at least 1"),
        (lambda rec: rec.recommend(["3"], items=["x"]), "item 'x' has no action in the data of"),
        (lambda rec: rec.recommend(["3"], items=["1"], exclude=["1"]), "leave nothing to recommend; allow more"),
        (lambda rec: rec.similar_items("x"), "item 'x' has no action"),
        (lambda rec: rec.similar_items("1", k="3"), "k is '3'"),
        (lambda rec: rec.explain(), "explain takes one history"),
        (lambda rec: rec.explain(sequence=["x"]), "holds no item of the run's data"),
        (lambda rec: module.Recommender(rec.run, "train"), "split is 'train'; it has to be one of all, valid, test"),
    ],
)  # fmt: skip
def test_bad_questions(place: Path, ask: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ask(served(place, "MQSATED").recommender())


def test_drawn_items_are_no_lists(place: Path) -> None:
    run = served(
        place, "MQSATED", eval_args={"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "uni9"}
    )
    assert len(run.recommender().recommend(["3"], k=2)) == 2
    with pytest.raises(UserError, match="ranked drawn items when it was evaluated"):
        run.recommender("test")

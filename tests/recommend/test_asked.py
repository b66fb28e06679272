"""One row for each user asked for, in order, or a sentence that names who has no history."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers.metrics import built, configured, histories
from recbole.data.transform import InverseItemSequence
from recbole.utils.case_study import full_sort_scores, full_sort_topk

from recbole_mqsa.errors import UserError

MODELS = ["MQSATED", "SASRec", "BERT4Rec", "BPR", "LightGCN", "NeuMF", "Pop", "ItemTransition"]
DATA = "short-users"
"""20 users of six actions, 'short2' of two and 'short1' of one."""


def ready(model: str, name: str = DATA, mode: str = "full", **more: Any) -> tuple[Any, Any, Any]:
    """An untrained model, its test loader and the numbers of users by name."""
    config = configured(model, mode, ["NDCG"], dataset=name, **more)
    net, _, (_, _, test) = built(config)
    data = test._dataset
    return net.eval(), test, lambda *names: data.token2id(data.uid_field, np.array(names))


def known(name: str, user: str) -> list[str]:
    """What comes before the test: all of a user who is not tested."""
    items = histories(name)[user]
    return items[:-1] if len(items) > 2 else items


@pytest.mark.parametrize("model", MODELS)
def test_a_row_for_each_in_order_repeats_too(model: str) -> None:
    net, test, numbers = ready(model)
    names = ["u3", "short2", "u0", "u3", "u19"]
    scores, items = full_sort_topk(numbers(*names), net, test, k=7)
    all_scores = full_sort_scores(numbers(*names), net, test)
    assert scores.shape == items.shape == (5, 7) and all_scores.shape == (5, 31)
    assert torch.equal(items[0], items[3]) and torch.equal(all_scores[0], all_scores[3])
    for name, row, listed, whole in zip(names, scores, items, all_scores):
        alone = full_sort_scores(numbers(name), net, test)[0]
        torch.testing.assert_close(whole, alone)
        data = test._dataset
        seen = data.token2id(data.iid_field, np.array(known(DATA, name)))
        assert set(np.flatnonzero(np.isneginf(whole.numpy()))) == {0, *seen}
        torch.testing.assert_close(row, whole[listed])
        assert listed.tolist() == sorted(range(31), key=lambda item: (-whole[item], item))[:7]


@pytest.mark.parametrize("model", ["MQSATED", "SASRec", "Pop"])
def test_scores_are_those_of_evaluation(model: str) -> None:
    net, test, numbers = ready(model)
    with torch.no_grad():
        batch, seen, _, _ = test.collate_fn(list(range(20)))
        if model == "Pop":
            net.count(test._dataset)
        expected = net.full_sort_predict(batch)
    expected[:, 0] = expected[seen] = -math.inf
    names = test._dataset.id2token("user_id", batch["user_id"].numpy())
    torch.testing.assert_close(full_sort_scores(numbers(*names), net, test), expected)


@pytest.mark.parametrize("ask", [full_sort_scores, lambda *given: full_sort_topk(*given, k=3)])
@pytest.mark.parametrize("model", ["MQSATED", "BPR", "Pop"])
def test_who_has_no_history_is_named(model: str, ask: Any) -> None:
    net, test, numbers = ready(model)
    with pytest.raises(UserError, match="user 'short1' has no action to recommend from; leave them out"):
        ask(numbers("u1", "short1", "u2", "short1"), net, test)


def test_many_are_named_in_part(toy: Any) -> None:
    from recbole_mqsa.training.build import build_dataset, build_loaders, build_model

    config = toy({"ann": "a b c d", **{f"u{n}": "a" for n in range(8)}}, "MQSATED")
    train, _, test = build_loaders(config, build_dataset(config))
    with pytest.raises(UserError, match="users 'u0', 'u1', 'u2', 'u3', 'u4', 3 others have no action"):
        full_sort_topk(range(2, 10), build_model(config, train._dataset), test, 1)


@pytest.mark.parametrize(
    ("users", "problem"),
    [
        ([0], "there is no user number 0; users have the numbers 1 to 22"),
        ([1, 23], "no user number 23"),
        ([-1], "no user number -1"),
        (["u1"], "by a list of numbers, not <U2 in 1 dimensions; dataset.token2id"),
        ([1.0], "by a list of numbers, not float64"),
        ([[1]], "not int64 in 2 dimensions"),
        (torch.tensor(1), "not int64 in 0 dimensions"),
        ([True], "not bool"),
    ],
    ids=str,
)
def test_what_is_no_user(users: Any, problem: str) -> None:
    net, test, _ = ready("MQSATED")
    for ask in (full_sort_scores, lambda *given: full_sort_topk(*given, k=3)):
        with pytest.raises(UserError, match=problem):
            ask(users, net, test)


@pytest.mark.parametrize("users", [[3, 1], (3, 1), np.array([3, 1]), torch.tensor([3, 1])], ids=repr)
def test_any_list_of_numbers(users: Any) -> None:
    net, test, _ = ready("MQSATED")
    assert torch.equal(full_sort_topk(users, net, test, 4)[1], full_sort_topk([3, 1], net, test, 4)[1])


@pytest.mark.parametrize("model", ["MQSATED", "SASRec", "BPR", "Pop"])
def test_nobody_gives_no_row(model: str) -> None:
    net, test, _ = ready(model)
    assert full_sort_scores([], net, test).shape == (0, 31)
    assert full_sort_topk([], net, test, 4)[1].shape == (0, 4)


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_lists_longer_than_there_are_items(model: str) -> None:
    """What is left out has no place in them."""
    net, test, numbers = ready(model)
    scores, items = full_sort_topk(numbers("u0"), net, test, k=100)
    assert items.shape == (1, 30) and (items[0, :25] > 0).all() and not items[0, 25:].any()
    assert np.isneginf(scores[0, 25:].numpy()).all()


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", True])
def test_a_length_that_is_none(k: Any) -> None:
    net, test, _ = ready("SASRec")
    with pytest.raises(UserError, match="it has to be a whole number of at least 1"):
        full_sort_topk([1], net, test, k)


@pytest.mark.parametrize("mode", ["uni20", "pop20"])
@pytest.mark.parametrize("model", ["MQSATED", "SASRec", "BPR", "Pop"])
def test_seen_items_are_left_out_after_sampled_evaluation_too(model: str, mode: str) -> None:
    net, test, numbers = ready(model, "repeats", mode)
    names = list(histories("repeats"))[:10]
    _, items = full_sort_topk(numbers(*names), net, test, k=20)
    for name, listed in zip(names, items):
        seen = test._dataset.token2id("item_id", np.array(histories("repeats")[name][:-1]))
        assert not {*listed.tolist()} & {*seen}
    whole = full_sort_topk(numbers(*names), net, ready(model, "repeats")[1], k=20)[1]
    assert torch.equal(items, whole)


@pytest.mark.parametrize("model", ["MQSATED", "BPR"])
def test_without_a_mask_nothing_is_left_out(model: str) -> None:
    net, test, numbers = ready(model, mask_seen=False)
    assert np.isneginf(full_sort_scores(numbers("u0"), net, test).numpy()).sum() == 1


def test_after_metrics_by_value() -> None:
    config = configured("BPR", "uni7", ["AUC"])
    net, _, (_, _, test) = built(config)
    _, _, (_, _, ranked) = built(configured("BPR"))
    assert torch.equal(full_sort_topk([1, 2], net, test, 9)[1], full_sort_topk([1, 2], net, ranked, 9)[1])


def test_of_several_tests_of_a_user_the_first_counts() -> None:
    """Later ones would know test items."""
    args = {"split": {"RS": [0.6, 0.1, 0.3]}, "order": "TO", "group_by": "user", "mode": "full"}
    net, test, _ = ready("MQSATED", "repeats", eval_args=args)
    data = test._dataset
    user = int(data.inter_feat["user_id"][0])
    own = data.rows[data.inter_feat["user_id"].numpy() == user]
    assert len(own) > 1
    scores = full_sort_scores([user], net, test)
    items = data.sequences.items[data.sequences.offsets[user] : own.min()]
    assert set(np.flatnonzero(np.isneginf(scores[0].numpy()))) == {0, *items}


def test_a_model_reads_what_the_loaders_transform_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in evaluation."""
    net, test, _ = ready("SASRec")
    test.transform = InverseItemSequence(test.config)
    read: list[Any] = []
    monkeypatch.setattr(
        net, "full_sort_predict", lambda batch: read.append(batch) or torch.zeros(len(batch), 31)
    )
    full_sort_scores([1], net, test)
    expected = test.collate_fn([0])[0]
    assert torch.equal(read[0]["Inverse_item_id_list"], expected["Inverse_item_id_list"])

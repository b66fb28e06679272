"""The evidence of a memory against loops over all other users, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recbole_mqsa.data.transition_memory import TransitionMemory
from recbole_mqsa.training.build import build_dataset, build_loaders

N_ITEMS = 9


def made(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Actions of 12 users with many repetitions, of whom one has no training action and one has one."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 12, size=12)
    lengths[4] = 1
    ends = np.cumsum(lengths + 2) - 3  # two further actions follow each user's training actions
    begins = ends - lengths + 1
    ends[7] = begins[7] - 1
    return random.integers(1, N_ITEMS, size=ends.max() + 3 + 12), begins, ends


def slow_evidence(
    spans: tuple[np.ndarray, np.ndarray, np.ndarray],
    history: list[int],
    user: int | None,
    span: int,
    decay: float,
    newest: int,
    recency: float,
) -> np.ndarray:
    items, begins, ends = spans
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for other, (first, last) in enumerate(zip(begins, ends)):
        for earlier in range(first, last + 1):
            for later in range(earlier + 1, min(earlier + span, last) + 1):
                if other != user:
                    counts[items[earlier], items[later]] += decay ** (later - earlier - 1)
    found = np.zeros(N_ITEMS)
    for age, item in enumerate(reversed(history[-newest:])):
        if counts[item].sum() > 0:
            found += recency**age * counts[item] / counts[item].sum()
    return found


@pytest.mark.parametrize(("span", "decay"), [(1, 1.0), (3, 0.8), (20, 0.3)])
@pytest.mark.parametrize(("newest", "recency"), [(1, 1.0), (3, 0.6), (30, 0.9)])
@pytest.mark.parametrize("seed", [0, 1])
def test_against_loops(seed: int, span: int, decay: float, newest: int, recency: float) -> None:
    items, begins, ends = spans = made(seed)
    memory = TransitionMemory(*spans, N_ITEMS, span, decay)
    users = np.random.default_rng(seed).permutation(12)[:9]
    stop = np.maximum(ends[users], begins[users] - 1) + 2  # the history ends after an action beyond training
    for whose in (users, None):
        found = memory.evidence(begins[users], stop, whose, newest, recency)
        assert found.shape == (9, N_ITEMS)
        for row, (user, last) in enumerate(zip(users, stop)):
            history = items[begins[user] : last].tolist()
            own = None if whose is None else user
            expected = slow_evidence(spans, history, own, span, decay, newest, recency)
            np.testing.assert_allclose(found.toarray()[row], expected, rtol=1e-9, atol=1e-12)


def test_own_pairs_may_stay_where_nobody_looks() -> None:
    """Every other item has its exact evidence."""
    items, begins, ends = spans = made(2)
    memory = TransitionMemory(*spans, N_ITEMS, 3, 0.8)
    users = np.arange(12)
    stop = np.maximum(ends, begins - 1) + 2
    exact = memory.evidence(begins, stop, users, 5, 0.7).toarray()
    lazy = memory.evidence(begins, stop, users, 5, 0.7, history_left_out=True).toarray()
    outside = np.ones_like(exact, dtype=bool)
    for user in users:
        outside[user, items[begins[user] : stop[user]]] = False
    np.testing.assert_allclose(lazy[outside], exact[outside], rtol=1e-12)
    assert (lazy != exact).any()


def test_by_hand() -> None:
    """Two users: 1 2 3 and 1 3. Nobody but the first knows what follows 2; of what follows 1 the other knows 3."""
    spans = np.array([1, 2, 3, 1, 3]), np.array([0, 3]), np.array([2, 4])
    memory = TransitionMemory(*spans, 4, 2, 0.5)
    nobody = memory.evidence(np.array([0]), np.array([2]), None, 2, 0.5).toarray()
    # 2 is followed by 3; 1 is followed by 2 (1) and by 3 (0.5 and 1).
    np.testing.assert_allclose(nobody, [[0, 0, 0.5 * 1 / 2.5, 1 + 0.5 * 1.5 / 2.5]])
    first = memory.evidence(np.array([0]), np.array([2]), np.array([0]), 2, 0.5).toarray()
    np.testing.assert_allclose(first, [[0, 0, 0, 0.5]])


def test_histories_of_others() -> None:
    spans = np.array([1, 2, 3, 1, 3]), np.array([0, 3]), np.array([2, 4])
    memory = TransitionMemory(*spans, 4, 1, 1.0)
    given = memory.evidence(np.array([0, 1]), np.array([1, 1]), None, 5, 0.5, items=np.array([2]))
    np.testing.assert_allclose(given.toarray(), [[0, 0, 0, 1], [0, 0, 0, 0]])


def test_nothing_is_asked() -> None:
    spans = np.array([1, 2]), np.array([0]), np.array([1])
    memory = TransitionMemory(*spans, 4, 1, 1.0)
    assert memory.evidence(np.array([0]), np.array([0]), np.array([0]), 3, 0.5).nnz == 0


@pytest.mark.parametrize("model", ["MQSATED", "LightGCN", "Caser"])
def test_a_data_set_remembers_its_training_actions(toy: Any, model: str) -> None:
    """Not the validation items; of a model that reads few items as of any; histories up to the target."""
    random = np.random.default_rng(3)
    users = {f"u{n}": " ".join(f"i{item}" for item in random.integers(0, 8, size=9)) for n in range(12)}
    config = toy(users, model)
    parts = [loader._dataset for loader in build_loaders(config, build_dataset(config))]
    train, _, test = parts
    memory = train.transition_memory(2, 0.5)
    counts = np.zeros((train.item_num, train.item_num))
    token_of = dict(zip(train.field2id_token["item_id"], range(train.item_num)))
    for items in users.values():
        ids = [token_of[item] for item in items.split()[:-2]]
        for earlier, later in zip(ids, ids[1:]):
            counts[earlier, later] += 1
        for earlier, later in zip(ids, ids[2:]):
            counts[earlier, later] += 0.5
    np.testing.assert_allclose(memory.counts.toarray(), counts)
    begin, end, user = train.histories_of(test.inter_feat)
    for first, last, one in zip(begin, end, user):
        items = users[train.field2id_token["user_id"][one]].split()[:-1]
        assert [train.field2id_token["item_id"][item] for item in memory.items[first:last]] == items

"""Filters and numbers on codes, against loops over tokens."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from recbole_mqsa.data.tokens import TokenIds, core, factorize, number, token_array


def slow_core(users, items, user_within, item_within):
    """Rounds over a list of actions."""
    kept = list(zip(range(len(users)), users, items))
    while True:
        of_user, of_item = Counter(u for _, u, _ in kept), Counter(i for *_, i in kept)
        left = [(n, u, i) for n, u, i in kept if user_within(of_user[u]) and item_within(of_item[i])]
        if len(left) == len(kept):
            return [n for n, *_ in kept]
        kept = left


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("upper", [np.inf, 12])
def test_core_against_a_loop(seed, upper):
    rng = np.random.default_rng(seed)
    users, items = np.minimum(rng.geometric(0.1, (2, 200)), 40)

    def within(count):
        return (count >= 3) & (count <= upper)

    mask = core(users, items, within, within)
    assert np.flatnonzero(mask).tolist() == slow_core(users, items, within, within)
    assert mask.sum() < 200 and (mask.any() or upper < np.inf)
    mask = core(users, items, None, within)
    assert np.flatnonzero(mask).tolist() == slow_core(users, items, lambda count: True, within)


def test_core_may_be_empty():
    assert core(np.array([0, 1]), np.array([0, 0]), lambda count: count > 1, None).tolist() == [False, False]


@pytest.mark.parametrize(
    "tokens", [["b", "a", "b", None, "c", "a"], [None, "x", None, "x"], ["only"], ["10", "9", "010"]]
)
def test_numbers_follow_the_first_appearance(tokens):
    ids, names = number(pd.Categorical(tokens, categories=sorted({"unused", *filter(None, tokens)})))
    expected: dict[str, int] = {"[PAD]": 0}
    assert ids.tolist() == [expected.setdefault(token, len(expected)) if token else 0 for token in tokens]
    assert names.tolist() == list(expected) and ids.dtype == np.int64


@pytest.mark.parametrize(
    "tokens",
    [
        ["b", "a", "b", None, "c", "a"],
        [np.nan, "x", "", "x"],
        ["NA", "nan", "NA"],
        ["a", "a\0", "a\0b", "a\0"],
    ],
)
def test_codes_follow_the_first_appearance(tokens):
    codes, found = factorize(np.array(tokens, dtype=object))
    expected: dict[str, int] = {}
    known = [token if isinstance(token, str) else "" for token in tokens]
    assert codes.tolist() == [expected.setdefault(text, len(expected)) if text else -1 for text in known]
    assert found == list(expected) and codes.dtype == np.int64


def test_tokens_keep_their_width_where_it_costs_nothing(monkeypatch):
    assert token_array(["b", "long"]).dtype == "<U5" and token_array([]).tolist() == ["[PAD]"]
    for tokens in (["a", "a\0"], ["x" * 100, "a"]):
        monkeypatch.setattr("recbole_mqsa.data.tokens.WIDEST", 200)
        assert token_array(tokens).dtype == object and token_array(tokens).tolist() == ["[PAD]", *tokens]


def test_token_ids_are_a_dictionary():
    """A token '[PAD]' of the data hides the padding, as in RecBole's dictionary."""
    names = np.array(["[PAD]", "b", "a", "[PAD]"])
    ids, expected = TokenIds(names), {"[PAD]": 3, "b": 1, "a": 2}
    assert ids == expected and list(ids) == list(expected) and len(ids) == 3
    assert "a" in ids and "z" not in ids and ids["a"] == 2 and ids.get("z") is None
    assert pickle.loads(pickle.dumps(TokenIds(names))) == expected
    with pytest.raises(KeyError):
        ids["z"]

"""The builders of rules: what each lets pass, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_mqsa.settings.rules import (
    NETWORK,
    WITHOUT_SAMPLES,
    is_number,
    is_whole,
    number,
    one_of,
    switch,
    whole,
)
from recbole_mqsa.settings.spec import Rule

NAN, INFINITE = float("nan"), float("inf")


def passing(rule: Rule, values: list[Any], **settings: Any) -> list[Any]:
    """The values that a rule lets pass."""
    return [value for value in values if rule[1](value, settings)]


def test_whole_numbers() -> None:
    assert [value for value in (0, 1, 7, -1, True, 1.0, "1", None) if is_whole(value, 1)] == [1, 7]
    first, second = whole(1, "a", "b")
    assert (first[0], second[0]) == ("a", "b") and first[2] == "a whole number of at least 1"
    assert passing(first, [0, 1, 2.5, 64.0]) == [1]


def test_numbers() -> None:
    assert [value for value in (0, 1.5, -1, True, NAN, INFINITE, "1") if is_number(value)] == [0, 1.5, -1]
    (rule,) = number("above 0", lambda value: value > 0, "tau")
    assert rule[2] == "a number above 0"
    assert passing(rule, [0, 1, 0.1, NAN, INFINITE, "0,1", True]) == [1, 0.1]


def test_names_and_switches() -> None:
    rule = one_of("way", "ted", "none")
    assert rule[2] == "one of 'ted', 'none'"
    assert passing(rule, ["ted", "TED", None, "none"]) == ["ted", "none"]
    (rule,) = switch("mask_seen")
    assert passing(rule, [True, False, 1, 0, "yes"]) == [True, False]


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("n_layers", [0, 1, "two"], [1]),
        ("hidden_size", [0, 64, 64.0], [64]),
        ("inner_size", [0, 1], [1]),
        ("hidden_dropout_prob", [-0.1, 0, 0.99, 1, NAN], [0, 0.99]),
        ("attn_dropout_prob", [0, 1, NAN], [0]),
        ("layer_norm_eps", [0, -1e-5, 1e-24], [1e-24]),
        ("initializer_range", [0, 0.01], [0.01]),
        ("n_heads", [0, 2, 3, 64, 64.0], [2, 64]),
    ],
)
def test_a_network(key: str, values: list[Any], expected: list[Any]) -> None:
    (rule,) = (rule for rule in NETWORK if rule[0] == key)
    assert passing(rule, values, hidden_size=64) == expected


def test_a_model_that_learns_from_all_items() -> None:
    loss, samples = WITHOUT_SAMPLES
    assert passing(loss, ["CE", "BPR"]) == ["CE"]
    assert passing(samples, [{"distribution": "none"}, {"distribution": "uniform"}, {"sample_num": 2}]) == [
        {"distribution": "none"}
    ]

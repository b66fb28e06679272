"""Text as values: numbers, lists and the like, and nothing evaluated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_mqsa.settings.literals import literal

SPELLED = "__import__('os').getcwd()"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("+3", 3),
        ("0.5", 0.5),
        (" [1, 3] ", [1, 3]),
        ("{'valid': 'full'}", {"valid": "full"}),
        ("(1, 2)", (1, 2)),
        ("TRUE", True),
        ("false", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("'1'", "1"),
        ("[Hit, NDCG]", ["Hit", "NDCG"]),
        ("[NDCG@5]", ["NDCG@5"]),
        ("[ a, 2, true ]", ["a", 2, True]),
    ],
)
def test_a_literal_is_read(text: str, value: object) -> None:
    assert literal(text) == value and type(literal(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        SPELLED,
        "max(1, 2)",
        "1 + 1",
        "sum",
        "2019-2-1",
        "007",
        "[",
        "[a, b",
        "[sum(1), 2]",
        "[a,, b]",
        "",
        "\t",
        "b'x'",
        "{1, 2}",
        "1j",
        "...",
        "(" * 999,
    ],
)
def test_anything_else_stays_the_string(text: str) -> None:
    assert literal(text) == text


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_what_python_writes_is_read_back(value: object) -> None:
    assert literal(repr(value)) == value


@given(st.text())
def test_any_text_is_plain_data(text: str) -> None:
    assert is_plain(literal(text))


def is_plain(value: object) -> bool:
    """Whether a value is made of numbers, text, None, lists, tuples and dictionaries only."""
    if isinstance(value, dict):
        return all(is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)

"""Text as values: numbers, lists and the like, and nothing evaluated."""

from __future__ import annotations

import pytest

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

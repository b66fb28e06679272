"""Intervals, against Python's own comparisons."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recbole_mqsa.data.intervals import parse_intervals, within
from recbole_mqsa.data.times import exact_array
from recbole_mqsa.errors import UserError

SPELLED = {
    "[5,inf)": [("[", 5, math.inf, ")")],
    " ( 0.5 , 1e3 ] ; [2000,2000] ": [("(", 0.5, 1000, "]"), ("[", 2000, 2000, "]")],
    "(-inf,9007199254740993]": [("(", -math.inf, 2**53 + 1, "]")],
    "[1, 5]": [("[", 1, 5, "]")],
}


@pytest.mark.parametrize(("text", "intervals"), SPELLED.items(), ids=SPELLED)
def test_intervals(text, intervals):
    assert parse_intervals(text, "val_interval") == intervals


def test_dates():
    assert parse_intervals(
        "[1970-01-01,1970-01-01T00:00:01+00:00);(2023-01-01,inf)", "val_interval", dates=True
    ) == [
        ("[", 0, 10**9, ")"),
        ("(", 1_672_531_200 * 10**9, math.inf, ")"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "[5",
        "[5,6",
        "5,6]",
        "[5;6]",
        "[5,6,7]",
        "[a,b]",
        "[6,5]",
        "[nan,5]",
        "[5,6];",
        "{5,6}",
        "[,5]",
    ],
)
def test_no_interval(text):
    with pytest.raises(
        UserError, match=r"val_interval of 'rating' is .*; it has to be intervals from low to high"
    ):
        parse_intervals(text, "val_interval of 'rating'")


@pytest.mark.parametrize(
    ("text", "dates"), [("[1970-01-01,inf)", False), ("[5,inf)", True), ("[0,2023-01-01)", True)]
)
def test_numbers_are_no_dates(text, dates):
    with pytest.raises(UserError, match="as the file has dates" if dates else r"\[5,inf\)"):
        parse_intervals(text, "val_interval", dates)


near = st.integers(-3, 3)
numbers = st.builds(
    int.__add__, st.sampled_from([0, 2**53, -(2**53), 2**62, 2**63, -(2**63)]), near
) | st.builds(lambda whole, part: whole + part / 4, near, near)


@given(st.lists(numbers, min_size=1), numbers, numbers, st.sampled_from("[("), st.sampled_from("])"))
@example([2**53 + 1, 2**53], 2**53 + 1, 2**53 + 1, "[", "]")
@example([2.0**53, 2.0**53 + 2], 2**53 + 1, 2**63, "[", "]")
def test_within(values, low, high, left, right):
    low, high = sorted((low, high))
    expected = [
        (low <= x if left == "[" else low < x) and (x <= high if right == "]" else x < high) for x in values
    ]
    (interval,) = parse_intervals(f"{left}{low},{high}{right}", "val_interval")
    assert within(exact_array(values), [interval]).tolist() == expected
    assert within(exact_array(values), [interval, ("[", 0, 0, "]")]).tolist() == [
        inside or x == 0 for inside, x in zip(expected, values)
    ]


def test_nothing_is_within_what_is_missing():
    assert within(np.array([np.nan, 1]), parse_intervals("(-inf,inf)", "")).tolist() == [False, True]
    assert within(np.array([1, 2]), [("[", Fraction(3, 2), math.inf, ")")]).tolist() == [False, True]

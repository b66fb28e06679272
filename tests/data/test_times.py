"""Times as numbers, against Python's whole numbers, fractions and dates."""

from __future__ import annotations

import datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recbole_mqsa.data.times import NotATime, exact_array, exact_times, is_date, time_of

EPOCH = datetime.datetime(1970, 1, 1)


def order(values):
    """The rows from old to new, equal times as they stand."""
    return sorted(range(len(values)), key=list(values).__getitem__)


def assert_in_order(texts, values):
    times = exact_times(texts)
    assert order(times.tolist()) == order(values)
    assert [a == b for a, b in zip(times, times[1:])] == [a == b for a, b in zip(values, values[1:])]
    if times.dtype != object:
        assert np.argsort(times, kind="stable").tolist() == order(values)


whole = st.integers(-(2**63), 2**63)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(whole, min_size=1))
@example([2**63 - 1, 2**63, 2**63 - 2, -(2**63)])
@example([2**62 + 1, 2**62, 2**62 + 2])
@example([10**300, 10**300 + 1])
def test_whole_numbers(numbers):
    assert_in_order([str(number) for number in numbers], numbers)
    fits = all(-(2**63) <= number < 2**63 for number in numbers)
    assert exact_times([f" +{number}".replace("+-", "-") for number in numbers]).tolist() == numbers
    assert exact_times(list(map(str, numbers))).dtype == (np.int64 if fits else object)


@given(st.lists(finite, min_size=1))
def test_fractions(numbers):
    assert_in_order([repr(number) for number in numbers], numbers)
    assert [float(time) for time in exact_times(list(map(repr, numbers)))] == numbers


@given(st.lists(whole | finite, min_size=1))
@example([2**53 + 1, 2**53, 0.5])
@example([2**53 + 1, float(2**53), 2**53])
@example([1, 1.0, 0.5])
@example([2**63 - 1, 2.0**63, 1e300])
def test_whole_numbers_among_fractions(numbers):
    """Python compares the two kinds exactly."""
    assert_in_order([repr(number) for number in numbers], numbers)


zones = st.none() | st.integers(-23 * 60 - 59, 23 * 60 + 59)


@st.composite
def dates(draw, first=1, last=9999, most_decimals=12):
    """A date in one of the forms of ISO 8601, and its nanoseconds since 1970."""
    date = draw(st.datetimes(datetime.datetime(first, 1, 1), datetime.datetime(last, 12, 31)))
    form = draw(st.sampled_from(["month", "day", "hour", "minute", "second", "decimals"]))
    zone, text, kept = (
        None,
        date.strftime("-%m"),
        date.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
    )
    decimals = ""
    if form != "month":
        text, kept = date.strftime("-%m-%d"), kept.replace(day=date.day)
    if form not in ("month", "day"):
        parts = ["hour", "minute", "second"][: {"hour": 1, "minute": 2}.get(form, 3)]
        kept = kept.replace(**{part: getattr(date, part) for part in parts})
        text += draw(st.sampled_from("T ")) + ":".join(f"{getattr(date, part):02}" for part in parts)
        if form == "decimals":
            decimals = draw(st.text("0123456789", min_size=1, max_size=most_decimals))
            text += draw(st.sampled_from(".,")) + decimals
        zone = draw(zones)
    if zone is not None:
        sign, size = "-" if zone < 0 else "+", abs(zone)
        forms = [f"{sign}{size // 60:02}:{size % 60:02}", f"{sign}{size // 60:02}{size % 60:02}"]
        forms += ["Z"] * (zone == 0) + [f"{sign}{size // 60:02}"] * (size % 60 == 0)
        text += draw(st.sampled_from(forms))
    seconds = (kept - EPOCH) // datetime.timedelta(seconds=1) - (zone or 0) * 60
    return f"{kept.year:04}{text}", (seconds + Fraction(int(decimals or 0), 10 ** len(decimals))) * 10**9


@given(st.lists(dates(), min_size=1))
@example([("0001-01-01T00:00:00+23:59", Fraction(-62135683140) * 10**9)])
def test_dates_of_all_years(pairs):
    texts, values = zip(*pairs)
    assert exact_times(texts).tolist() == list(values)
    assert_in_order(texts, values)


@given(st.lists(dates(1700, 2200, most_decimals=9), min_size=1))
def test_dates_in_nanoseconds(pairs):
    """The years of pandas' own."""
    texts, values = zip(*pairs)
    times = exact_times(texts)
    assert times.dtype == np.int64 and times.tolist() == list(values)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("19700102T0000Z", 86_400 * 10**9),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00 -0030", 1_800 * 10**9),
        (" 1969-12-31T23:59:59z ", -(10**9)),
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        ("2262-04-11T23:47:16.854775808Z", 2**63),
        ("1970-01-01T00:00:00.0000000005", Fraction(1, 2)),
    ],
)
def test_a_date(text, nanoseconds):
    assert is_date(text) and time_of(text) == nanoseconds
    assert exact_times([text]).tolist() == [nanoseconds]


NO_TIMES = "now|today|NaT|| |late|nan|inf|-inf|infinity|NA|12:30|2023-7-6|2023/07/16|16-07-2023|2023-W29-7"
NO_TIMES += "|2023-07-16T12:30:00 Europe/Paris|T12:30|0x10|1 600|1,600|--5|1e"


@pytest.mark.parametrize("text", NO_TIMES.split("|"))
def test_no_time(text):
    for texts in ([text], ["5", text], ["2023-07-16", text]):
        with pytest.raises(NotATime, match="is not a time; write a number") as caught:
            exact_times(texts)
        assert caught.value.text == text


@pytest.mark.parametrize(
    ("texts", "bad", "fault"),
    [
        (["5", "2023-07-16", "late"], "2023-07-16", "is a date, but times before it are numbers"),
        (["2023-07-16", "5", "late"], "5", "is a number, but times before it are dates"),
        (["5", "1e400"], "1e400", "is too large for a time"),
        (["5", "-" + "9" * 400], "-" + "9" * 400, "is too large for a time"),
        (["2023-07-16", "2023-02-29"], "2023-02-29", "is no date of the calendar"),
        (["2023-07-16T24:00:00"], "2023-07-16T24:00:00", "no hour of the day"),
        (["2023-07-16T12:00:60"], "2023-07-16T12:00:60", "no hour of the day"),
        (["2023-07-00"], "2023-07-00", "is no date of the calendar"),
        (["2023-07-16T12:00+24:00"], "2023-07-16T12:00+24:00", "no hour of the day"),
    ],
)
def test_the_first_bad_time(texts, bad, fault):
    with pytest.raises(NotATime, match=fault) as caught:
        exact_times(texts)
    assert caught.value.text == bad


def test_padded_and_underscored_numbers():
    assert exact_times(["0" * 5000 + "12", "1_000", "\u0661\u0662", "1.5e1"]).tolist() == [12, 1000, 12, 15]
    assert exact_times([]).tolist() == []


def test_the_narrowest_array():
    assert exact_array([1, 2**63 - 1, -(2**63)]).dtype == np.int64
    assert exact_array([1, 0.5, 2**53 - 1]).dtype == np.float64
    for numbers in ([1, 2**63], [0.5, 2**53], [Fraction(1, 3), 1]):
        assert exact_array(numbers).dtype == object and exact_array(numbers).tolist() == numbers


def test_a_time_of_a_setting_may_be_infinite():
    assert [time_of(text) for text in ("inf", " -inf ", "+Inf", "5", "0.5", "1970-01-02")] == [
        *(float("inf"), float("-inf"), float("inf"), 5, 0.5, 86_400 * 10**9)
    ]

"""Times as numbers in which no two different ones become equal."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Union

import numpy as np
import pandas as pd

Number = Union[int, float, Fraction]

EXACT = 2.0**53
"""From here on a float no longer holds every whole number."""

_DATE = re.compile(
    r"\s*(?!\d+\s*$)(\d{4})(-?)(\d\d)(?:\2(\d\d))?"
    r"(?:[Tt ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?\s*",
    re.ASCII,
)
_EPOCH = datetime.date(1970, 1, 1).toordinal()

NO_TIME = (
    "is not a time; write a number, such as seconds, or ISO 8601, such as 2023-07-16T12:30:00Z (recbole-mqsa prepare "
    "does so from other forms)"
)


class NotATime(ValueError):
    """A text that is not a time, or not one of the others' kind.

    Args:
        text: as it stands in the file.
        fault: what is wrong with it, and what to do.
    """

    def __init__(self, text: str, fault: str = NO_TIME) -> None:
        super().__init__(f"{text!r} {fault}")
        self.text, self.fault = text, fault


def is_date(text: str) -> bool:
    """Whether a time is written as ISO 8601 has it, and not as a number."""
    return _DATE.fullmatch(text) is not None


def exact_times(texts: Sequence[str]) -> np.ndarray:
    """Texts of times as numbers that compare as the times do.

    Args:
        texts: [N] all numbers (whole ones of any size, others as float64), or all ISO 8601 (without a zone: UTC).

    Returns:
        [N] int64, or float64 where some have a fraction; nanoseconds since 1970 for ISO 8601. Where neither holds
        them all exactly, they are Python's numbers, in an array of objects.

    Raises:
        NotATime: the first text that is none of these.
    """
    if texts and is_date(texts[0]):
        return _exact_dates(texts)
    return exact_array([_number(text) for text in texts])


def time_of(text: str) -> Number:
    """One time, as :func:`exact_times` reads it; an infinite number too.

    Raises:
        NotATime: it is none.
    """
    infinite = {"inf": math.inf, "+inf": math.inf, "-inf": -math.inf}.get(text.strip().lower())
    if infinite is not None:
        return infinite
    return _nanoseconds(text) if is_date(text) else _number(text)


def exact_array(numbers: Sequence[Number]) -> np.ndarray:
    """Numbers [N] as int64, or as float64, or as they are, whichever is the first to hold all of them."""
    whole = [type(number) is int for number in numbers]
    if all(whole) and all(-(2**63) <= number < 2**63 for number in numbers):
        return np.array(numbers, dtype=np.int64)
    if all(
        -EXACT < number < EXACT if is_int else isinstance(number, float)
        for number, is_int in zip(numbers, whole)
    ):
        return np.array(numbers, dtype=np.float64)
    exact = np.empty(len(numbers), dtype=object)
    exact[:] = numbers
    return exact


def _number(text: str) -> int | float:
    try:
        value = float(text)
    except ValueError:
        if is_date(text):
            raise NotATime(text, "is a date, but times before it are numbers; write all alike") from None
        raise NotATime(text) from None
    if not math.isfinite(value):
        raise NotATime(text, "is too large for a time" if text.strip(" +-")[:1].isdigit() else NO_TIME)
    try:
        return int(text)
    except ValueError:
        return int(value) if value.is_integer() else value


def _exact_dates(texts: Sequence[str]) -> np.ndarray:
    for text in texts:
        if not is_date(text):
            raise NotATime(text, _not_alike(text))
    # pandas cuts what is below a nanosecond, its years are 1678 to 2261, and a zone is also that of a later date
    # without one.
    zoned = {_DATE.fullmatch(text)[9] is None for text in texts}  # type: ignore[index]
    if len(zoned) == 1 and not any(re.search(r"[.,]\d{10}", text) for text in texts):
        stamps = pd.to_datetime(pd.Series(texts, dtype="object"), format="ISO8601", utc=True, errors="coerce")
        if not stamps.isna().any():
            return stamps.dt.as_unit("ns").astype("int64").to_numpy()
    return exact_array([_nanoseconds(text) for text in texts])


def _not_alike(text: str) -> str:
    try:
        _number(text)
    except NotATime:
        return NO_TIME
    return "is a number, but times before it are dates; write all alike"


def _nanoseconds(text: str) -> int | Fraction:
    """A date since 1970, by the calendar alone."""
    found = _DATE.fullmatch(text)
    assert found is not None, text
    hour, minute, second = (int(part or 0) for part in found.groups()[4:7])
    try:
        days = datetime.date(int(found[1]), int(found[3]), int(found[4] or 1)).toordinal() - _EPOCH
        datetime.time(hour, minute, second)
        seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _zone(found[9] or "Z")
    except ValueError:
        raise NotATime(text, "is no date of the calendar, or no hour of the day; correct it") from None
    decimals = found[8] or "0"
    exact = seconds * 10**9 + Fraction(int(decimals) * 10**9, 10 ** len(decimals))
    return int(exact) if exact.denominator == 1 else exact


def _zone(text: str) -> int:
    """Seconds that a zone is ahead of UTC."""
    if text in "Zz":
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    datetime.time(hours, minutes)  # raises where it is none
    return (hours * 3600 + minutes * 60) * (-1 if text[0] == "-" else 1)

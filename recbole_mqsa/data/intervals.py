"""The intervals of settings such as ``val_interval``, compared without rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import UserError
from .times import EXACT, NotATime, Number, is_date, time_of

Interval = tuple[str, Number, Number, str]
"""RecBole's form: bracket, lower and upper end, bracket, as in ('[', 5, inf, ')')."""


def parse_intervals(text: Any, setting: str, dates: bool = False) -> list[Interval]:
    """The intervals in a text such as '(0,1];[3,4)'.

    Args:
        setting: where it stands, for the message.
        dates: whether its ends are dates, as 1e9 is 1970 in nanoseconds.

    Raises:
        UserError: the text is none, or no number lies within.
    """
    parsed = []
    for part in str(text).split(";"):
        bare = part.strip()
        try:
            left, low, high, right = bare[:1], *map(time_of, bare[1:-1].split(",")), bare[-1:]
        except (NotATime, ValueError):
            raise _none(text, setting, dates) from None
        if left not in ("[", "(") or right not in ("]", ")") or low > high:
            raise _none(text, setting, dates)
        if any(is_date(end) != dates for end in bare[1:-1].split(",") if math.isfinite(time_of(end))):
            raise _none(text, setting, dates)
        parsed.append((left, low, high, right))
    return parsed


def _none(text: Any, setting: str, dates: bool) -> UserError:
    example = (
        "[2023-01-01,2023-07-16T12:30:00Z), as the file has dates" if dates else "[5,inf) or (0,1];[3,4)"
    )
    return UserError(
        f"{setting} is {str(text)!r}; it has to be intervals from low to high, such as {example}"
    )


def within(values: np.ndarray, intervals: list[Interval]) -> np.ndarray:
    """Which values [N] lie in one of the intervals, exactly."""
    ends = [end for _, low, high, _ in intervals for end in (low, high) if math.isfinite(end)]
    if not all(-EXACT < end < EXACT for end in ends):
        values = values.astype(object)  # numbers of Python's, which it compares as they are
    inside = np.zeros(len(values), dtype=bool)
    for left, low, high, right in intervals:
        above = values >= low if left == "[" else values > low
        below = values <= high if right == "]" else values < high
        inside |= (above & below).astype(bool)
    return inside

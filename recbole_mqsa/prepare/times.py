"""Times of any kind as whole or decimal numbers whose order is exact, by SQL.

In SQL's ``raw`` a time ``t`` is the text of the table, or 'ns' and nanoseconds where the table has times of its own.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import duckdb

from ..errors import UserError
from .sources import text

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Ticks a second."""
KINDS = ("iso", *UNITS)
"""Time formats with a name; any other holds a % and is one of strptime."""
WHOLE = r"[+-]?\d{1,19}"
DECIMAL = r"[+-]?(\d{1,19}(\.\d{0,10})?|\.\d{1,10}|\d(\.\d+)?[eE][+]?\d{1,2})"
ISO = r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?\s?([Zz]|[+-]\d\d(:?\d\d)?)?)?"
OWN = r"ns-?\d+"


@dataclass(frozen=True)
class TimeKind:
    """How times are read.

    Args:
        value: an expression of SQL, NULL where the text is no such time.
        unit: ticks a second; None where the numbers may count anything.
        wording: what a time has to be, for messages.
        numbers: whether the table has numbers, which are kept as they are.
    """

    value: str
    unit: int | None
    wording: str
    numbers: bool = False


def kind_of(connection: duckdb.DuckDBPyConnection, time_format: str | None) -> TimeKind:
    """How the times of ``raw`` are written: as the format says, or as most of them are.

    Raises:
        UserError: no such format, or days written as numbers.
    """
    if time_format is None:
        return _found(connection)
    if time_format in UNITS:
        return TimeKind(_number(connection), UNITS[time_format], "a number", numbers=True)
    if time_format == "iso":
        return _ISO
    if "%" not in time_format:
        raise UserError(
            f"time_format is {time_format!r}; it has to be one of {', '.join(KINDS)}, or made of % as "
            "in '%d/%m/%Y %H:%M'"
        )
    value = f"epoch_us(try_strptime(trim(t), {text(time_format)}))::HUGEINT"
    try:
        connection.execute(f"SELECT {value} FROM (SELECT 'x' AS t)")
    except duckdb.Error:
        raise UserError(
            f"time_format is {time_format!r}; its % signs have to be those of strptime, as '%d/%m/%Y'"
        ) from None
    return TimeKind(value, UNITS["us"], f"of the form {time_format}")


_ISO = TimeKind(
    value=(
        f"CASE WHEN regexp_full_match(trim(t), '{ISO}') THEN "
        r"epoch_us(try_cast(regexp_replace(trim(t), '[.,]\d+', '') AS TIMESTAMPTZ))::HUGEINT * 1000 + "
        r"coalesce(try_cast(rpad(nullif(regexp_extract(t, '[.,](\d+)', 1), ''), 9, '0') AS HUGEINT), 0) END"
    ),
    unit=UNITS["ns"],
    wording="ISO 8601, as in 2023-07-16 or 2023-07-16T12:30:00+02:00",
)
_OWN = TimeKind("try_cast(t[3:] AS HUGEINT)", UNITS["ns"], "a time")


def _found(connection: duckdb.DuckDBPyConnection) -> TimeKind:
    counted = connection.execute(
        f"SELECT count(*) FILTER (regexp_full_match(trim(t), '{DECIMAL}')), "
        f"count(*) FILTER (regexp_full_match(trim(t), '{ISO}')), count(*) FILTER (regexp_full_match(t, '{OWN}')), "
        "any_value(t) FROM raw WHERE t IS NOT NULL"
    ).fetchone()
    numbers, dates, own, example = counted or (0, 0, 0, None)
    if own:
        return _OWN
    if not numbers and not dates:
        shown = "there is none" if example is None else f"one is '{example}'"
        raise UserError(
            f"the times are neither numbers nor ISO 8601 ({shown}); say how they are written, as by "
            "time_format='%d/%m/%Y'"
        )
    if dates > numbers:
        return _ISO
    _refuse_days(connection)
    return TimeKind(_number(connection), None, "a number", numbers=True)


def _number(connection: duckdb.DuckDBPyConnection) -> str:
    """Whole numbers where most are, else decimals."""
    found = connection.execute(
        f"SELECT bool_and(regexp_full_match(trim(t), '{WHOLE}')) FROM raw WHERE regexp_full_match(trim(t), '{DECIMAL}')"
    ).fetchone()
    kind = "HUGEINT" if found is None or found[0] is not False else "DECIMAL(38, 10)"
    return f"CASE WHEN regexp_full_match(trim(t), '{DECIMAL}') THEN try_cast(trim(t) AS {kind}) END"


def _refuse_days(connection: duckdb.DuckDBPyConnection) -> None:
    """Numbers such as 20230716 are days, or seconds of 1970: nobody can tell."""
    found = connection.execute(
        "SELECT bool_and(try_strptime(trim(t), '%Y%m%d') BETWEEN TIMESTAMP '1900-01-01' AND TIMESTAMP '2200-01-01' "
        "AND length(trim(t)) = 8), any_value(t) FROM raw WHERE t IS NOT NULL"
    ).fetchone()
    if found and found[0]:
        raise UserError(
            f"the times look like days ({found[1]}), but may be seconds; write time_format='%Y%m%d' or time_format=s"
        )


def unit_of(kind: TimeKind, latest: object) -> int | None:
    """Ticks a second; of plain numbers, guessed by the largest: None where they are too small for times since 1973."""
    if kind.unit is not None or latest is None:
        return kind.unit
    size = abs(float(str(latest)))
    for bound, unit in ((1e8, None), (1e11, 1), (1e14, 10**3), (1e17, 10**6)):
        if size < bound:
            return unit
    return 10**9


def bound(given: str, name: str, unit: int | None) -> int:
    """A date as a number of ticks.

    Raises:
        UserError: it is no date, or the times are no dates.
    """
    if unit is None:
        raise UserError(
            f"{name} is {given}, but the times are plain numbers; say what they count, as by time_format=s"
        )
    try:
        moment = datetime.datetime.fromisoformat(given.replace("Z", "+00:00"))
    except ValueError:
        raise UserError(
            f"{name} is {given!r}; it has to be a date, as 2023-07-16 or 2023-07-16T12:30:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since // datetime.timedelta(microseconds=1)) * unit // 10**6


def as_date(value: object, unit: int | None) -> str:
    """A time as people read it; a plain number as it is."""
    if unit is None:
        return f"{value}".rstrip("0").rstrip(".") if "." in str(value) else str(value)
    seconds = int(float(str(value))) // unit if "." in str(value) else int(str(value)) // unit
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return str(value)
    return moment.isoformat(sep=" ")

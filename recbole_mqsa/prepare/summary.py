"""What a prepared data set holds, and what was dropped on the way, as numbers and as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import duckdb
import numpy as np
import pandas as pd

from ..interfaces import Json
from .times import as_date

BINS = 60
"""Intervals of time in the picture."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Args:
        place: its line or row in the table.
        fault: what is wrong with it.
    """

    place: int
    fault: str


@dataclass(frozen=True)
class Summary:
    """A prepared data set.

    Args:
        file: its file of actions.
        rows: those of the table.
        bad: how many were of no use, by fault.
        examples: the first of these.
        dropped: how many each filter dropped.
        users, items, actions: what is left.
        lengths: of the users' sequences: least, median, mean and most.
        first, last: times.
        dated: whether the times are dates.
        repeats: actions of a user with an item that the user had before.
        repeating_users: users with such actions.
        ties: actions at the same time as the user's action before, so that only the order of the table tells.
        place: what places of rows are called.
    """

    file: str
    rows: int
    bad: dict[str, int]
    examples: list[BadRow]
    dropped: dict[str, int]
    users: int
    items: int
    actions: int
    lengths: dict[str, float]
    first: str
    last: str
    dated: bool
    repeats: int
    repeating_users: int
    ties: int
    place: str = "row"
    curves: Curves | None = field(default=None, repr=False)

    def as_json(self) -> Json:
        """Plain data, without the curves."""
        return {key: value for key, value in asdict(self).items() if key not in ("curves", "place")}

    def __str__(self) -> str:
        """A few lines for people."""
        kept = f"{self.actions:,} of {self.rows:,} rows, {self.users:,} users, {self.items:,} items"
        least, median, mean, most = (self.lengths[name] for name in ("least", "median", "mean", "most"))
        lines = [
            f"{self.file}: {kept}",
            f"actions of a user: {least:,.0f} to {most:,.0f}, median {median:,.0f}, mean {mean:,.1f}",
            f"{'time' if self.dated else 'times (plain numbers)'}: {self.first} to {self.last}",
            f"repeat purchases: {_share(self.repeats, self.actions)} actions, of {self.repeating_users:,} users",
            f"at the same time as the action before: {_share(self.ties, self.actions)} actions, in the table's order",
        ]
        lines += [f"dropped: {count:,} rows {reason}" for reason, count in self.dropped.items()]
        lines += [f"of no use: {count:,} rows, {fault}" for fault, count in self.bad.items()]
        lines += [f"  {self.place} {one.place:,} {one.fault}" for one in self.examples]
        return "\n".join(lines)


@dataclass(frozen=True)
class Curves:
    """What the picture shows.

    Args:
        lengths: [U] actions of each user.
        popularity: [I] actions of each item, most first.
        edges: [BINS + 1] of intervals of time, in seconds or as the numbers are.
        over_time: [BINS] actions in each.
    """

    lengths: np.ndarray
    popularity: np.ndarray
    edges: np.ndarray
    over_time: np.ndarray


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / max(whole, 1):.1%})"


def counted(connection: duckdb.DuckDBPyConnection, unit: int | None) -> Json:
    """The numbers of a :class:`Summary` that ``actions`` tells."""
    lengths = _column(connection, "SELECT count(*) AS c FROM actions GROUP BY u")
    popularity = _column(connection, "SELECT count(*) AS c FROM actions GROUP BY i ORDER BY c DESC")
    first, last = connection.execute("SELECT min(t), max(t) FROM actions").fetchone() or (None, None)
    pairs, again = connection.execute(
        "SELECT coalesce(sum(c - 1), 0), count(DISTINCT u) FROM "
        "(SELECT u, i, count(*) AS c FROM actions GROUP BY u, i HAVING count(*) > 1)"
    ).fetchone() or (0, 0)
    (ties,) = connection.execute(
        "SELECT coalesce(sum(c - 1), 0) FROM (SELECT count(*) AS c FROM actions GROUP BY u, t HAVING count(*) > 1)"
    ).fetchone() or (0,)
    return {
        "users": len(lengths),
        "items": len(popularity),
        "actions": int(lengths.sum()),
        "lengths": {
            "least": int(lengths.min()) if len(lengths) else 0,
            "median": float(np.median(lengths)) if len(lengths) else 0.0,
            "mean": float(lengths.mean()) if len(lengths) else 0.0,
            "most": int(lengths.max(initial=0)),
        },
        "first": as_date(first, unit),
        "last": as_date(last, unit),
        "dated": unit is not None,
        "repeats": int(pairs),
        "repeating_users": int(again),
        "ties": int(ties),
        "curves": _curves(connection, lengths, popularity, first, last, unit),
    }


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> np.ndarray:
    return np.asarray(connection.execute(query).fetchnumpy()["c"])


def _curves(
    connection: duckdb.DuckDBPyConnection,
    lengths: np.ndarray,
    popularity: np.ndarray,
    first: object,
    last: object,
    unit: int | None,
) -> Curves | None:
    if first is None or last is None:
        return None
    low, high = float(str(first)), float(str(last))
    width = max(high - low, 1e-9) / BINS
    found = connection.execute(
        f"SELECT least(floor((t::DOUBLE - {low!r}) / {width!r}), {BINS - 1})::INTEGER AS b, count(*) AS c "
        "FROM actions GROUP BY b"
    ).fetchnumpy()
    over_time = pd.Series(found["c"], index=found["b"]).reindex(range(BINS), fill_value=0).to_numpy()
    edges = (low + width * np.arange(BINS + 1)) / (unit or 1)
    return Curves(lengths, popularity, edges, over_time)

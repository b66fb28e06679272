"""Which actions stay: filters on the table ``actions`` (n, u, i, t, r), each with an account of what it drops."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ..errors import UserError
from .times import bound

DUPLICATES = ("keep", "exact", "first", "last")
"""What stays of several actions of a user with an item: all; one for each time; the first; the last."""


@dataclass(frozen=True)
class Filters:
    """Which actions stay.

    Args:
        min_rating: the least rating; None takes all.
        since, until: dates, the first included, the second not.
        duplicates: one of ``DUPLICATES``.
        user_core, item_core: the fewest actions of a user and of an item, after all other filters; repeated until
            both hold.
    """

    min_rating: float | None = None
    since: str | None = None
    until: str | None = None
    duplicates: str = "keep"
    user_core: int = 1
    item_core: int = 1

    def check(self, has_rating: bool) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            UserError: naming the option.
        """
        if self.duplicates not in DUPLICATES:
            raise UserError(f"duplicates is {self.duplicates!r}; it has to be one of {', '.join(DUPLICATES)}")
        if self.min_rating is not None and not has_rating:
            raise UserError("min_rating needs ratings; name their column by rating")
        for name, core in (("user_core", self.user_core), ("item_core", self.item_core)):
            if not isinstance(core, int) or isinstance(core, bool) or core < 1:
                raise UserError(f"{name} is {core!r}; it has to be a whole number of at least 1")


def apply(connection: duckdb.DuckDBPyConnection, filters: Filters, unit: int | None) -> dict[str, int]:
    """Filter ``actions``; how many each filter drops, by what the filter is called.

    Raises:
        UserError: a date that is none, or times that are no dates.
    """
    conditions = {}
    if filters.min_rating is not None:
        conditions[f"rated below {filters.min_rating:g}"] = f"r >= {filters.min_rating}"
    if filters.since is not None:
        conditions[f"before {filters.since}"] = f"t >= {bound(filters.since, 'since', unit)}"
    if filters.until is not None:
        conditions[f"from {filters.until} on"] = f"t < {bound(filters.until, 'until', unit)}"
    dropped = {reason: _keep(connection, f"WHERE {condition}") for reason, condition in conditions.items()}
    if filters.duplicates != "keep":
        dropped[f"repeated (duplicates={filters.duplicates})"] = _keep(connection, _once[filters.duplicates])
    if filters.user_core > 1 or filters.item_core > 1:
        reason = f"of users with fewer than {filters.user_core} or items with fewer than {filters.item_core}"
        dropped[reason] = _core(connection, filters.user_core, filters.item_core)
    return {reason: count for reason, count in dropped.items() if count}


_once = {
    "exact": "QUALIFY row_number() OVER (PARTITION BY u, i, t ORDER BY n) = 1",
    "first": "QUALIFY row_number() OVER (PARTITION BY u, i ORDER BY t, n) = 1",
    "last": "QUALIFY row_number() OVER (PARTITION BY u, i ORDER BY t DESC, n DESC) = 1",
}


def _keep(connection: duckdb.DuckDBPyConnection, clause: str) -> int:
    """Replace ``actions`` by the rows of a clause; how many fewer they are."""
    before = size(connection)
    connection.execute(f"CREATE TABLE kept AS SELECT actions.* FROM actions {clause}")
    connection.execute("DROP TABLE actions; ALTER TABLE kept RENAME TO actions")
    return before - size(connection)


def _core(connection: duckdb.DuckDBPyConnection, users: int, items: int) -> int:
    """Drop users and items with too few actions until there is none."""
    total = 0
    while gone := _keep(
        connection,
        f"SEMI JOIN (SELECT u FROM actions GROUP BY u HAVING count(*) >= {users}) USING (u) "
        f"SEMI JOIN (SELECT i FROM actions GROUP BY i HAVING count(*) >= {items}) USING (i)",
    ):
        total += gone
    return total


def size(connection: duckdb.DuckDBPyConnection) -> int:
    """How many actions there are."""
    found = connection.execute("SELECT count(*) FROM actions").fetchone()
    return int(found[0]) if found else 0

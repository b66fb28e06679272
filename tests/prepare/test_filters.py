"""Filters of prepared data against loops over the same actions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

duckdb = pytest.importorskip("duckdb")
from recbole_mqsa.prepare.filters import Filters, apply  # noqa: E402
from recbole_mqsa.prepare.summary import counted  # noqa: E402

Row = tuple[int, int, int]
"""User, item and time."""


def by_hand(rows: list[Row], duplicates: str, users: int, items: int) -> list[Row]:
    """What stays, in the order of the table."""
    kept = list(enumerate(rows))
    if duplicates != "keep":
        chosen: dict[tuple[int, ...], tuple[int, Row]] = {}
        for n, (user, item, time) in sorted(kept, key=lambda one: (one[1][2], one[0])):
            key = (user, item, time) if duplicates == "exact" else (user, item)
            if duplicates == "last" or key not in chosen:
                chosen[key] = (n, (user, item, time))
        kept = sorted(chosen.values())
    while True:
        by_user, by_item = Counter(row[0] for _, row in kept), Counter(row[1] for _, row in kept)
        left = [(n, row) for n, row in kept if by_user[row[0]] >= users and by_item[row[1]] >= items]
        if len(left) == len(kept):
            return [row for _, row in kept]
        kept = left


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=40),
    st.sampled_from(["keep", "exact", "first", "last"]),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_what_stays(rows: list[Row], duplicates: str, users: int, items: int) -> None:
    expected = by_hand(rows, duplicates, users, items)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE actions (n BIGINT, u BIGINT, i BIGINT, t HUGEINT, r DOUBLE)")
        values = ", ".join(f"({n}, {u}, {i}, {t}, NULL)" for n, (u, i, t) in enumerate(rows))
        connection.execute(f"INSERT INTO actions VALUES {values}")
        dropped = apply(connection, Filters(duplicates=duplicates, user_core=users, item_core=items), None)
        assert connection.execute("SELECT u, i, t FROM actions ORDER BY n").fetchall() == expected
        assert len(rows) - sum(dropped.values()) == len(expected)
        found = counted(connection, None)
    assert (found["actions"], found["users"]) == (len(expected), len({user for user, _, _ in expected}))
    assert found["repeats"] == len(expected) - len({row[:2] for row in expected})
    assert found["ties"] == len(expected) - len({(user, time) for user, _, time in expected})

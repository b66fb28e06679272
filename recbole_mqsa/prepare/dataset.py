"""Prepares a data set: reads a table of actions, filters it, and writes RecBole's file of it, in bounded memory."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ..errors import UserError
from .filters import Filters, apply
from .picture import draw
from .sources import Frame, Source, Wanted, source_of, text
from .summary import BadRow, Summary, counted
from .times import UNITS, TimeKind, kind_of, unit_of

SHOWN = 10
"""Bad rows that are shown."""
MEMORY = "2GB"
"""What duckdb may use before it spills to disk."""


def prepare_dataset(
    source: str | os.PathLike[str] | Frame,
    output: str | os.PathLike[str],
    *,
    user: str,
    item: str,
    time: str,
    time_format: str | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    since: str | None = None,
    until: str | None = None,
    duplicates: str = "keep",
    user_core: int = 1,
    item_core: int = 1,
    strict: bool = False,
    separator: str | None = None,
    columns: Sequence[str] = (),
    memory: str = MEMORY,
) -> Summary:
    """Write a table of actions as the data set ``output``: a folder with NAME.inter, its summary and a picture.

    The table may be larger than memory. Rows without a user, an item or a time are counted and left out.

    Args:
        source: a csv, tsv, jsonl or parquet file (text files may end in .gz), or a frame of pandas or polars.
        output: the folder to make; its name is that of the data set.
        user, item, time: the columns that hold them.
        time_format: 's', 'ms', 'us' or 'ns' since 1970, 'iso', or one of strptime such as '%d/%m/%Y %H:%M' (UTC unless
            it has %z); by default numbers or ISO 8601, as most times are.
        rating: a column of ratings, for ``min_rating``.
        min_rating, since, until, duplicates, user_core, item_core: see :class:`.filters.Filters`.
        strict: whether the first bad row ends it.
        separator, columns: of a text file: what stands between values; the names of its columns if it has no header.
        memory: what may be used before data go to disk, as '2GB'; the process itself takes some 0.2 GB more.

    Returns:
        What the data set holds and what was dropped.

    Raises:
        UserError: a bad table or option, or ``output`` exists.
    """
    filters = Filters(min_rating, since, until, duplicates, user_core, item_core)
    filters.check(rating is not None)
    folder = _free(Path(output))
    table = source_of(source, separator, columns)
    wanted = Wanted(user, item, time, rating)
    with _workshop(folder, memory) as (connection, ready):
        _read(connection, table, wanted)
        if not _rows(connection, "raw") and not table.refused(connection):
            raise UserError(f"{table.name} has no row; give one with actions")
        kind = kind_of(connection, time_format)
        summary = _made(connection, table, kind, filters, folder, strict, rating is not None)
        _write(connection, kind, ready / f"{folder.name}.inter")
        (ready / "summary.json").write_text(
            json.dumps(summary.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8"
        )
        draw(ready / "summary.png", summary)
        os.replace(ready, folder)
    return summary


def _free(folder: Path) -> Path:
    """The folder to make.

    Raises:
        UserError: it exists, or cannot be named so.
    """
    if folder.exists():
        raise UserError(f"output {folder} exists; name another folder, or move it away")
    if not folder.name:
        raise UserError(f"output is {str(folder)!r}; name a folder, as data/shop")
    return folder


@contextmanager
def _workshop(folder: Path, memory: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database beside the folder that is to be made, and a folder to fill; both go whatever happens.

    Raises:
        UserError: no room, or what duckdb says of the table.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as problem:
        raise UserError(
            f"output {folder} cannot be made ({problem.strerror}); name another folder"
        ) from problem
    try:
        ready = place / folder.name
        ready.mkdir()
        with duckdb.connect(str(place / "work.duckdb")) as connection:
            _limit(connection, memory, place)
            yield connection, ready
    except duckdb.OutOfMemoryException as problem:
        raise UserError(
            f"memory {memory} is not enough for this table; give more, as memory=4GB"
        ) from problem
    except (duckdb.IOException, duckdb.InvalidInputException) as problem:
        raise UserError(f"the table cannot be read: {str(problem).splitlines()[0]}; correct it") from problem
    except OSError as problem:
        raise UserError(
            f"output {folder} cannot be written ({problem.strerror}); make room, or name another folder"
        ) from problem
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _limit(connection: duckdb.DuckDBPyConnection, memory: str, place: Path) -> None:
    try:
        connection.execute(f"SET memory_limit = {text(memory)}")
    except duckdb.Error:
        raise UserError(f"memory is {memory!r}; it has to be a size, as 2GB or 500MB") from None
    connection.execute(f"SET temp_directory = {text(str(place / 'spill'))}")
    connection.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
    with suppress(
        duckdb.InvalidInputException
    ):  # in a notebook without ipywidgets, which has no bar to turn off
        connection.execute("SET enable_progress_bar = false")


def _read(connection: duckdb.DuckDBPyConnection, table: Source, wanted: Wanted) -> None:
    """The table as ``raw``: number n of the row, from 1, and the texts u, i, t and r."""
    query = table.query(connection, wanted)
    connection.execute(f"CREATE TABLE raw AS SELECT row_number() OVER () AS n, * FROM ({query})")


def _made(
    connection: duckdb.DuckDBPyConnection,
    table: Source,
    kind: TimeKind,
    filters: Filters,
    folder: Path,
    strict: bool,
    rated: bool,
) -> Summary:
    """Leave in ``actions`` what is to be written.

    Raises:
        UserError: nothing is left, or a bad row if ``strict``.
    """
    refused = table.refused(connection)
    bad, examples = _judged(connection, table, kind, refused, rated)
    if strict and examples:
        raise UserError(
            f"{table.name}, {table.place} {examples[0].place} {examples[0].fault}; correct it, or leave out strict"
        )
    rows = _rows(connection, "judged")
    _number(connection)
    latest = connection.execute("SELECT max(t) FROM actions").fetchone()
    unit = unit_of(kind, latest and latest[0])
    dropped = apply(connection, filters, unit)
    if not _rows(connection, "actions"):
        raise UserError(_nothing_left(table, bad, examples, dropped))
    found = counted(connection, unit)
    file = folder / f"{folder.name}.inter"
    return Summary(str(file), rows + len(refused), bad, examples, dropped, place=table.place, **found)


def _nothing_left(table: Source, bad: dict[str, int], examples: list[BadRow], dropped: dict[str, int]) -> str:
    if dropped:
        return f"no action of {table.name} passes the filters; loosen them ({', '.join(dropped)})"
    if examples:
        return (
            f"{table.name} has no row of use: {table.place} {examples[0].place} {examples[0].fault}; name other "
            "columns, or correct it"
        )
    return f"{table.name} has no row of use; give one with actions"


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(rows)


NAMELESS = "[\\t\\n\\r]"


def _judged(
    connection: duckdb.DuckDBPyConnection,
    table: Source,
    kind: TimeKind,
    refused: list[tuple[int, str]],
    rated: bool,
) -> tuple[dict[str, int], list[BadRow]]:
    """``judged``: the rows with their times, ratings and faults; how many have each fault, and the first of them."""
    faults = {
        "no user": "u IS NULL OR u = ''",
        "no item": "i IS NULL OR i = ''",
        "no time": "t IS NULL OR trim(t) = ''",
        "a user with a tab or a line end": f"regexp_matches(u, '{NAMELESS}')",
        "an item with a tab or a line end": f"regexp_matches(i, '{NAMELESS}')",
        "a time that is not " + kind.wording: "moment IS NULL",
        **({"a rating that is no number": "stars IS NULL"} if rated else {}),
    }
    cases = " ".join(f"WHEN {test} THEN {number}" for number, test in enumerate(faults.values()))
    connection.execute(
        f"CREATE TABLE judged AS SELECT n, u, i, moment, stars, CASE {cases} END AS fault, "
        f"CASE WHEN fault IS NOT NULL THEN t END AS t FROM "
        f"(SELECT *, {kind.value} AS moment, try_cast(r AS DOUBLE) AS stars FROM raw)"
    )
    connection.execute("DROP TABLE raw")
    names = list(faults)
    counts = connection.execute(
        "SELECT fault, count(*) FROM judged WHERE fault IS NOT NULL GROUP BY fault ORDER BY fault"
    ).fetchall()
    bad = {f"has {names[number]}": count for number, count in counts}
    for _, fault in refused:
        bad[fault] = bad.get(fault, 0) + 1
    first = connection.execute(
        f"SELECT n, fault, t FROM judged WHERE fault IS NOT NULL ORDER BY n LIMIT {SHOWN}"
    ).fetchall()
    numbers, records = [n for n, _, _ in first], [record for record, _ in refused]
    places, theirs = table.places(numbers, records, SHOWN) if first or refused else ([], [])
    shown = [
        BadRow(place, f"has {names[number]}" + (f" ('{time}')" if names[number].startswith("a time") else ""))
        for place, (_, number, time) in zip(places, first)
    ]
    shown += [BadRow(place, fault) for place, (_, fault) in zip(theirs, refused)]
    return bad, sorted(shown, key=lambda one: one.place)[:SHOWN]


def _number(connection: duckdb.DuckDBPyConnection) -> None:
    """``users`` and ``items`` with numbers, and ``actions`` by these numbers, without what is of no use."""
    for table, column in (("users", "u"), ("items", "i")):
        connection.execute(
            f"CREATE TABLE {table} AS SELECT row_number() OVER () AS number, name FROM "
            f"(SELECT DISTINCT {column} AS name FROM judged WHERE fault IS NULL)"
        )
    connection.execute(
        "CREATE TABLE actions AS SELECT n, users.number AS u, items.number AS i, moment AS t, stars AS r FROM judged "
        "JOIN users ON users.name = judged.u JOIN items ON items.name = judged.i WHERE fault IS NULL"
    )
    connection.execute("DROP TABLE judged")


def _write(connection: duckdb.DuckDBPyConnection, kind: TimeKind, file: Path) -> None:
    """Write ``actions`` in the order of the table, their times in the coarsest unit that keeps them apart."""
    if kind.numbers:
        written = (
            "CASE WHEN typeof(t) = 'HUGEINT' THEN t::VARCHAR ELSE rtrim(rtrim(t::VARCHAR, '0'), '.') END"
        )
    else:
        written = f"t // {_coarsest(connection, kind.unit or 1)}"
    connection.execute(
        f'COPY (SELECT users.name AS "user_id:token", items.name AS "item_id:token", {written} AS "timestamp:float" '
        "FROM actions JOIN users ON users.number = actions.u JOIN items ON items.number = actions.i ORDER BY n) "
        f"TO {text(str(file))} (FORMAT csv, DELIMITER '\t', HEADER true, QUOTE '')"
    )


def _coarsest(connection: duckdb.DuckDBPyConnection, unit: int) -> int:
    """Ticks of the coarsest of s, ms, us and ns of which all times are whole multiples."""
    for a_second in UNITS.values():
        ticks = unit // a_second
        if ticks <= 1:
            break
        found = connection.execute(f"SELECT bool_and(t % {ticks} = 0) FROM actions").fetchone()
        if found and found[0]:
            return ticks
    return 1

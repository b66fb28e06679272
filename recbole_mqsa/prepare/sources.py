"""Tables of actions, as duckdb reads them: text files, parquet, JSON lines, and frames of pandas or polars.

Ids and times arrive as the text that stands in the file; only parquet files and frames have times of their own.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import duckdb
import pandas as pd

from ..errors import UserError
from ..settings.names import hint

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".inter": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
ENDINGS = (*SEPARATORS, *JSON_LINES, ".parquet")
FRAME = "given_frame"


class Frame(Protocol):
    """A table in memory, of pandas or polars."""

    @property
    def columns(self) -> Any: ...
    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Wanted:
    """Which columns hold what.

    Args:
        user, item, time: names of columns.
        rating: another, or None.
    """

    user: str
    item: str
    time: str
    rating: str | None = None

    def named(self) -> list[tuple[str, str]]:
        """The option and the column of each."""
        pairs = (("user", self.user), ("item", self.item), ("time", self.time), ("rating", self.rating))
        return [(option, column) for option, column in pairs if column is not None]


class Source:
    """A table that can be read once from top to bottom.

    Attributes:
        name: what messages call it.
        place: what they call the place of a row, 'line' or 'row'.
    """

    name: str
    place = "row"

    def query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> str:
        """A SELECT of the wanted columns, in the order of the table."""
        raise NotImplementedError

    def refused(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
        """Record and fault of each that was no row at all, once the table has been read."""
        return []

    def places(
        self, numbers: Sequence[int], refused: Sequence[int], shown: int
    ) -> tuple[list[int], list[int]]:
        """The places of rows that were read, by their numbers from 1, and of the first refused records; both ascend."""
        return list(numbers), list(refused[:shown])


class DelimitedFile(Source):
    """A csv or tsv file, perhaps compressed.

    Args:
        file: the file.
        separator: by default that of the ending, or a semicolon where a csv file's header has some and no comma.
        columns: the names of its columns, if it has no header.
    """

    place = "line"

    def __init__(self, file: Path, separator: str | None = None, columns: Sequence[str] = ()) -> None:
        self.file, self.name, self.has_header = file, str(file), not columns
        first = _first_line(file)
        ending = SEPARATORS[kind_of(file)]
        semicolons = ending == "," and ";" in first and "," not in first
        self.separator = separator or (";" if semicolons else ending)
        header = next(csv.reader([first], delimiter=self.separator), [])
        self.columns = list(columns) or header
        if columns and len(columns) != len(header):
            raise UserError(f"{file} has {len(header)} columns, but columns names {len(columns)}; name each")
        twice = {name for name in self.columns if self.columns.count(name) > 1}
        if twice:
            raise UserError(f"{file}, line 1: two columns are named '{min(twice)}'; give one another name")

    def query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> str:
        check_columns(self.name, self.columns, wanted)
        types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in self.columns)
        compression = "gzip" if self.file.suffix == ".gz" else "none"
        return (
            f"SELECT {_selected(wanted)} FROM read_csv({text(str(self.file))}, auto_detect=false, "
            f"header={self.has_header}, delim={text(self.separator)}, quote='\"', escape='\"', columns={{{types}}}, "
            f"store_rejects=true, compression='{compression}')"
        )

    def refused(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
        found = connection.execute(
            "SELECT line, min(error_type), any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line"
        ).fetchall()
        return [(line, _fault(str(kind), str(message))) for line, kind, message in found]

    def places(
        self, numbers: Sequence[int], refused: Sequence[int], shown: int
    ) -> tuple[list[int], list[int]]:
        left_out, wanted, first = set(refused), set(numbers), set(refused[:shown])
        found: tuple[list[int], list[int]] = ([], [])
        with opened(self.file) as stream:
            rows, begin, number = csv.reader(stream, delimiter=self.separator), 1, 0
            for record, row in enumerate(rows, start=1):
                line, begin = begin, rows.line_num + 1
                if record in first:
                    found[1].append(line)
                elif row and record not in left_out and not (record == 1 and self.has_header):
                    number += 1
                    if number in wanted:
                        found[0].append(line)
                if (len(found[0]), len(found[1])) == (len(wanted), len(first)):
                    break
        return found


def _fault(kind: str, message: str) -> str:
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if counts:
        return f"has {counts[2]} columns, but there are {counts[1]}"
    return {"UNQUOTED VALUE": "has a quote that does not end", "INVALID ENCODING": "is not UTF-8 text"}.get(
        kind, f"cannot be read ({kind.lower()})"
    )


class JsonLines(Source):
    """A file with an object a line, perhaps compressed."""

    place = "line"

    def __init__(self, file: Path) -> None:
        self.file, self.name = file, str(file)
        first = _first_line(file)
        try:
            found = json.loads(first)
            self.columns = list(found)
            if not isinstance(found, dict):
                raise TypeError
        except (ValueError, TypeError):
            raise UserError(f"{file}, line 1 is no JSON object; write one a line, as in JSON lines") from None

    def query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> str:
        check_columns(self.name, self.columns, wanted)
        types = ", ".join(f"{text(column)}: 'VARCHAR'" for _, column in wanted.named())
        compression = "gzip" if self.file.suffix == ".gz" else "none"
        return (
            f"SELECT {_selected(wanted)} FROM read_json({text(str(self.file))}, format='newline_delimited', "
            f"columns={{{types}}}, ignore_errors=true, compression='{compression}')"
        )

    def places(
        self, numbers: Sequence[int], refused: Sequence[int], shown: int
    ) -> tuple[list[int], list[int]]:
        with opened(self.file) as stream:
            lines = (line for line, content in enumerate(stream, start=1) if content.strip())
            last = numbers[-1] if numbers else 0
            of_rows = list(itertools.islice(lines, last))
        return [of_rows[number - 1] for number in numbers], []


class ParquetFile(Source):
    """A parquet file."""

    def __init__(self, file: Path) -> None:
        self.file, self.name = file, str(file)

    def query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> str:
        table = f"read_parquet({text(str(self.file))})"
        return _typed(connection, table, self.name, wanted)


class GivenFrame(Source):
    """A frame of pandas or polars; only the wanted columns are looked at."""

    name = "the frame"

    def __init__(self, frame: Frame) -> None:
        self.frame, self.columns = frame, [str(column) for column in frame.columns]

    def query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> str:
        check_columns(self.name, self.columns, wanted)
        columns = {column: _series(self.frame[column]) for _, column in wanted.named()}
        connection.register(FRAME, pd.DataFrame(columns))
        return _typed(connection, FRAME, self.name, wanted)


def _series(column: Any) -> pd.Series:
    """A column as pandas has it; texts and objects as texts, so that duckdb guesses nothing."""
    series = column.reset_index(drop=True) if isinstance(column, pd.Series) else pd.Series(column.to_numpy())
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == object:
        return series.astype(object).map(
            lambda value: value if value is None else str(value), na_action="ignore"
        )
    return series


def source_of(given: Any, separator: str | None = None, columns: Sequence[str] = ()) -> Source:
    """The table that a path or a frame is.

    Raises:
        UserError: there is no such file, or its ending says nothing.
    """
    if not isinstance(given, (str, Path)):
        if not hasattr(given, "columns"):
            raise UserError(
                f"source is a {type(given).__name__}; give a path, or a frame of pandas or polars"
            )
        return GivenFrame(given)
    file = Path(given)
    if not file.is_file():
        raise UserError(f"there is no file {file}; correct its path")
    kind = kind_of(file)
    if kind == ".parquet":
        return ParquetFile(file)
    return JsonLines(file) if kind in JSON_LINES else DelimitedFile(file, separator, columns)


def kind_of(file: Path) -> str:
    """The ending of a file below its compression."""
    kind = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
    if kind not in ENDINGS:
        known = ", ".join(ENDINGS)
        raise UserError(
            f"{file} is of no known kind; end its name in one of {known}, or one of these and .gz"
        )
    return kind


def check_columns(name: str, columns: Sequence[str], wanted: Wanted) -> None:
    """Refuse a table without a wanted column, and one column for two purposes.

    Raises:
        UserError: naming the option and the columns that there are.
    """
    purposes: dict[str, str] = {}
    for option, column in wanted.named():
        if purposes.setdefault(column, option) != option:
            raise UserError(
                f"{purposes[column]} and {option} both name the column '{column}'; correct one of them"
            )
        if column not in columns:
            raise UserError(
                f"{name} has no column '{column}'{hint(column, columns)} (it has {', '.join(columns)}); correct "
                f"{option}"
            )


def _typed(connection: duckdb.DuckDBPyConnection, table: str, name: str, wanted: Wanted) -> str:
    """A SELECT from a table whose columns have types: a time becomes nanoseconds since 1970 as text."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    types = {column: kind for column, kind, *_ in described}
    check_columns(name, list(types), wanted)
    time = identifier(wanted.time)
    if types[wanted.time].startswith(("TIMESTAMP", "DATE")):
        time = f"'ns' || epoch_ns({time})"
    return f"SELECT {_selected(wanted, time)} FROM {table}"


def _selected(wanted: Wanted, time: str | None = None) -> str:
    user, item = identifier(wanted.user), identifier(wanted.item)
    rating = "NULL" if wanted.rating is None else identifier(wanted.rating)
    return (
        f"CAST({user} AS VARCHAR) AS u, CAST({item} AS VARCHAR) AS i, "
        f"CAST({time or identifier(wanted.time)} AS VARCHAR) AS t, CAST({rating} AS VARCHAR) AS r"
    )


def text(value: str) -> str:
    """A text of SQL."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _first_line(file: Path) -> str:
    try:
        with opened(file) as stream:
            first = stream.readline().rstrip("\r\n")
    except UnicodeError:
        raise UserError(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except (OSError, EOFError) as problem:
        raise UserError(f"{file} cannot be read ({problem}); correct the file, or its rights") from None
    if "\0" in first:
        raise UserError(f"{file} is not text, as its first line holds NUL characters; name a text file")
    if not first:
        raise UserError(f"{file} has an empty first line; put its header there")
    return first


def opened(file: Path) -> IO[str]:
    """The text of a file, a byte-order mark left out."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return open(file, encoding="utf-8-sig", newline="")

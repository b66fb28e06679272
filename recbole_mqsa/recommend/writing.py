"""Writes recommendation lists as they come: csv, tsv, jsonl or parquet, by the file's ending."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..runs.atomic import write_whole
from .lists import COLUMNS, Lists

REASONS = ("because", "transitions")
"""The columns that an explanation adds."""
TYPES = {"user_id": "VARCHAR", "item_id": "VARCHAR", "rank": "INTEGER", "score": "DOUBLE"}
"""Those of a parquet file; reasons are JSON text."""

RFC_4180 = "delim=',', quote='\"', escape='\"'"


def check_output(file: Path) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises:
        UserError: an unknown ending, no folder, or a parquet file without duckdb.
    """
    if file.suffix not in FORMATS:
        raise UserError(f"output {file} has no known ending; end it in one of {', '.join(FORMATS)}")
    if file.is_dir():
        raise UserError(f"output {file} is a folder; name a file")
    if not file.parent.is_dir():
        raise UserError(f"there is no folder {file.parent} for output; create it, or name another file")
    if file.suffix == ".parquet" and importlib.util.find_spec("duckdb") is None:
        raise UserError("parquet is written by duckdb; pip install duckdb, or end output in .csv")


def write_lists(file: Path, lists: Iterable[Lists], items: np.ndarray, explained: bool = False) -> int:
    """Write a row for each recommendation, whole or not at all, and never hold more than a batch.

    Args:
        items: [I + 1] the name of each item.
        explained: whether the lists have reasons.

    Returns:
        How many recommendations were written.
    """
    counted = _Counted(lists)
    write = FORMATS[file.suffix]
    try:
        write_whole(file, lambda draft: write(draft, counted, items, explained))
    except OSError as problem:
        raise UserError(
            f"output {file} cannot be written ({problem.strerror}); name another file"
        ) from problem
    return counted.rows


class _Counted:
    """Lists on their way to a file, and how many recommendations they hold."""

    def __init__(self, lists: Iterable[Lists]) -> None:
        self.lists, self.rows = lists, 0

    def __iter__(self) -> Iterator[Lists]:
        for one in self.lists:
            self.rows += int(one.lengths.sum())
            yield one


def _table(separator: str) -> Callable[[Path, Iterable[Lists], np.ndarray, bool], None]:
    def write(draft: Path, lists: Iterable[Lists], items: np.ndarray, explained: bool) -> None:
        names = np.array([_cell(name, separator) for name in items.tolist()], dtype=object)
        with draft.open("w", encoding="utf-8", newline="") as stream:
            stream.write(separator.join([*COLUMNS, *(REASONS if explained else ())]) + "\n")
            for batch in lists:
                stream.write(_rows(batch, names, separator))

    return write


def _rows(batch: Lists, names: np.ndarray, separator: str) -> str:
    """The rows of a batch, formatted by one template, as a csv writer's rows take four times as long.

    Args:
        names: [I + 1] objects: the name of each item, quoted.
    """
    row, place = np.nonzero(batch.items > 0)
    users = np.array([_cell(name, separator) for name in batch.names], dtype=object)
    columns = [users[row], names[batch.items[row, place]], place + 1, batch.scores[row, place]]
    kinds = ["%s", "%s", "%d", _number_format(batch.scores)]
    if batch.reasons is not None:
        whys = [why for own, length in zip(batch.reasons, batch.lengths.tolist()) for why in own[:length]]
        columns += [np.array([_cell(_json(why[key]), separator) for why in whys], object) for key in REASONS]
        kinds += ["%s"] * len(REASONS)
    values: list[object] = [None] * (len(columns) * len(row))
    for number, column in enumerate(columns):
        values[number :: len(columns)] = column.tolist()
    return ((separator.join(kinds) + "\n") * len(row)) % tuple(values)


def _json_lines(draft: Path, lists: Iterable[Lists], items: np.ndarray, explained: bool) -> None:
    names = [_json(name) for name in items.tolist()]
    with draft.open("w", encoding="utf-8") as stream:
        for batch in lists:
            for row, (name, length) in enumerate(zip(batch.names, batch.lengths.tolist())):
                user, scores = _json(name), _numbers(batch.scores[row, :length])
                for place, (item, score) in enumerate(zip(batch.items[row, :length].tolist(), scores)):
                    more = "" if batch.reasons is None else f", {_json(batch.reasons[row][place])[1:-1]}"
                    stream.write(
                        f'{{"user_id": {user}, "item_id": {names[item]}, "rank": {place + 1}, '
                        f'"score": {score}{more}}}\n'
                    )


def _parquet(draft: Path, lists: Iterable[Lists], items: np.ndarray, explained: bool) -> None:
    """By way of a text file beside it, so that no more than a batch is in memory."""
    import duckdb

    types = {**TYPES, **(dict.fromkeys(REASONS, "VARCHAR") if explained else {})}
    text = draft.with_name(f"{draft.name}.csv")
    try:
        _table(",")(text, lists, items, explained)
        columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"
        source = f"read_csv({_sql(text)}, header=true, auto_detect=false, columns={columns}, {RFC_4180})"
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM {source}) TO {_sql(draft)} (FORMAT parquet, COMPRESSION zstd)")
    finally:
        text.unlink(missing_ok=True)


FORMATS: dict[str, Callable[[Path, Iterable[Lists], np.ndarray, bool], None]] = {
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
"""How each ending is written."""


def _number_format(scores: np.ndarray) -> str:
    """What gives the shortest texts that read as the same float32; of float64 all digits."""
    return "%.9g" if scores.dtype == np.float32 else "%r"


def _numbers(scores: np.ndarray) -> list[str]:
    form = _number_format(scores)
    return [form % score for score in scores.tolist()]


def _sql(path: Path) -> str:
    """A path as a text of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str, separator: str) -> str:
    """A text as RFC 4180 has it in a table: quoted where it holds a separator, a quote or a line end."""
    if separator in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text

"""The files that say who and what: names of users or items, and people's sequences."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import UserError

TABLES = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
USER, ITEM, ITEMS = "user_id", "item_id", "items"
"""The columns of a table of sequences, and what a line of JSON has in place of the second."""


def read_names(file: Path) -> list[str]:
    """The names in a text file, one a line; blank lines count for nothing.

    Raises:
        UserError: there is none, or the file cannot be read.
    """
    names = [line.rstrip("\r\n") for _, line in _lines(file)]
    names = [name for name in names if name.strip()]
    if not names:
        raise UserError(f"{file} names nothing; write one name a line")
    return names


def read_sequences(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and item names, oldest first, of each person in a file; it is read as it is asked for.

    A csv or tsv file has the columns ``user_id`` and ``item_id`` and a row for each action, a person's rows one below
    the other. A line of a jsonl file is ``{"user_id": "ann", "items": ["a", "b"]}``.

    Raises:
        UserError: another ending, a line that is none of this, or a person who comes twice.
    """
    kind = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
    if kind in TABLES:
        people = _of_table(file, TABLES[kind])
    elif kind in JSON_LINES:
        people = _of_json(file)
    else:
        known = ", ".join([*TABLES, *JSON_LINES])
        raise UserError(
            f"{file} holds sequences in no known form; end its name in one of {known}, or one of these and .gz"
        )
    return _once_each(file, people)


def _once_each(file: Path, people: Iterator[tuple[int, str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    met: set[str] = set()
    for number, name, items in people:
        if name in met:
            raise UserError(
                f"{file}, line {number}: user '{name}' has come before; put all items of one together"
            )
        met.add(name)
        yield name, items


def _of_table(file: Path, separator: str) -> Iterator[tuple[int, str, list[str]]]:
    texts = (text for _, text in _lines(file))
    rows = csv.reader(texts, delimiter=separator)
    header = next(rows, [])
    for column in (USER, ITEM):
        if column not in header:
            raise UserError(
                f"{file}, line 1: no column '{column}' (it has {', '.join(header) or 'nothing'}); name the columns "
                f"{USER} and {ITEM}"
            )
    user, item = header.index(USER), header.index(ITEM)

    def actions() -> Iterator[tuple[int, str, str]]:
        for row in rows:
            if row and len(row) != len(header):
                raise UserError(
                    f"{file}, line {rows.line_num}: {len(row)} columns, but the header has {len(header)}; correct it"
                )
            if row:
                yield rows.line_num, row[user], row[item]

    for name, own in itertools.groupby(actions(), key=lambda action: action[1]):
        listed = list(own)
        yield listed[0][0], name, [action[2] for action in listed]


def _of_json(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in _lines(file):
        if not line.strip():
            continue
        try:
            person = json.loads(line)
            items = person[ITEMS]
            if not isinstance(items, list):
                raise TypeError
            yield number, str(person[USER]), [str(item) for item in items]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f'{file}, line {number} is no {{"{USER}": "ann", "{ITEMS}": ["a", "b"]}}; correct it'
            ) from None


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line."""
    try:
        with _opened(file) as lines:
            yield from enumerate(lines, start=1)
    except UnicodeError:
        raise UserError(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except (OSError, EOFError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise UserError(f"{file} cannot be read ({why}); correct its path, or the file") from None


def _opened(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return open(file, encoding="utf-8-sig", newline="")

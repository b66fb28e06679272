"""Checks data files: a bad one is refused in one sentence that names file, line and column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import UserError
from .atomic_file import AtomicFile, bad_value, shown

GZIP = b"\x1f\x8b"
KINDS = ("token", "token_seq", "float", "float_seq")
"""The types that a column may have."""
ID_FIELDS = {
    "inter": {"USER_ID_FIELD": "token", "ITEM_ID_FIELD": "token", "TIME_FIELD": "float"},
    "user": {"USER_ID_FIELD": "token"},
    "item": {"ITEM_ID_FIELD": "token"},
}
"""The columns that a file of each kind has to have, by the setting that names them."""


def inter_file(folder: str, name: str) -> Path:
    """The file of a data set's actions."""
    return Path(folder) / f"{name}.inter"


def atomic_file(config: Any, path: Path) -> AtomicFile:
    """A file as the settings say that it is written.

    Raises:
        UserError: a separator or an encoding that is none.
    """
    for key in ("field_separator", "seq_separator"):
        if not isinstance(config[key], str) or not config[key] or set(config[key]) & set("\r\n"):
            raise UserError(
                f"{key} is {config[key]!r}; it has to be what stands between two values of a line"
            )
    encoding = str(config["encoding"] or "utf-8")
    try:
        "a".encode(encoding)
    except (LookupError, ValueError):
        raise UserError(f"encoding is {encoding!r}; it has to be one that Python knows, as 'utf-8'") from None
    return AtomicFile(path, config["field_separator"], encoding)


@contextmanager
def told_of(file: AtomicFile) -> Iterator[None]:
    """Turns what goes wrong while a file is read as text into a sentence.

    Raises:
        UserError: the encoding is another, or the file cannot be opened.
    """
    try:
        yield
    except UnicodeError as problem:
        raise UserError(
            f"{file.path} is not {file.encoding} text; set encoding to what it is{_where(file)}"
        ) from problem
    except OSError as problem:
        raise UserError(
            f"{file.path} cannot be read ({problem.strerror}); correct its path or its rights"
        ) from problem


def _where(file: AtomicFile) -> str:
    """The first line that is not in the encoding, where lines can be told without it."""
    if file.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return ""
    with open(file.path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not _is_text(line, file.encoding):
                return f", or correct line {number}"
    return ""


def _is_text(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeError:
        return False
    return True


def check_there(folder: str, name: str) -> None:
    """Refuses a missing file.

    Raises:
        UserError: naming it.
    """
    path = inter_file(folder, name)
    if not path.is_file():
        raise UserError(f"no data file {path}; put the actions there or correct data_path and dataset")


def columns_of(file: AtomicFile) -> dict[str, str]:
    """Name and type of each column of a file.

    Raises:
        UserError: no header, or a bad one.
    """
    with told_of(file):
        with file.path.open("rb") as stream:
            start = stream.read(2)
        if start == GZIP:
            raise UserError(f"{file.path} is compressed; unpack it, as by gunzip")
        if not start:
            raise UserError(f"{file.path} is empty; put a header and the data there")
        header = file.header()
    if any("\0" in name for name in header):
        raise UserError(
            f"{file.path}, line 1 holds NUL characters, so it is no text; replace it, or set encoding to what it is"
        )
    if header[0].startswith("\ufeff"):
        raise UserError(
            f"{file.path} begins with a byte-order mark; save it without, or set encoding to utf-8-sig"
        )
    return _columns(file, header)


def _columns(file: AtomicFile, header: list[str]) -> dict[str, str]:
    for column in header:
        field, colon, kind = column.partition(":")
        if not field or not colon or ":" in kind:
            raise UserError(
                f"{file.path}, line 1: column {shown(column)} is not of the form name:type (such as user_id:token); "
                f"the separator is {file.separator!r} (field_separator)"
            )
        if kind not in KINDS:
            remedy = "drop the blanks" if kind.strip() in KINDS else "correct it"
            raise UserError(
                f"{file.path}, line 1: column {shown(column)} has a type that is none of {', '.join(KINDS)}; {remedy}"
            )
    names = [column.partition(":")[0] for column in header]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UserError(
                f"{file.path}, line 1: two columns are named {shown(name)}; give one another name"
            )
    return dict(zip(names, (column.partition(":")[2] for column in header)))


def check_needed(config: Any, source: str, file: AtomicFile, columns: dict[str, str], loaded: Any) -> None:
    """Refuses a file whose users, items or times are missing, of another type or not loaded.

    Args:
        source: 'inter', 'user' or 'item'.
        columns: name and type of all its columns.
        loaded: the names of those that are loaded.

    Raises:
        UserError: naming file, column and setting.
    """
    for setting, wanted in ID_FIELDS.get(source, {}).items():
        column = config[setting]
        if column not in columns:
            raise UserError(
                f"{file.path}, line 1: no column '{column}:{wanted}' (it has {', '.join(columns)}); "
                f"add it or set {setting}"
            )
        if columns[column] != wanted:
            raise UserError(
                f"{file.path}, line 1: column '{column}' is of type {columns[column]}, "
                f"but {setting} has to be {wanted}"
            )
        if column not in loaded:
            raise UserError(
                f"column '{column}' of {file.path} is not loaded; add it to load_col['{source}'], "
                f"or drop it from unload_col['{source}']"
            )


def check_actions(folder: str, name: str, actions: pd.DataFrame) -> None:
    """Refuses a file without actions.

    Raises:
        UserError: naming file.
    """
    if not len(actions):
        raise UserError(f"{inter_file(folder, name)} holds a header but no action; add some")


def check_ids(config: Any, source: str, file: AtomicFile, table: pd.DataFrame) -> None:
    """Refuses a missing id.

    Raises:
        UserError: naming file and line.
    """
    for setting, kind in ID_FIELDS.get(source, {}).items():
        field = config[setting]
        if kind == "token" and table[field].isna().any():
            raise bad_value(file, f"{field}:token", bool, "is no id; name it, or drop the line")

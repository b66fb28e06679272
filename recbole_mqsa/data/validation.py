"""Checks data files: a bad one is refused in one sentence that names file, line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import pandas as pd

from ..errors import UserError
from ..interfaces import Settings
from .fast_csv import look


def inter_file(folder: str, name: str) -> Path:
    """The file of a data set's actions."""
    return Path(folder) / f"{name}.inter"


def _header(path: Path, config: Settings) -> list[list[str]]:
    with open(path, encoding=config["encoding"]) as lines:
        return [
            field.split(":") for field in lines.readline().rstrip("\r\n").split(config["field_separator"])
        ]


def check_files(config: Settings, folder: str, name: str) -> bool:
    """Refuse a missing file, a header without user, item and time, and lines that do not fit it.

    Returns:
        whether the file is simple (see :mod:`.fast_csv`).

    Raises:
        UserError: naming file and line or column.
    """
    path = inter_file(folder, name)
    if not path.is_file():
        raise UserError(f"no data file {path}; put the actions there or correct data_path and dataset")
    columns = _header(path, config)
    _check_header(config, path, columns)
    _check_fields(config, path, dict(columns))
    lines = look(path, config["field_separator"], len(columns), config["encoding"])
    # RecBole would take the first column for row names, or drop the last.
    if lines.first_overfull is not None:
        raise UserError(
            f"{path}, line {lines.first_overfull}: more than the {len(columns)} columns of the header; "
            "remove the others"
        )
    if lines.count < 2:
        raise UserError(f"{path} holds a header but no action; add some actions")
    return lines.simple


def _check_header(config: Settings, path: Path, columns: list[list[str]]) -> None:
    if columns[0][0].startswith("\ufeff"):
        raise UserError(
            f"{path} begins with a byte-order mark; save it without one, or set encoding to utf-8-sig"
        )
    wrong = [field for field in columns if len(field) != 2]
    if wrong:
        raise UserError(
            f"{path}, line 1: column '{':'.join(wrong[0])}' is not of the form name:type (such as user_id:token); "
            f"the separator is {config['field_separator']!r} (field_separator)"
        )
    if len(dict(columns)) < len(columns):
        raise UserError(
            f"{path}, line 1: two columns with the same name among {', '.join(name for name, _ in columns)}; "
            "rename one"
        )


def _check_fields(config: Settings, path: Path, types: dict[str, str]) -> None:
    """Refuse a file without users, items and times, or with columns of other types for them."""
    loaded = "*" if config["load_col"] is None else config["load_col"].get("inter", [])
    for setting, wanted in (("USER_ID_FIELD", "token"), ("ITEM_ID_FIELD", "token"), ("TIME_FIELD", "float")):
        column = config[setting]
        if column not in types:
            raise UserError(
                f"{path}, line 1: no column '{column}:{wanted}' (it has {', '.join(types)}); add it or set {setting}"
            )
        if types[column] != wanted:
            raise UserError(
                f"{path}, line 1: column '{column}' is of type {types[column]}, but {setting} has to be {wanted}"
            )
        if loaded != "*" and column not in loaded:
            raise UserError(
                f"load_col does not read column '{column}' of {path}; add it to load_col['inter']"
            )


@contextmanager
def check_loaded(config: Settings, folder: str, name: str) -> Iterator[None]:
    """Turn pandas' errors while reading into a sentence that names the line.

    Raises:
        UserError: text in place of a number, a line with too many columns, or a wrong encoding.
    """
    path = inter_file(folder, name)
    try:
        yield
    except UserError:
        raise
    except (UnicodeError, LookupError) as problem:
        raise UserError(
            f"{path} is not {config['encoding'] or 'utf-8'} text; set encoding to that of the file"
        ) from problem
    except pd.errors.ParserError as problem:
        raise UserError(f"{path} cannot be read as a table: {problem}; correct that line") from problem
    except ValueError as problem:
        wanted = (config["load_col"] or {}).get("inter", "*")
        where = _first_line(path, config, wanted, lambda text: text.strip() != "" and not _is_number(text))
        if where is None:
            raise
        line, column, text = where
        raise UserError(
            f"{path}, line {line}: {column} is '{text}', which is not a number; correct that line"
        ) from problem


def check_actions(config: Settings, folder: str, name: str, actions: pd.DataFrame) -> None:
    """Refuse actions without a time, to which RecBole would give the mean of all times.

    Raises:
        UserError: naming file and line.
    """
    time = actions[config["TIME_FIELD"]]
    if not (time.abs() < math.inf).all():
        where = _first_line(
            inter_file(folder, name),
            config,
            [config["TIME_FIELD"]],
            lambda text: not (_is_number(text) and math.isfinite(float(text))),
        )
        line, column, text = where or (0, config["TIME_FIELD"], "nan")
        raise UserError(
            f"{inter_file(folder, name)}, line {line}: {column} is '{text}', which is not a time; "
            "correct or remove that line"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_line(
    path: Path, config: Settings, wanted: str | list[str], is_bad: Callable[[str], bool]
) -> tuple[int, str, str] | None:
    """Line number, column and text of the first bad number in the columns ``wanted`` ('*': all); slow."""
    columns = _header(path, config)
    with open(path, encoding=config["encoding"]) as lines:
        for number, line in enumerate(lines, start=1):
            values = line.rstrip("\r\n").split(config["field_separator"])
            if number == 1 or values == [""]:
                continue
            values += [""] * (len(columns) - len(values))
            for (column, kind), text in zip(columns, values):
                if kind == "float" and (wanted == "*" or column in wanted) and is_bad(text):
                    return number, column, text
    return None

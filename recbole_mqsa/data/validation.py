"""Bad data files, told in one sentence that names file, line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import pandas as pd

from ..errors import UserError
from .fast_csv import look


def inter_file(folder: str, name: str) -> Path:
    """The file of a data set's actions."""
    return Path(folder) / f"{name}.inter"


def _header(path: Path, config: Any) -> list[list[str]]:
    with open(path, encoding=config["encoding"]) as lines:
        return [
            field.split(":") for field in lines.readline().rstrip("\r\n").split(config["field_separator"])
        ]


def check_files(config: Any, folder: str, name: str) -> bool:
    """Refuses a missing file and a header without user, item and time, before RecBole reads it.

    Returns:
        whether the file is plain (see ``plain_file``).

    Raises:
        UserError: naming file and column.
    """
    path = inter_file(folder, name)
    if not path.is_file():
        raise UserError(f"no data file {path}; put the actions there or correct data_path and dataset")
    columns = _header(path, config)
    if columns[0][0].startswith("\ufeff"):
        raise UserError(
            f"{path} begins with a byte-order mark; save it without, or set encoding to utf-8-sig"
        )
    wrong = [field for field in columns if len(field) != 2]
    if wrong:
        raise UserError(
            f"{path}, line 1: column '{':'.join(wrong[0])}' is not of the form name:type (such as user_id:token); "
            f"the separator is {config['field_separator']!r} (field_separator)"
        )
    types = dict(columns)
    if len(types) < len(columns):
        raise UserError(
            f"{path}, line 1: two columns of one name among {', '.join(name for name, _ in columns)}"
        )
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
    lines = look(path, config["field_separator"], len(columns), config["encoding"])
    if lines.first_overfull is not None:  # RecBole takes the first column for row names, or drops the last
        raise UserError(
            f"{path}, line {lines.first_overfull}: more than the {len(columns)} columns of the header; "
            "drop the rest"
        )
    if lines.count < 2:
        raise UserError(f"{path} holds a header but no action; add some")
    return lines.plain


@contextmanager
def check_loaded(config: Any, folder: str, name: str) -> Iterator[None]:
    """Turns pandas' failures while reading into a sentence that names the line.

    Raises:
        UserError: text where a number belongs, a line with too many columns, a wrong encoding.
    """
    path = inter_file(folder, name)
    try:
        yield
    except UserError:
        raise
    except (UnicodeError, LookupError) as problem:
        raise UserError(
            f"{path} is not {config['encoding'] or 'utf-8'} text; set encoding to what it is"
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
            f"{path}, line {line}: {column} is '{text}', which is no number; correct that line"
        ) from problem


def check_actions(config: Any, folder: str, name: str, actions: pd.DataFrame) -> None:
    """Refuses actions without a time: RecBole would give them the mean of all times.

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
            f"{inter_file(folder, name)}, line {line}: {column} is '{text}', which is no time; correct or drop it"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_line(
    path: Path, config: Any, wanted: str | list[str], is_bad: Callable[[str], bool]
) -> tuple[int, str, str] | None:
    """Line number, column and text of the first bad number in the columns ``wanted`` ('*' for all); slow."""
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

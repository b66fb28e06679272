"""Reads RecBole's atomic files as they stand: every line a row, every id its text, every time exact.

RecBole reads them with pandas' defaults, under which an id named NA is missing, a quote swallows lines and a whole
number above 2^53 loses digits. Here a line is split at the separator and nothing else. pandas' C parser does it
where it does the same; other files are read line by line.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from ..errors import UserError
from .times import EXACT, NotATime, exact_times
from .tokens import factorize

BLOCK = 1 << 24
"""Bytes that are scanned at a time."""
ENCODINGS = ("utf-8", "ascii", "iso8859-1")
"""Those in which a byte below 128 is always the character of that number."""
SHOWN = 60
"""Characters of a value that a message repeats."""
TRUTH = {"true": 1.0, "false": 0.0}
"""What pandas takes for numbers, too."""


@dataclass(frozen=True)
class AtomicFile:
    """One file: where it is and how its lines are written.

    Args:
        path: the file.
        separator: between the columns of a line.
        encoding: of its text.
    """

    path: Path
    separator: str
    encoding: str = "utf-8"

    def header(self) -> list[str]:
        """The names of its columns, types included, as in ``user_id:token``."""
        with self.open() as lines:
            return lines.readline().rstrip("\n").split(self.separator)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and values of each line below the header that is not blank."""
        with self.open() as lines:
            for number, line in enumerate(lines, start=1):
                text = line.rstrip("\n")
                if number > 1 and text:
                    yield number, text.split(self.separator)

    def open(self) -> IO[str]:
        """Its text; a carriage return ends a line, with or without a line feed."""
        return open(self.path, encoding=self.encoding)


@dataclass(frozen=True)
class Lines:
    """What a scan of every line finds.

    Attributes:
        count: lines, the header and blank ones included.
        blank: lines without a character.
        regular: whether pandas' C parser splits the lines as they stand.
    """

    count: int
    blank: int
    regular: bool

    @property
    def rows(self) -> int:
        """Lines that hold a row."""
        return self.count - self.blank - 1


def scan(file: AtomicFile, n_columns: int, block: int = BLOCK) -> Lines:
    """Count the lines of a file and the columns of each.

    Args:
        n_columns: of the header, which every line has to have.
        block: bytes that are looked at in one go.

    Raises:
        UserError: a line with more or fewer columns.
        UnicodeError: the file is not in its encoding.
    """
    known = codecs.lookup(file.encoding).name in ENCODINGS
    if known and len(file.separator) == 1 and file.separator.isascii():
        lines = _scan_bytes(file, n_columns, block)
        if lines is not None:
            return lines
    rows = 0
    with file.open() as text:
        count = sum(1 for _ in text)
    for number, values in file.rows():
        _check_columns(file, number, len(values), n_columns)
        rows += 1
    return Lines(count, count - 1 - rows, regular=False)


def _scan_bytes(file: AtomicFile, n_columns: int, size: int) -> Lines | None:
    """The same block by block; None where a carriage return alone ends a line."""
    count = blank = 0
    regular = not file.separator.isspace() or file.separator == "\t"
    with open(file.path, "rb") as stream:
        while block := stream.read(size):
            block += stream.readline()
            block += b"" if block.endswith(b"\n") else b"\n"
            block.decode(file.encoding)  # raises where it is another
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            text = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(text == ord("\n"))
            starts = np.concatenate(([0], ends[:-1] + 1))
            separators = np.searchsorted(np.flatnonzero(text == ord(file.separator)), ends)
            columns = 1 + np.diff(separators, prepend=0)
            first = text[starts]
            empty = (first == ord("\n")) | ((first == ord("\r")) & (ends - starts == 1))
            wrong = (columns != n_columns) & ~empty
            if wrong.any():
                place = int(wrong.argmax())
                _check_columns(file, count + 1 + place, int(columns[place]), n_columns)
            # The C parser looks for lines of blanks, and goes back where there is more on a line.
            indented = (first == ord(" ")) | ((first == ord("\t")) & (file.separator != "\t"))
            regular &= not indented.any() and b"\0" not in block
            count += len(ends)
            blank += int(empty.sum())
    return Lines(count, blank, regular)


def _check_columns(file: AtomicFile, number: int, found: int, expected: int) -> None:
    if found != expected:
        raise UserError(
            f"{file.path}, line {number}: {found} {'column' if found == 1 else 'columns'} where the header has "
            f"{expected}; correct that line (the separator is {file.separator!r}, field_separator)"
        )


def read_columns(
    file: AtomicFile, kinds: Mapping[str, str], lines: Lines, time: str | None = None
) -> pd.DataFrame:
    """Some columns of a file, one row a line that is not blank.

    Args:
        kinds: 'token', 'float', 'token_seq' or 'float_seq' for each column to read, under its name in the header.
        lines: what :func:`scan` says of the file.
        time: the column that holds times, none of which may be missing (see :func:`.times.exact_times`).

    Returns:
        Tokens as categories, floats and times as numbers, sequences as text. An empty value is a missing one.

    Raises:
        UserError: text where a number or a time belongs, with its line.
    """
    for kind_of_time in _kinds_of_time(file, time) if lines.regular else ():
        table = _parsed(file, kinds, {time: kind_of_time} if time else {})
        if table is not None and len(table) == lines.rows and _is_exact(file, table, time):
            return _with_exact_times(file, table, time)
    return _with_exact_times(file, _line_by_line(file, kinds, time), time)


def _kinds_of_time(file: AtomicFile, time: str | None) -> Sequence[str]:
    """What to read times as, one after the other until it serves, by the look of the first."""
    kinds = ("int64", "float64", "category")
    if time is None:
        return kinds[:1]
    text = first_value(file, time)
    return kinds if _is(int, text) else kinds[1:] if _is(float, text) else kinds[2:]


def first_value(file: AtomicFile, name: str) -> str:
    """The first value of a column; '' if there is none."""
    place = file.header().index(name)
    return next((values[place] for _, values in file.rows()), "")


def _is(kind: Callable[[str], Any], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _parsed(file: AtomicFile, kinds: Mapping[str, str], known: Mapping[str, str]) -> pd.DataFrame | None:
    """pandas' C parser's table; None where a number is none."""
    types = {"float": "float64", "token": "category"}
    dtypes = {name: known.get(name) or types.get(kind, "str") for name, kind in kinds.items()}
    missing: dict[Any, list[str]] = {
        name: [""] for name, kind in dtypes.items() if kind not in ("int64", "str")
    }
    try:
        with np.errstate(invalid="ignore"):  # of 'inf' among whole numbers, which is refused next
            return pd.read_csv(
                file.path,
                sep=file.separator,
                usecols=list(kinds),
                dtype=dtypes,
                encoding=file.encoding,
                engine="c",
                low_memory=False,  # else the categories of each 256 KB are merged one after another
                quoting=csv.QUOTE_NONE,
                keep_default_na=False,
                na_values=missing,
                float_precision="round_trip",
                index_col=False,
            )[list(kinds)]
    except (ValueError, OverflowError):
        return None


def _is_exact(file: AtomicFile, table: pd.DataFrame, time: str | None) -> bool:
    """Whether no two different times were read as one number."""
    if time is None or isinstance(table[time].dtype, pd.CategoricalDtype):
        return True
    times = table[time].to_numpy()
    if ((times > -EXACT) & (times < EXACT)).all():
        return True
    # One 5.0 in the column, and pandas reads whole numbers as floats, too, and makes them whole again.
    with np.errstate(invalid="ignore"):  # 2^63 - 1 becomes 2^63, which is too large
        as_floats = times.dtype == np.int64 and bool(
            (times == times.astype(np.float64).astype(np.int64)).all()
        )
    return times.dtype == np.int64 and (not as_floats or _are_whole(file, time))


def _are_whole(file: AtomicFile, name: str) -> bool:
    place = file.header().index(name)
    return all(_is(int, values[place]) for _, values in file.rows())


def _line_by_line(file: AtomicFile, kinds: Mapping[str, str], time: str | None) -> pd.DataFrame:
    places = {name: place for place, name in enumerate(file.header()) if name in kinds}
    texts: dict[str, list[str]] = {name: [] for name in kinds}
    for _, values in file.rows():
        for name, place in places.items():
            texts[name].append(values[place])
    return pd.DataFrame({name: _column(file, name, kinds[name], texts[name], time) for name in kinds})


def _column(file: AtomicFile, name: str, kind: str, texts: list[str], time: str | None) -> Any:
    if kind == "float" and name != time:
        try:
            return np.array([number_of(text) for text in texts])
        except ValueError:
            raise bad_value(file, name, lambda text: _is(number_of, text), "is not a number") from None
    if kind.endswith("_seq"):
        return pd.Series(texts, dtype="object")
    codes, tokens = factorize(texts)
    return pd.Categorical.from_codes(codes, categories=pd.Index(tokens, dtype="object"))


def number_of(text: str) -> float:
    """The number in a cell, NaN if it is empty."""
    truth = TRUTH.get(text.lower())
    return float(text or "nan") if truth is None else truth


def _with_exact_times(file: AtomicFile, table: pd.DataFrame, time: str | None) -> pd.DataFrame:
    """The table with its times as numbers, wherever they were read as text."""
    if time is None or not isinstance(table[time].dtype, pd.CategoricalDtype):
        return table
    codes, appeared = pd.factorize(table[time].cat.codes.to_numpy())
    texts = [str(table[time].cat.categories[code]) if code >= 0 else "" for code in appeared]
    try:
        table[time] = exact_times(texts)[codes]
    except NotATime as problem:
        raise bad_value(file, time, problem.text.__ne__, problem.fault) from problem
    return table


def bad_value(file: AtomicFile, name: str, is_good: Callable[[str], bool], fault: str) -> UserError:
    """The error that tells of the first bad value in a column; slow.

    Args:
        name: of the column in the header, as in ``rating:float``.
        is_good: whether a value is not the one to tell of.
        fault: what is wrong with it, and what to do.
    """
    place = file.header().index(name)
    for number, values in file.rows():
        if not is_good(values[place]):
            field, text = name.rpartition(":")[0], values[place]
            return UserError(f"{file.path}, line {number}: {field} is {shown(text)}, which {fault}")
    return UserError(f"{file.path}: a value of {name} {fault}")


def shown(text: str) -> str:
    """A text in quotes, cut if it is long; what is not seen of it is spelled out."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")

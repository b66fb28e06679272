"""Reading a large file of actions in its fast way, where the result is what RecBole's own reading gives.

RecBole reads with pandas' Python parser: a list a line, a string a cell. Where a file is *plain* (nothing
quoted, every line with all columns) pandas' C parser yields the same table, and tokens as categories: one string
for each different token. A file that is not plain is left to RecBole.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BLOCK = 1 << 24
"""Bytes that are looked at in one go."""

ENCODINGS = ("utf-8", "ascii", "iso8859-1")
"""Those in which a byte below 128 is always the character of that number."""

EXACT = 2.0**53
"""Below it both parsers read a whole number exactly; above, only the Python parser does."""

_PADDED = re.compile(rb"0\d{17}")
"""More digits than the C parser looks at, of a number that may be small; one token is as good as another."""


@dataclass(frozen=True)
class Lines:
    """What a look at every line of a file finds.

    Attributes:
        count: lines, the header included.
        first_overfull: number (from 1) of the first line with more columns than the header, or None.
        plain: whether :func:`read_plain` reads the file as RecBole does.
    """

    count: int
    first_overfull: int | None
    plain: bool


def look(path: Path, separator: str, n_columns: int, encoding: str | None) -> Lines:
    """Counts lines and their columns.

    Raises:
        UnicodeError, LookupError: the file is not in this encoding, or there is none of this name.
    """
    if len(separator) == 1 and separator.isascii() and codecs.lookup(encoding or "utf-8").name in ENCODINGS:
        lines = _look_at_bytes(path, separator, n_columns, encoding or "utf-8")
        if lines is not None:
            return lines
    number, first_overfull = 0, None
    with open(path, encoding=encoding) as text:
        for number, line in enumerate(text, start=1):
            if line.count(separator) >= n_columns:
                first_overfull = number
                break
    return Lines(number, first_overfull, plain=False)


def _look_at_bytes(path: Path, separator: str, n_columns: int, encoding: str) -> Lines | None:
    """The same, block by block; None where a carriage return alone ends a line."""
    number, plain = 0, not separator.isspace() or separator == "\t"
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            block += file.readline()
            block += b"" if block.endswith(b"\n") else b"\n"
            block.decode(encoding)  # raises where it is another
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            text = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(text == ord("\n"))
            starts = np.concatenate(([0], ends[:-1] + 1))
            separators = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
            columns = 1 + np.diff(separators, prepend=0)
            overfull = columns > n_columns
            if overfull.any():
                return Lines(0, number + 1 + int(overfull.argmax()), plain=False)
            number += len(ends)
            first = text[starts]
            blank = (first == ord("\n")) | ((first == ord("\r")) & (ends - starts == 1))
            # The C parser looks for lines of blanks, and goes back where there is more on a line.
            indented = (first == ord(" ")) | ((first == ord("\t")) & (separator != "\t"))
            plain &= bool(((columns == n_columns) | blank).all() and not indented.any())
            plain &= b'"' not in block and b"\0" not in block and not _PADDED.search(block)
    return Lines(number, None, plain)


def read_plain(
    path: Path | str, separator: str, kinds: Mapping[str, str], encoding: str | None
) -> pd.DataFrame | None:
    """The columns ``kinds`` of a plain file, tokens as categories; None where RecBole has to read it.

    Args:
        kinds: 'token' or 'float' for each column to read, under its full name (``user_id:token``).
    """
    types: dict[str, Any] = {name: float if kind == "float" else "category" for name, kind in kinds.items()}
    try:
        table = pd.read_csv(
            path,
            delimiter=separator,
            usecols=list(types),
            dtype=types,
            encoding=encoding,
            engine="c",
            low_memory=False,  # else the categories of each 256 KB are merged one after another
        )
    except ValueError:  # text where a number belongs, or a number as only the Python parser reads it
        return None
    for name, kind in kinds.items():
        if kind == "float" and (table[name].abs() >= EXACT).any():
            return None
    return table

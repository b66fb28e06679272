"""Reads a large file of actions fast, where the result is the same as RecBole's.

RecBole reads with pandas' Python parser, which makes a list per line and a string per value. For a *simple* file
(nothing quoted, every line with all columns) pandas' C parser yields the same table, with tokens as categories: one
string per different token. Any other file is left to RecBole.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

BLOCK = 1 << 24
"""Bytes to look at in one go."""

ENCODINGS = ("utf-8", "ascii", "iso8859-1")
"""Encodings in which a byte below 128 always stands for the character of that number."""

EXACT = 2.0**53
"""Both parsers read whole numbers below this exactly; above, only the Python parser does."""

_PADDED = re.compile(rb"0\d{17}")
"""A number with more digits than the C parser reads, though its leading zeros may make it small. A token that
looks like one does no harm: the file is only not read fast."""


@dataclass(frozen=True)
class Lines:
    """What :func:`look` finds in a file.

    Attributes:
        count: number of lines, with the header.
        first_overfull: number (from 1) of the first line with more columns than the header, or None.
        simple: whether :func:`read_simple` reads the file as RecBole does.
    """

    count: int
    first_overfull: int | None
    simple: bool


def look(path: Path, separator: str, n_columns: int, encoding: str | None, block_size: int = BLOCK) -> Lines:
    """Count the lines and their columns.

    Args:
        block_size: bytes to look at in one go.

    Raises:
        UnicodeError, LookupError: the file is not in this encoding, or no encoding has this name.
    """
    if len(separator) == 1 and separator.isascii() and codecs.lookup(encoding or "utf-8").name in ENCODINGS:
        lines = _look_at_bytes(path, separator, n_columns, encoding or "utf-8", block_size)
        if lines is not None:
            return lines
    number, first_overfull = 0, None
    with open(path, encoding=encoding) as text:
        for number, line in enumerate(text, start=1):
            if line.count(separator) >= n_columns:
                first_overfull = number
                break
    return Lines(number, first_overfull, simple=False)


def _look_at_bytes(
    path: Path, separator: str, n_columns: int, encoding: str, block_size: int
) -> Lines | None:
    """Count block by block; None if a carriage return alone ends a line."""
    number, simple = 0, not separator.isspace() or separator == "\t"
    with open(path, "rb") as file:
        while block := file.read(block_size):
            block += file.readline()
            block += b"" if block.endswith(b"\n") else b"\n"
            block.decode(encoding)  # raises if the encoding is another
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            text = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(text == ord("\n"))
            starts = np.concatenate(([0], ends[:-1] + 1))
            separators = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
            columns = 1 + np.diff(separators, prepend=0)
            overfull = columns > n_columns
            if overfull.any():
                return Lines(0, number + 1 + int(overfull.argmax()), simple=False)
            number += len(ends)
            first, lengths = text[starts], ends - starts
            blank = (first == ord("\n")) | ((first == ord("\r")) & (lengths == 1))
            simple &= bool(((columns == n_columns) | blank).all())
            simple &= not _has_exceptions(block, first, separator)
    return Lines(number, None, simple)


def _has_exceptions(block: bytes, first: np.ndarray, separator: str) -> bool:
    """Whether a block holds something that pandas' two parsers may read differently.

    Args:
        first: the first byte of each line.
    """
    # The C parser mistakes an indented line for a blank one, and then goes back.
    indented = (first == ord(" ")) | ((first == ord("\t")) & (separator != "\t"))
    return bool(indented.any()) or b'"' in block or b"\0" in block or _PADDED.search(block) is not None


def read_simple(
    path: Path | str, separator: str, kinds: Mapping[str, str], encoding: str | None
) -> pd.DataFrame | None:
    """The columns ``kinds`` of a simple file, tokens as categories; None if RecBole has to read it.

    Args:
        kinds: 'token' or 'float' for each column to read, under its full name (``user_id:token``).
    """
    types = {name: "float" if kind == "float" else "category" for name, kind in kinds.items()}
    try:
        table = pd.read_csv(
            path,
            delimiter=separator,
            usecols=list(types),
            dtype=types,
            encoding=encoding,
            engine="c",
            low_memory=False,  # otherwise the categories of every 256 KB are merged one after another
        )
    except ValueError:  # text in place of a number, or a number that only the Python parser reads
        return None
    for name, kind in kinds.items():
        if kind == "float" and (table[name].abs() >= EXACT).any():
            return None
    return table

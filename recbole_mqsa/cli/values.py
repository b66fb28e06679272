"""What the text of an option becomes."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Callable

from ..settings.literals import literal


def words(text: str) -> list[str]:
    """The parts of a text between commas or spaces."""
    return [word for word in re.split(r"[,\s]+", text.strip()) if word]


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least ``least``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"has {text}; it takes whole numbers from {least}")
        return int(text)

    return read


def wholes(text: str) -> list[int]:
    """Whole numbers from 0."""
    return [whole(0)(word) for word in words(text)]


def literals(text: str) -> list[object]:
    """The literals of a comma-separated list; commas within brackets or quotes separate nothing."""
    listed = literal(f"[{text}]")
    values = listed if isinstance(listed, list) else [literal(word) for word in words(text)]
    if not values:
        raise ArgumentTypeError("names no value; write for example --values=0,0.5,1")
    return values

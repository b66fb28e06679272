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


def truth(text: str) -> bool:
    """True or False."""
    value = literal(text)
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"is {text}; it has to be True or False")
    return value


def names(text: str) -> list[str]:
    """Names between commas, which may hold blanks; or a list such as ["a, b","c"] of names that hold commas."""
    listed = literal(text) if text.strip().startswith("[") else None
    found = listed if isinstance(listed, list) else [name.strip() for name in text.split(",")]
    found = [str(name) for name in found if str(name)]
    if not found:
        raise ArgumentTypeError("names nothing")
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """Reads one of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ArgumentTypeError(f"is {text}; it has to be one of {', '.join(choices)}")
        return text

    return read

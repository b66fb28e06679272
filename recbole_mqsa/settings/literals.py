"""Text to values, without evaluating anything."""

from __future__ import annotations

import ast
import re
from typing import Any


def literal(text: str) -> Any:
    """The number, boolean, None, string, list, tuple or dictionary that ``text`` spells, else ``text`` itself.

    As in yaml, booleans and ``none``, ``null``, ``~`` may be in upper or lower case. Nothing is ever evaluated.
    """
    word = text.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        bare = _BARE_LIST.fullmatch(word)  # as in yaml: [Hit, NDCG]
        return [literal(part.strip()) for part in bare[1].split(",")] if bare else text
    return value if isinstance(value, (str, int, float, list, tuple, dict, type(None))) else text


_BARE_LIST = re.compile(r"\[([\w@.\s-]+(?:,[\w@.\s-]+)*)\]")
_WORDS = {"true": True, "false": False, "none": None, "null": None, "~": None}

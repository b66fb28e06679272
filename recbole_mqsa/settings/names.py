"""Names without imports: which models there are, and which name a mistyped one is nearest to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from . import locations

MODEL, DATASET = "MQSATED", "ml-100k"
"""The model to train, and the data set to train it on, by default."""

_WITHOUT_YAML = {"Random"}
"""Models of RecBole's that have no yaml file."""


def model_names() -> set[str]:
    """RecBole's models and those of ours that have a yaml file."""
    folders = (locations.recbole_file("model"), locations.FOLDER / "model")
    return _WITHOUT_YAML.union(file.stem for folder in folders for file in folder.glob("*.yaml"))


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name most like ``word``, if one is; upper and lower case count as equal."""
    by_lower = {name.lower(): name for name in sorted(names)}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def hint(word: str, names: Iterable[str]) -> str:
    """The nearest name as the end of a sentence, or nothing."""
    name = nearest(word, names)
    return f"; did you mean '{name}'?" if name else ""

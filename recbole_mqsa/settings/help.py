"""The settings of a model as help: group, default and a line each, from the comments of the yaml files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import locations
from .config import RECBOLE, Config

_SETTING = re.compile(r"^(\w+):[^#]*(?:#\s*(?:\([^)]*\)\s*)?(.*))?$")


def _described(file: Path) -> Iterator[tuple[str, str, str]]:
    """Group, key and help of a yaml file: comment lines of their own head groups, those after values explain."""
    group = ""
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line.startswith("#"):
            group = line.strip("# .")
        elif match := _SETTING.match(line):
            yield group, match[1], (match[2] or "").strip()


def describe_settings(model: str, dataset: str) -> list[tuple[str, str, Any, str]]:
    """Group, key, default and help of each setting of a model on a data set, from the comments of the yaml files.

    The model's own settings come first; the default is the one in force after all files.

    Raises:
        UserError: there is no such model.
    """
    defaults = Config(model, dataset).internal_config_dict
    theirs = RECBOLE / "properties"
    files = (
        locations.model_file(model),
        theirs / "model" / f"{model}.yaml",
        locations.overall_file(),
        theirs / "overall.yaml",
        theirs / "dataset" / "sample.yaml",
        locations.dataset_file(dataset),
    )
    rows: dict[str, tuple[str, str, Any, str]] = {}
    for group, key, text in (entry for file in files for entry in _described(file)):
        if key in defaults:
            rows.setdefault(key, (group, key, defaults[key], text))
    return list(rows.values())

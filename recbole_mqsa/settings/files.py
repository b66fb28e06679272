"""Yaml files of settings: the user's own, and ours beside RecBole's. RecBole is not imported here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import yaml

from ..errors import UserError
from ..interfaces import Json
from . import locations


class _Loader(yaml.SafeLoader):
    """Reads plain data only."""


# Yaml 1.1 reads 1e-3 as text, as it has no decimal point. RecBole and its files take it for a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_config_files(files: Iterable[str | Path]) -> Json:
    """The settings of yaml files; a later file overrides an earlier one.

    Raises:
        UserError: a file cannot be read, or holds no settings.
    """
    merged: Json = {}
    for file in files:
        merged.update(read_yaml(Path(file)))
    return merged


def read_yaml(file: Path) -> Json:
    """The settings of one yaml file; an empty file has none.

    Raises:
        UserError: the file cannot be read, or holds no settings.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"config file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"config file {file}, {where}{said}") from error
    if not isinstance(content, (dict, type(None))):
        raise UserError(f"config file {file} is not a mapping; it needs lines like 'tau: 0.1'")
    return content or {}


class Merging(Protocol):
    """Settings while they are being read: those of the files so far, and those of the user."""

    model: str
    dataset: str
    internal_config_dict: Json
    external_config_dict: Json


def beside(config: Merging, name: str) -> list[Path]:
    """Our files to read right after RecBole's file ``name``, while ``config`` reads its internal settings."""
    ours = {
        "overall.yaml": (locations.overall_file(),),
        # RecBole reads its own file of the model, if it has one, right before this one.
        "sample.yaml": (locations.model_file(config.model), locations.dataset_file(config.dataset)),
        f"{config.dataset}.yaml": (locations.dataset_file(config.dataset),),
    }
    if name == "sample.yaml":  # that file does not load the time, without which nothing can be ordered
        fields = {**config.internal_config_dict, **config.external_config_dict}
        columns = [fields[f"{kind}_FIELD"] for kind in ("USER_ID", "ITEM_ID", "TIME")]
        config.internal_config_dict["load_col"] = {"inter": columns}
    return [path for path in ours.get(name, ()) if path.is_file()]

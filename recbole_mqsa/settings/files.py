"""Yaml files of settings: the user's own, and ours beside RecBole's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import recbole.config
import yaml

from ..errors import UserError
from . import locations
from .presets import preset_files


def read_config_files(files: Iterable[str | Path]) -> dict[str, Any]:
    """The settings of yaml files, a later one overriding.

    Raises:
        UserError: one cannot be read, or holds no settings.
    """
    merged: dict[str, Any] = {}
    loader = recbole.config.Config._build_yaml_loader(None)
    for file in files:
        merged.update(_read_yaml(Path(file), loader))
    return merged


def _read_yaml(file: Path, loader: Any) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        raise UserError(f"config file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"config file {file}, {where}{getattr(error, 'problem', None) or error}") from error
    if not isinstance(content, (dict, type(None))):
        raise UserError(f"config file {file} is no mapping; it needs lines like 'tau: 0.1'")
    return content or {}


def beside(config: Any, name: str) -> list[Path]:
    """Our files to read right after RecBole's file ``name``, while ``config`` gathers its internal settings."""
    preset = preset_files(config.external_config_dict.get("preset"), config.model, config.dataset)
    ours = {
        "overall.yaml": (locations.overall_file(),),
        # RecBole reads its own file of the model, if it has one, right before this one.
        "sample.yaml": (locations.model_file(config.model), locations.dataset_file(config.dataset), *preset),
        f"{config.dataset}.yaml": (locations.dataset_file(config.dataset), *preset),
    }
    if name == "sample.yaml":  # it reads no time, without which nothing can be ordered
        fields = {**config.internal_config_dict, **config.external_config_dict}
        columns = [fields[f"{kind}_FIELD"] for kind in ("USER_ID", "ITEM_ID", "TIME")]
        config.internal_config_dict["load_col"] = {"inter": columns}
    return [path for path in ours.get(name, ()) if path.is_file()]

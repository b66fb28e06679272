"""Yaml files of settings: the user's own, and ours beside RecBole's. RecBole is not imported here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import yaml

from ..errors import UserError
from ..interfaces import Json
from . import locations
from .presets import preset_files


class _Loader(yaml.SafeLoader):
    """Reads plain data only, and no key twice: of two values yaml would silently take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Json:
        keys: set[object] = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"'{key.value}' comes twice", problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


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
    with _told(file):
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # nosec B506
    if not isinstance(content, (dict, type(None))):
        raise UserError(f"config file {file} is not a mapping; it needs lines like 'tau: 0.1'")
    return content or {}


def read_yaml_by_line(file: Path) -> list[tuple[int, str, object]]:
    """Line, key and value of each entry of a yaml file, in order and with keys that come twice.

    Raises:
        UserError: the file cannot be read, or is no mapping.
    """
    with _told(file):
        loader = _Loader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if not isinstance(node, (yaml.MappingNode, type(None))):
            raise UserError(f"{file} is not a mapping; it needs lines like 'tau: [0.05, 0.1]'")
        pairs = node.value if node else []
        return [
            (key.start_mark.line + 1, str(key.value), loader.construct_object(value, deep=True))
            for key, value in pairs
        ]


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Within, what is wrong with a file's text becomes one sentence with the line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"config file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"config file {file}, {where}{said}") from error


class Merging(Protocol):
    """Settings while they are being read: those of the files so far, and those of the user."""

    model: str
    dataset: str
    internal_config_dict: Json
    external_config_dict: Json


def beside(config: Merging, name: str) -> list[Path]:
    """Our files to read right after RecBole's file ``name``, while ``config`` reads its internal settings."""
    preset = preset_files(config.external_config_dict.get("preset"), config.model, config.dataset)
    ours = {
        "overall.yaml": (locations.overall_file(),),
        # RecBole reads its own file of the model, if it has one, right before this one.
        "sample.yaml": (locations.model_file(config.model), locations.dataset_file(config.dataset), *preset),
        f"{config.dataset}.yaml": (locations.dataset_file(config.dataset), *preset),
    }
    if name == "sample.yaml":  # that file does not load the time, without which nothing can be ordered
        fields = {**config.internal_config_dict, **config.external_config_dict}
        columns = [fields[f"{kind}_FIELD"] for kind in ("USER_ID", "ITEM_ID", "TIME")]
        config.internal_config_dict["load_col"] = {"inter": columns}
    return [path for path in ours.get(name, ()) if path.is_file()]

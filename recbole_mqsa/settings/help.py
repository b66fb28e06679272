"""The settings of a model as help, read from the yaml files alone: torch and RecBole are not imported for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..interfaces import Json
from . import locations
from .files import beside, read_yaml


class Setting(NamedTuple):
    """One setting: the heading that it stands under, its name, its default and a line about it."""

    group: str
    key: str
    default: object
    text: str


@dataclass
class _Merged:
    """The defaults gathered so far, in the form in which ``files.beside`` takes them."""

    model: str
    dataset: str
    internal_config_dict: Json = field(default_factory=dict)
    external_config_dict: Json = field(default_factory=dict)


def defaults_of(model: str, dataset: str, ours: bool) -> Json:
    """The settings of a model on a data set where the user gives none, merged as RecBole merges them.

    Args:
        model, dataset: their names.
        ours: whether the model is this package's; all of these are sequential.
    """
    merged = _Merged(model, dataset)
    for parts in (
        ("overall.yaml",),
        ("model", f"{model}.yaml"),
        ("dataset", "sample.yaml"),
        ("dataset", f"{dataset}.yaml"),
        *(("quick_start_config", name) for name in _files_of_kind(model, dataset, ours)),
    ):
        if (file := locations.recbole_file(*parts)).is_file():
            merged.internal_config_dict.update(read_yaml(file))
            for path in beside(merged, file.name):
                merged.internal_config_dict.update(read_yaml(path))
    return merged.internal_config_dict


def _files_of_kind(model: str, dataset: str, ours: bool) -> list[str]:
    """RecBole's files for the kind of a model, which it reads last."""
    code = locations.recbole_folder() / "model"
    kind = None if ours else next((path.parent.name for path in code.glob(f"*/{model.lower()}.py")), None)
    small = dataset == "ml-100k"
    if kind in ("context_aware_recommender", "exlib_recommender"):
        return ["context-aware.yaml", *(["context-aware_ml-100k.yaml"] if small else [])]
    if kind == "knowledge_aware_recommender":
        return ["knowledge_base.yaml"]
    if kind == "general_recommender":
        return []
    if model in ("DIN", "DIEN"):
        return ["sequential_DIN.yaml", *(["sequential_DIN_on_ml-100k.yaml"] if small else [])]
    if model in ("GRU4RecKG", "KSR"):
        return ["sequential_embedding_model.yaml"]
    featured = small and model in ("GRU4RecF", "SASRecF", "FDSA", "S3Rec")
    return ["sequential.yaml", *(["special_sequential_on_ml-100k.yaml"] if featured else [])]


def describe_settings(model: str, dataset: str, ours: bool) -> list[Setting]:
    """Each setting of a model on a data set, with what the comments of the yaml files say about it.

    The model's own settings come first; the default is the one in force after all files. The arguments are those
    of :func:`defaults_of`.
    """
    defaults = defaults_of(model, dataset, ours)
    files = (
        locations.model_file(model),
        locations.recbole_file("model", f"{model}.yaml"),
        locations.overall_file(),
        locations.recbole_file("overall.yaml"),
        locations.recbole_file("dataset", "sample.yaml"),
        locations.dataset_file(dataset),
    )
    rows: dict[str, Setting] = {}
    for group, key, text in (entry for file in files for entry in _described(file)):
        if key in defaults:
            rows.setdefault(key, Setting(group, key, defaults[key], text))
    return list(rows.values())


_SETTING = re.compile(r"^(\w+):[^#]*(?:#\s*(?:\([^)]*\)\s*)?(.*))?$")


def _described(file: Path) -> Iterator[tuple[str, str, str]]:
    """Group, key and help of a yaml file: a comment on a line of its own heads a group, one after a value explains."""
    group = ""
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line.startswith("#"):
            group = line.strip("# .")
        elif match := _SETTING.match(line):
            yield group, match[1], (match[2] or "").strip()

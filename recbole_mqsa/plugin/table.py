"""All that this package changes in RecBole, in two tables: work-arounds, and hooks that make it know our models.

``install`` runs when RecBole is first imported. No file of RecBole's is changed.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Callable

from recbole_mqsa.model.registry import MODELS

from . import hooks
from .compat import WORKAROUNDS
from .imports import Aliases
from .patching import replace_once

HOOKS = (
    ("recbole.config:Config", "_update_internal_config_dict", hooks.with_our_yaml),
    ("recbole.config:Config", "_set_default_parameters", hooks.checking_settings),
    ("recbole.config.configurator", "get_model", hooks.finding_one_model),
    ("recbole.data.utils", "get_dataloader", hooks.our_loaders),
    ("recbole.utils.case_study", "full_sort_scores", hooks.masking_seen_items),
    ("recbole.utils.case_study", "full_sort_topk", hooks.ranking_by_blocks),
    ("recbole.quick_start", "run_recbole", hooks.quietly),
    ("recbole.quick_start.quick_start", "run_recbole", hooks.quietly),
    ("recbole.quick_start", "load_data_and_model", hooks.loading_safely),
    ("recbole.quick_start.quick_start", "load_data_and_model", hooks.loading_safely),
)
"""Functions and methods of RecBole's, and what wraps each; for other models they do what they did."""

FAMILIES = ("general_recommender", "sequential_recommender")
"""RecBole's packages of models in which ours are found, in its order of search: ours replace those of the same name."""


def install() -> None:
    """Apply the work-arounds and the hooks, and register our models; calling it again changes nothing."""
    for workaround in WORKAROUNDS:
        workaround()
    for place, name, wrap in HOOKS:
        replace_once(_owner(place), name, wrap)
    aliases = {
        f"recbole.model.{family}.{name.lower()}": module
        for family in FAMILIES
        for name, module in MODELS.items()
    }
    if not any(isinstance(finder, Aliases) for finder in sys.meta_path):
        sys.meta_path.insert(0, Aliases(aliases))
    for module, name, look_up in (
        ("recbole.trainer", "Trainer", hooks.trainer_of),
        ("recbole.data.dataset", "Dataset", hooks.dataset_of),
    ):
        _answer(importlib.import_module(module), name, look_up)


def _owner(place: str) -> Any:
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


def _answer(module: ModuleType, ending: str, look_up: Callable[[str], type]) -> None:
    """Let ``module.<Model><ending>`` exist for each of our models, looked up when it is used."""

    def __getattr__(name: str) -> type:  # PEP 562
        if name.endswith(ending) and (model := name[: -len(ending)]) in MODELS:
            return look_up(model)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    module.__getattr__ = __getattr__  # type: ignore[method-assign]

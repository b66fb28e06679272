"""RecBole finds our models, their trainers and their data by its own functions, and nothing that is not there."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import recbole.data.dataset
import recbole.trainer
from recbole.utils import ModelType, get_model, get_trainer

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.model.registry import MODELS
from recbole_mqsa.plugin.patching import resolve
from recbole_mqsa.plugin.table import HOOKS, install
from recbole_mqsa.training.build import our_trainer


@pytest.mark.parametrize("name", MODELS)
def test_recboles_functions_find_our_models(name: str) -> None:
    ours = getattr(importlib.import_module(MODELS[name]), name)
    assert get_model(name) is ours
    assert get_trainer(ModelType.SEQUENTIAL, name) is our_trainer(ours)
    assert getattr(recbole.data.dataset, f"{name}Dataset") is SequenceDataset


def test_what_is_not_ours_is_not_there() -> None:
    assert get_model("SASRec").__module__ == "recbole.model.sequential_recommender.sasrec"
    for module, name in ((recbole.trainer, "NobodyTrainer"), (recbole.data.dataset, "NobodyDataset")):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute '{name}'"):
            getattr(module, name)


def hooked() -> list[Any]:
    """What stands in the place of each function."""
    places = [(place, name) if ":" in place else (f"{place}:{name}", "") for place, name, _ in HOOKS]
    return [getattr(resolve(place), name) if name else resolve(place) for place, name in places]


def test_a_hook_wraps_recboles_function_once() -> None:
    """Whoever looks at it sees RecBole's name, and RecBole's function below."""
    before = hooked()
    for (_, name, _), function in zip(HOOKS, before):
        assert function.__name__ == name and function.__wrapped__.__module__.startswith("recbole.")
    install()
    assert all(one is other for one, other in zip(hooked(), before))

"""Metrics by value: of sampled pairs only, and errors of probabilities only for models that give them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest
import recbole.model.general_recommender
import recbole.model.sequential_recommender
from recbole.model.abstract_recommender import GeneralRecommender, SequentialRecommender

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.metrics import PROBABILITIES

SAMPLED = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "uni100"}


def configured(model: str, metrics: list[str], **more: object) -> Config:
    given = {"metrics": metrics, "valid_metric": metrics[0], "eval_args": SAMPLED, **more}
    return Config(model, "ml-100k", config_dict=given)


def recboles_models() -> list[type]:
    """RecBole's own classes of general and sequential models."""
    found = []
    for family in (recbole.model.general_recommender, recbole.model.sequential_recommender):
        for module in pkgutil.iter_modules(family.__path__, f"{family.__name__}."):
            for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if member.__module__ == module.name and issubclass(
                    member, (GeneralRecommender, SequentialRecommender)
                ):
                    found.append(member)
    return found


def test_the_models_of_probabilities_are_those_that_end_in_a_sigmoid() -> None:
    """In RecBole 1.2.1's source: ``predict`` returns a sigmoid, or CDAE's activation, which is one by default."""
    models = {model.__name__: inspect.getsource(model.predict) for model in recboles_models()}
    assert len(models) > 50
    assert {name for name, source in models.items() if re.search("sigmoid|o_act", source)} == PROBABILITIES


@pytest.mark.parametrize("metric", ["LogLoss", "logloss", "MAE", "RMSE"])
def test_errors_of_probabilities(metric: str) -> None:
    for model in sorted(PROBABILITIES - {"DIEN"}):
        assert configured(model, [metric])["metrics"] == [metric]
    for model in ("MQSATED", "Pop", "BPR", "SASRec", "MultiVAE"):
        with pytest.raises(
            UserError, match=f"for {model}, whose scores are not probabilities; AUC takes any"
        ):
            configured(model, ["AUC", metric])
    with pytest.raises(UserError, match="for CDAE, whose scores"):
        configured("CDAE", [metric], out_activation="tanh")


@pytest.mark.parametrize("mode", ["full", {"valid": "full", "test": "uni5"}, {"test": "full"}], ids=str)
def test_pairs_have_to_be_sampled(mode: object) -> None:
    with pytest.raises(UserError, match="set mode uni100 or pop100 in eval_args"):
        configured("BPR", ["AUC"], eval_args={**SAMPLED, "mode": mode})
    assert configured("BPR", ["AUC"])["eval_type"].name == "VALUE"


def test_models_that_recbole_evaluates_keep_its_rules() -> None:
    eval_args = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": None, "mode": "labeled"}
    assert configured("FM", ["AUC", "LogLoss"], eval_args=eval_args)["metrics"] == ["AUC", "LogLoss"]

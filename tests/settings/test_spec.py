"""What is known of a model: ours, RecBole's, and one that nobody knows."""

from __future__ import annotations

import pytest
from recbole.model.sequential_recommender.narm import NARM
from recbole.model.sequential_recommender.sasrec import SASRec

from recbole_mqsa.model.fmlprec import FMLPRec
from recbole_mqsa.model.mqsated import MQSATED
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.spec import ModelSpec, is_ours, is_served, needs_only_order, spec_of


class Derived(MQSATED):
    """Somebody's own variant."""


class LikeOurs(NARM):
    spec = ModelSpec(training="sequences")


class Unrelated(NARM):
    spec = "something else of that name"


@pytest.mark.parametrize("model", [MQSATED, Derived, LikeOurs])
def test_a_model_with_a_spec_is_ours(model: type) -> None:
    assert is_ours(model) and spec_of(model).training == "sequences"
    assert is_ours(FMLPRec) and spec_of(FMLPRec).training == "samples"


@pytest.mark.parametrize("model", [SASRec, NARM, Unrelated])
def test_any_other_is_not_and_learns_from_samples(model: type) -> None:
    assert not is_ours(model) and spec_of(model).training == "samples"
    assert spec_of(model).length_groups == (model is SASRec)


@pytest.mark.parametrize(
    ("model", "by_order"), [("MQSATED", True), ("LightGCN", True), ("FM", False), ("KGAT", False)]
)
def test_our_config_serves_every_model_that_needs_only_order(model: str, by_order: bool) -> None:
    config = Config(model, "ml-100k")
    assert is_served(config) and needs_only_order(config) == by_order

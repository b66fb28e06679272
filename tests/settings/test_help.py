"""The settings that help shows: the defaults are those of a run, the texts those of the yaml files."""

from __future__ import annotations

import pytest

from recbole_mqsa.experiments.variants import PAPER, named_variants
from recbole_mqsa.model.registry import MODELS
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.help import defaults_of, describe_settings

NAMED = sorted({*MODELS, *(variant.model for variant in named_variants(PAPER))})
OF_OTHER_KINDS = ["DIN", "FDSA", "FM", "GRU4RecKG", "KGAT", "Random"]
CASES = [
    *((model, "ml-100k") for model in (*NAMED, *OF_OTHER_KINDS)),
    *((model, "amazon-beauty") for model in ("MQSATED", "Pop", "SASRec", "LightGCN", *OF_OTHER_KINDS)),
    *((model, "unheard-of") for model in ("MQSATED", "BPR")),
]


@pytest.mark.parametrize(("model", "dataset"), CASES)
def test_the_defaults_are_those_in_force(model: str, dataset: str) -> None:
    expected = dict(Config(model, dataset).internal_config_dict)
    del expected["MODEL_TYPE"]  # no setting
    assert defaults_of(model, dataset, ours=model in MODELS) == expected


def test_the_settings_are_described_from_the_yaml_files() -> None:
    rows = {one.key: one for one in describe_settings("MQSATED", "ml-100k", ours=True)}
    assert rows["tau"] == (
        "Transition-aware embedding distillation",
        "tau",
        0.1,
        "Temperature of teacher and student.",
    )
    assert rows["epochs"].default == 100  # of our ml-100k.yaml; the model has 200, RecBole 300
    assert rows["repeatable"].default is True  # of sequential.yaml, which describes nothing
    assert rows["learner"] == ("Training Settings", "learner", "adam", "The name of used optimizer.")
    assert all(one.text for one in rows.values())
    assert "alpha" not in [one.key for one in describe_settings("SASRec", "ml-100k", ours=False)]


def test_a_models_own_settings_come_first_and_each_once() -> None:
    keys = [one.key for one in describe_settings("MQSATED", "amazon-beauty", ours=True)]
    assert keys[0] == "n_layers" and len(keys) == len(set(keys))
    assert set(keys) <= set(defaults_of("MQSATED", "amazon-beauty", ours=True))

"""The ranges of the settings of RecBole's models: defaults pass, values that end in tracebacks do not."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.sweep import models

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.variants import PAPER
from recbole_mqsa.settings import keys, locations
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.files import read_yaml
from recbole_mqsa.settings.ranges import rules_of

NAN = float("nan")
OF_BENCHMARK = [name for name in PAPER if name in models()]


def complaint(model: str, key: str, value: Any) -> str:
    with pytest.raises(UserError) as caught:
        Config(model, "toy", command_line={key: value})
    return str(caught.value)


@pytest.mark.parametrize("model", models())
def test_every_setting_of_a_model_has_a_rule_that_its_default_passes(model: str) -> None:
    config = Config(model, "toy")
    rules = {key: test for key, test, _ in rules_of(config.model_class)}
    own = locations.recbole_file("model", f"{model}.yaml")
    assert rules.keys() == (set(read_yaml(own)) if own.is_file() else set())
    for key, test in rules.items():
        assert config[key] is None or test(config[key], config), key


BAD = {
    **{key: [0, -1, 1.5, "a", True] for key in ("embedding_size", "hidden_size", "inner_size")},
    **{key: [0, -1, 1.5, "a", True] for key in ("num_layers", "nv", "nh")},
    "n_layers": [-1, 0.5],
    "n_heads": [0, 3, "two"],
    **{key: [1, 2, -0.1, NAN, "half", True] for key in ("hidden_dropout_prob", "attn_dropout_prob")},
    "dropout_prob": [1, 2, -0.1, NAN, "half", True],
    "hidden_act": ["foo", 1],
    "layer_norm_eps": [0, -1],
    "initializer_range": [0, NAN],
    "loss_type": ["XE", "TOP1", 3],
    "reg_weight": [-1, "much", NAN],
    "mask_ratio": [0, 1, 2, 0.001, "half"],
    "ft_ratio": [1.5, -0.1, "half"],
}  # fmt: skip


@pytest.mark.parametrize("model", OF_BENCHMARK)
def test_the_models_of_the_benchmark_refuse_what_does_not_suit(model: str) -> None:
    own = keys.yaml_keys(model) - {
        "train_neg_sample_args",
        "train_batch_size",
        "learning_rate",
        "length_groups",
    }
    for key in own - {"MAX_ITEM_LIST_LENGTH", "transform"}:
        for value in BAD[key]:
            assert complaint(model, key, value).startswith(f"{key} is {value!r}; it has to be ")


@pytest.mark.parametrize(
    ("model", "key", "value", "says"),
    [
        ("SASRec", "n_heads", 3, "a whole number that divides hidden_size, 64"),
        ("CORE", "n_heads", 3, "a whole number that divides embedding_size, 64"),
        ("BERT4Rec", "mask_ratio", 0.01, "a number below 1 that masks at least one of 50 items"),
        ("FPMC", "loss_type", "CE", "one of 'BPR'"),
        ("ItemKNN", "knn_method", "both", "one of 'item', 'user'"),
        ("SGL", "type", "XX", "one of 'ED', 'ND', 'RW'"),
        ("NeuMF", "mlp_hidden_size", [8, -1], "a list of numbers of at least 0"),
        ("NeuMF", "mf_train", "yes", "True or False"),
        ("SASRecF", "selected_features", [], "a list of one or more names of columns"),
        ("SimpleX", "margin", "wide", "a number that is finite"),
        ("NextItNet", "block_num", 0, "a whole number of at least 1"),
    ],
)
def test_it_says_what_a_value_has_to_be(model: str, key: str, value: Any, says: str) -> None:
    assert says in complaint(model, key, value)


def test_no_layers_are_allowed_where_that_is_a_model() -> None:
    assert Config("LightGCN", "toy", command_line={"n_layers": 0})["n_layers"] == 0
    assert Config("GCMC", "toy")["accum"] == "stack"

"""The range of every setting, asked of plain dictionaries; and a few times of a whole Config."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.check import EVERY_MODEL, WITH_TRANSITION, check_settings
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.spec import spec_of

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}
NAN, INFINITE = float("nan"), float("inf")


MAPPINGS = (
    *("load_col", "unload_col", "unused_col", "val_interval"),
    *("threshold", "clip_grad_norm", "discretization"),
)


SWITCHES = (
    *("use_gpu", "shuffle", "reproducibility", "log_wandb", "enable_amp", "enable_scaler", "require_pow"),
    *("filter_inter_by_user_or_item", "normalize_all"),
)


class Settings(dict[str, Any]):
    """A model's settings with some of the user's, as ``check_settings`` reads them: without a Config for each case."""

    one_protocol = True

    def __init__(self, model: str = "MQSATED", **given: object) -> None:
        config = defaults_for(model)
        super().__init__({**config.final_config_dict, **given})
        self.model_class, self.internal_config_dict = config.model_class, config.internal_config_dict
        self.external_config_dict = given

    def __missing__(self, key: str) -> None:  # as in RecBole's Config
        return None


@functools.cache
def defaults_for(model: str) -> Config:
    return Config(model, "ml-100k")


def complaint(model: str = "MQSATED", **given: object) -> str:
    with pytest.raises(UserError) as caught:
        check_settings(Settings(model, **given))
    return str(caught.value)


REFUSED: dict[str, list[Any]] = {
    "query_windows": [[], [0], [1, 51], [3, 3], [1.5], ["a"], [True], 0],
    "query_pooling": ["max", 3],
    "query_decay": [0, 1.5, "half"],
    "alpha": [-0.1, 1.1, NAN, "half", True, [0.5], [0.5, 0.6], [-0.5, 1.5], [0.5, "a"]],
    "tau": [0, -1, NAN, INFINITE, "0,1", True],
    "lambda_kd": [-0.1, INFINITE],
    "time_span": [0, 1.5, True],
    "time_decay": [0, 1.1, NAN, "half"],
    "backward_weight": [-0.1, INFINITE],
    "ema_decay": [-0.1, 1, NAN, "half", True],
    "lr_schedule": ["linear", 1],
    "lr_floor": [-0.1, 1.1],
    "lr_factor": [0, 1],
    "lr_patience": [-1, 2.5],
    "adam_epsilon": ["keras", 1e-8],
    "transition_memory": [-1, INFINITE, "on"],
    "memory_scale": [0, NAN],
    "memory_recency": [0, 1.1],
    "memory_items": [0, 2.5],
    "memory_span": [0, 1.5],
    "memory_decay": [0, 1.1],
    "memory_fit": ["yes", 1],
    "transition": ["kd", 3, True],
    "lambda_reg": [-1, NAN],
    "grareg_neighbours": [0, 2.5],
    "ges_layers": [-1, "two"],
    "distillation_heads": [-1, 0.5],
    "negatives": [0, 1.5, "some", True],
    "negatives_beta": [-0.5, 2, "half"],
    "sparse_gradients": [True, 1],  # the others are as they are by default: a full softmax
    "n_heads": [0, 3, 64.0],
    "length_groups": [0, 2.5, 6],  # several are for others
    "n_layers": [0, "two"],
    "hidden_size": [0, 64.0],
    "inner_size": [0],
    "hidden_dropout_prob": [-0.1, 1],
    "attn_dropout_prob": [1, NAN],
    "layer_norm_eps": [0, -1e-5],
    "initializer_range": [0],
    "attention_groups": [0],
    "softmax_block": [-1, "all"],
    "softmax_precision": ["float16"],
    "device": ["gpu", "cuda:x", 0, True],
    "nproc": [0, 1.5],
    "worker": [-1],
    "MAX_ITEM_LIST_LENGTH": [1, 50.0],
    "train_batch_size": [0, 2.5],
    "eval_batch_size": [0],
    "epochs": [-1, 1.5],
    "learner": ["sgdd", None, 1],
    "learning_rate": [0, "fast", NAN],
    "weight_decay": [-1],
    "stopping_step": [-1],
    "eval_step": [-1],
    "seed": ["x", 0.5, 2**32],
    "state": ["loud"],
    "long_sequences": ["first"],
    "prefixes": ["shortest"],
    "rm_dup_inter": ["all"],
    "time_order": ["float32"],
    "track": ["mlflo", "all"],
    "track_project": ["", 7],
    "rank_timeout": [0, "soon"],
    "state_interval": [-1, "often"],
    "mask_seen": ["yes", 1],
    "repeatable": [0],
    "show_progress": ["no"],
    "metric_decimal_place": [-1],
    "loss_decimal_place": [-1, 2.5],
    **{key: ["maybe", 1, 0] for key in SWITCHES},
    "gpu_id": ["abc", 0.5, True],
    **{key: [3, "age"] for key in ("numerical_features", "normalize_field")},
    **{key: [3, "age"] for key in ("alias_of_user_id", "alias_of_item_id")},
    "topk": [[0], [], [5, "a"], 2.5],
    "metrics": [["HR"], [], ["NDCG", "AUC"], ["AUC"], ["LogLoss"]],
    "tail_ratio": [0, -0.1, "many"],
    "valid_metric": ["NDCG@7", "MRR@10", "NDCG", "NDCG@", "AUC", 5],
    "eval_args": [
        {**LEAVE_ONE_OUT, "order": "RO"},
        {"mode": "full"},
        {**LEAVE_ONE_OUT, "mode": "uni"},
        {**LEAVE_ONE_OUT, "mode": {"valid": "full", "test": 3}},
        {**LEAVE_ONE_OUT, "split": {"XS": [1]}},
        "TO",
    ],
    "loss_type": ["BPR"],
    "train_neg_sample_args": [
        {"distribution": "uniform"},
        {"sample_num": 2},
        {"dynamic": 1},
        {"number": 2},
        "some",
    ],
    "benchmark_filename": [["train", "valid", "test"]],
    "save_dataloaders": [True],
    "dataloaders_save_path": ["loaders.pth"],
    "dataset": ["a/b", "a\\b"],
    "data_path": [3],
    **{key: ["5", "[5", 5] for key in ("user_inter_num_interval", "item_inter_num_interval")},
    **{key: ["text", ["a"]] for key in MAPPINGS},
}
ALLOWED: dict[str, list[Any]] = {
    "query_windows": [[1], [50, 1]],
    "query_pooling": ["mean", "decay"],
    "alpha": [0, 1, 0.3, "learned", [0.25, 0.75]],
    "tau": [1e-3],
    "lambda_kd": [0],
    "transition": ["ted", "grareg", "ges", "none"],
    "time_decay": [1, 0.01],
    "backward_weight": [0, 3],
    "ema_decay": [0, 0.999],
    "lr_schedule": ["none", "cosine", "plateau"],
    "lr_floor": [0, 1],
    "adam_epsilon": ["torch", "tensorflow"],
    "transition_memory": [0, 2.5],
    "memory_recency": [1],
    "memory_fit": [True, False],
    "lambda_reg": [0],
    "ges_layers": [0],
    "n_heads": [2, 64],
    "hidden_dropout_prob": [0, 0.99],
    "epochs": [0],
    "seed": [0, 2**32 - 1],
    "state": ["info", "ERROR"],
    "learner": ["adamw"],
    "distillation_heads": [0],
    "negatives": ["full", 256],
    "negatives_beta": [0, 1],
    "softmax_block": [0, 7, "auto"],
    "device": ["auto", "cpu", "cuda", "cuda:1"],
    "valid_metric": ["ndcg@5", "Hit@20"],
    "eval_args": [{**LEAVE_ONE_OUT, "mode": "pop100"}, {**LEAVE_ONE_OUT, "mode": {"valid": "uni5"}}],
    "train_neg_sample_args": [None],
    "benchmark_filename": [None],
    "user_inter_num_interval": ["[5,inf)", "(0, 10]", None],
    "load_col": [{"inter": ["user_id"]}, None],
    "save_dataloaders": [False],
}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(key, value) for key, values in table.items() for value in values]


@pytest.mark.parametrize(("key", "value"), cases(REFUSED))
def test_a_value_out_of_range_is_refused_in_a_sentence(key: str, value: Any) -> None:
    shown = [value] if key in ("query_windows", "topk") and not isinstance(value, list) else value
    assert complaint(**{key: value}).startswith(f"{key} is {shown!r}; it has to be ")


@pytest.mark.parametrize(("key", "value"), cases(ALLOWED))
def test_a_value_in_range_is_accepted(key: str, value: Any) -> None:
    check_settings(Settings(**{key: value}))


def test_every_rule_has_a_value_that_it_refuses() -> None:
    own = spec_of(defaults_for("MQSATED").model_class).rules
    assert {key for key, *_ in (*EVERY_MODEL, *WITH_TRANSITION, *own)} == set(REFUSED)


@pytest.mark.parametrize("key", ["tau", "query_windows", "topk", "metrics", "hidden_size", "eval_args"])
def test_a_needed_setting_cannot_be_unset(key: str) -> None:
    assert complaint(**{key: None}).startswith(f"{key} is None; it has to be ")


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True),
        ({"transition": "none"}, True),
        ({"transition": "ges"}, False),
        ({"transition": "grareg"}, False),
        ({"learner": "sgd"}, False),
        ({"clip_grad_norm": {"max_norm": 5}}, False),
        ({"nproc": 2}, False),
    ],
    ids=str,
)
def test_sparse_gradients_need_that_nothing_reads_all_rows(given: dict[str, Any], allowed: bool) -> None:
    given = {"negatives": 256, "sparse_gradients": True, **given}
    if allowed:
        check_settings(Settings(**given))
    else:
        assert complaint(**given).startswith("sparse_gradients is True; it has to be False, or")


def test_alpha_has_to_suit_the_number_of_windows() -> None:
    check_settings(Settings(query_windows=[3], alpha=7))  # a single window ignores it
    check_settings(Settings(query_windows=[1, 2, 3], alpha=[0.2, 0.3, 0.5]))
    assert "one such number for each of the windows [1, 2, 3]" in complaint(query_windows=[1, 2, 3])


def test_lists_may_be_given_as_one_value_or_a_tuple() -> None:
    settings = Settings(query_windows=3, topk=(5, 20), metrics="NDCG", alpha=(0.3, 0.7))
    check_settings(settings)
    lists = [settings[key] for key in ("query_windows", "topk", "metrics", "alpha")]
    assert lists == [[3], [5, 20], ["NDCG"], [0.3, 0.7]]


@pytest.mark.parametrize("given", [{"negatives": 256}, {"sparse_gradients": True}], ids=str)
@pytest.mark.parametrize("model", ["SASRec", "FMLPRec"])
def test_what_a_model_would_ignore_is_refused(model: str, given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"as {model} draws no items"):
        Config(model, "ml-100k", config_dict=given)


def test_several_length_groups_are_for_some_models() -> None:
    check_settings(Settings("SASRec", length_groups=6))
    assert complaint("LightGCN", length_groups=6).endswith(
        "1, or a larger whole number for BERT4Rec, GRU4Rec, SASRec"
    )


@pytest.mark.parametrize(("key", "value"), [("tau", -1), ("topk", [0]), ("device", "gpu"), ("learner", None)])
def test_a_config_asks_the_same(key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        Config("MQSATED", "ml-100k", command_line={key: value})
    assert str(caught.value) == complaint(**{key: value})


def test_a_config_may_be_changed_within_its_ranges() -> None:
    given = {
        "query_windows": (1, 4),
        "tau": 0.5,
        "eval_args": {**LEAVE_ONE_OUT, "mode": "pop100"},
        "topk": 20,
    }
    config = Config("MQSATED", "ml-100k", command_line=given)
    assert (config["query_windows"], config["tau"], config["topk"]) == ([1, 4], 0.5, [20])

"""Precedence, typing errors and ranges of the settings."""

from __future__ import annotations

import copy
import shutil
import sys

import pytest
import recbole.config
from recbole.model.sequential_recommender.sasrec import SASRec

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import locations
from recbole_mqsa.settings.check import check_settings
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.help import describe_settings

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}


def settings(**given):
    return Config("MQSATED", "ml-100k", config_dict=given)


def complaint(model="MQSATED", dataset="ml-100k", *arguments, **keywords):
    with pytest.raises(UserError) as caught:
        Config(model, dataset, *arguments, **keywords)
    return str(caught.value)


class ReadsOwnKey(SASRec):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.own = config["own_key"]


# Where a value comes from.


def test_each_level_overrides_the_former(tmp_path, monkeypatch):
    folder = tmp_path / "properties"
    shutil.copytree(locations.FOLDER, folder)
    monkeypatch.setattr(locations, "FOLDER", folder)
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"stopping_step: {ord(name)}\n")
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]

    def stopping_step(*arguments):
        return Config("MQSATED", "toy", *arguments)["stopping_step"]

    needed = "loss_type: CE\n"
    (folder / "model" / "MQSATED.yaml").write_text(needed)
    assert stopping_step() == 10  # RecBole's overall.yaml
    with (folder / "overall.yaml").open("a") as overall:
        overall.write("\nstopping_step: 11\n")
    assert stopping_step() == 11
    (folder / "model" / "MQSATED.yaml").write_text(f"{needed}stopping_step: 12\nMAX_ITEM_LIST_LENGTH: 12")
    assert stopping_step() == 12
    (folder / "dataset" / "toy.yaml").write_text(
        "stopping_step: 13\neval_args: {order: RO}\nrepeatable: False"
    )
    assert stopping_step() == 13
    assert stopping_step(files[:1]) == ord("a")
    assert stopping_step(files) == ord("b")
    assert stopping_step(files, {"stopping_step": 14}) == 14
    assert stopping_step(files, {"stopping_step": 14}, {"stopping_step": 15}) == 15

    config = Config("MQSATED", "toy")
    assert (
        config["MAX_ITEM_LIST_LENGTH"] == 12
    )  # the model's file comes after RecBole's sample.yaml, which has 50
    assert config["repeatable"] is True and config["eval_args"]["order"] == "TO"  # sequential.yaml after all


def test_defaults_are_weaker_than_any_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("model: SASRec\ntrain_neg_sample_args: null\n")
    config = Config(config_file_list=[file], defaults={"model": "MQSATED", "dataset": "ml-100k"})
    assert (config["model"], config["dataset"]) == ("SASRec", "ml-100k")


def test_the_arguments_of_the_process_are_not_read(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--epochs=3", "--quer_windows=3", "stray"])
    assert settings()["epochs"] == 100


def test_text_is_a_literal_and_never_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('os').mkdir('evaluated')"
    config = settings(wandb_project=code, topk="[5, 20]", tau="1e-2", mask_seen="false")
    assert config["wandb_project"] == code and not list(tmp_path.iterdir())
    assert (config["topk"], config["tau"], config["mask_seen"]) == ([5, 20], 0.01, False)


def test_values_of_the_command_line_are_taken_as_they_are():
    config = Config("MQSATED", "ml-100k", command_line={"wandb_project": "5"})
    assert config["wandb_project"] == "5"


@pytest.mark.parametrize("source", ["config_dict", "command_line"])
def test_the_given_dictionaries_stay_as_they_were(source):
    given = {"topk": (5, 20), "loss_type": "BPR", "train_neg_sample_args": {"distribution": "popularity"}}
    before = copy.deepcopy(given)
    config = Config("SASRec", "ml-100k", **{source: given})
    assert config["train_neg_sample_args"]["sample_num"] == 1  # which RecBole writes into the dictionary
    assert given == before


# Unknown names.


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("quer_windows", "query_windows"),
        ("LAMBDA_KD", "lambda_kd"),
        ("dropout_prob", "attn_dropout_prob"),  # other models have it
        ("token_num_treshold", "token_num_threshold"),  # which only RecBole's source names
        ("output-dir", "output_dir"),  # an option
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, near):
    assert f"unknown setting '{key}'; did you mean '{near}'?" in complaint(config_dict={key: 1})
    assert Config("MQSATED", "ml-100k", config_dict={key: 1}, allow_unknown=True)[key] == 1


def test_an_unknown_key_is_refused_from_every_source(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("xyzzy: 1\n")
    for source in (
        {"config_file_list": [file]},
        {"config_dict": {"xyzzy": 1}},
        {"command_line": {"xyzzy": 1}},
    ):
        assert complaint(**source).startswith("unknown setting 'xyzzy' (")


@pytest.mark.parametrize(
    "key", ["token_num_threshold", "convert_token_to_onehot", "encoding", "ip", "config_file"]
)
def test_a_key_that_only_recboles_source_knows_is_accepted(key):
    assert settings(**{key: "utf-8"})[key] == "utf-8"


def test_keys_in_a_models_own_source_are_its_own():
    given = {"own_key": 3, "loss_type": "BPR"}
    assert Config(ReadsOwnKey, "ml-100k", config_dict=given)["own_key"] == 3
    assert "unknown setting 'own_key'" in complaint("SASRec", config_dict=given)


@pytest.mark.parametrize(
    ("name", "near"), [("mqsated", "MQSATED"), ("SASRek", "SASRec"), ("LightGNC", "LightGCN")]
)
def test_an_unknown_model_is_refused_with_the_nearest(name, near):
    assert complaint(name) == f"unknown model '{name}'; did you mean '{near}'?"


def test_model_and_data_set_have_to_be_named():
    assert complaint(None).startswith("no model is given")
    assert complaint("MQSATED", None).startswith("no dataset is given")


# Config files.


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"tau: 0.1\nalpha: [0.5\nseed: 1\n", "mine.yaml, line 3: "),
        (b"- tau\n", "mine.yaml is no mapping"),
        (b"tau: \xff", "mine.yaml, "),
        (None, "mine.yaml cannot be read: No such file"),
    ],
)
def test_a_bad_config_file_is_named(tmp_path, content, says):
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_bytes(content)
    assert says in complaint(config_file_list=[str(file)])


def test_an_empty_config_file_says_nothing(tmp_path):
    (tmp_path / "mine.yaml").touch()
    assert Config("MQSATED", "ml-100k", [tmp_path / "mine.yaml"])["epochs"] == 100


# Ranges.

NAN, INFINITE = float("nan"), float("inf")
REFUSED = {
    "query_windows": [[], [0], [1, 51], [3, 3], [1.5], ["a"], [True], 0],
    "query_pooling": ["max", 3],
    "query_decay": [0, 1.5, "half"],
    "alpha": [-0.1, 1.1, NAN, "half", True, [0.5], [0.5, 0.6], [-0.5, 1.5], [0.5, "a"]],
    "tau": [0, -1, NAN, INFINITE, "0,1", True],
    "lambda_kd": [-0.1, INFINITE],
    "time_span": [0, 1.5, True],
    "time_decay": [0, 1.1, NAN, "half"],
    "backward_weight": [-0.1, INFINITE],
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
    "device": ["gpu", "cuda:x", 0, True],
    "softmax_precision": ["float16"],
    "MAX_ITEM_LIST_LENGTH": [1, 50.0],
    "train_batch_size": [0, 2.5],
    "eval_batch_size": [0],
    "epochs": [-1, 1.5],
    "learning_rate": [0, "fast", NAN],
    "weight_decay": [-1],
    "stopping_step": [-1],
    "eval_step": [-1],
    "seed": ["x", 0.5],
    "long_sequences": ["first"],
    "mask_seen": ["yes", 1],
    "topk": [[0], [], [5, "a"], 2.5],
    "metrics": [["HR"], [], ["NDCG", "AUC"]],
    "valid_metric": ["NDCG@7", "MRR@10", "NDCG", "NDCG@", "AUC", 5],
    "eval_args": [
        {**LEAVE_ONE_OUT, "order": "RO"},
        {"mode": "full"},
        {**LEAVE_ONE_OUT, "mode": "uni"},
        {**LEAVE_ONE_OUT, "mode": {"valid": "full", "test": 3}},
        "TO",
    ],
    "loss_type": ["BPR"],
    "train_neg_sample_args": [{"distribution": "uniform"}, {"sample_num": 2}],
    "benchmark_filename": [["train", "valid", "test"]],
}
ALLOWED = {
    "query_windows": [[1], [50, 1]],
    "query_pooling": ["mean", "decay"],
    "alpha": [0, 1, 0.3, "learned", [0.25, 0.75]],
    "tau": [1e-3],
    "lambda_kd": [0],
    "transition": ["ted", "grareg", "ges", "none"],
    "lambda_reg": [0],
    "ges_layers": [0],
    "n_heads": [2, 64],
    "hidden_dropout_prob": [0, 0.99],
    "epochs": [0],
    "seed": [0],
    "distillation_heads": [0],
    "negatives": ["full", 256],
    "negatives_beta": [0, 1],
    "softmax_block": [0, 7, "auto"],
    "device": ["auto", "cpu"],
    "valid_metric": ["ndcg@5", "Hit@20"],
    "eval_args": [{**LEAVE_ONE_OUT, "mode": "pop100"}, {**LEAVE_ONE_OUT, "mode": {"valid": "uni5"}}],
    "train_neg_sample_args": [None],
    "benchmark_filename": [None],
}


@pytest.mark.parametrize(
    ("settings", "allowed"),
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
def test_sparse_gradients_need_that_nothing_reads_all_rows(settings, allowed):
    settings = {"negatives": 256, "sparse_gradients": True, **settings}
    if allowed:
        assert Config("MQSATED", "ml-100k", command_line=settings)["sparse_gradients"]
    else:
        assert complaint(command_line=settings).startswith("sparse_gradients is True; it has to be False, or")


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in REFUSED.items() for value in values]
)
def test_a_value_out_of_range_is_refused_in_a_sentence(key, value):
    shown = [value] if key in ("query_windows", "topk") and not isinstance(value, list) else value
    assert complaint(command_line={key: value}).startswith(f"{key} is {shown!r}; it has to be ")


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in ALLOWED.items() for value in values]
)
def test_a_value_in_range_is_accepted(key, value):
    assert key in Config("MQSATED", "ml-100k", command_line={key: value})


def test_the_text_none_names_a_transition():
    """Elsewhere that text, in a dictionary, means nothing at all."""
    assert settings()["transition"] == "ted"
    assert settings(transition="none")["transition"] == "none"


@pytest.mark.parametrize("key", ["tau", "query_windows", "topk", "metrics", "hidden_size", "eval_args"])
def test_a_needed_setting_cannot_be_unset(key):
    assert complaint(command_line={key: None}).startswith(f"{key} is None; it has to be ")


def test_alpha_has_to_suit_the_number_of_windows():
    assert settings(query_windows=[3], alpha=7)["alpha"] == 7  # a single window ignores it
    assert settings(query_windows=[1, 2, 3], alpha=[0.2, 0.3, 0.5])["alpha"] == [0.2, 0.3, 0.5]
    assert "one such number for each of the windows [1, 2, 3]" in complaint(
        config_dict={"query_windows": [1, 2, 3]}
    )


def test_lists_may_be_given_as_one_value_or_a_tuple():
    config = settings(query_windows=3, topk=(5, 20), metrics="NDCG", alpha="0.3, 0.7")
    assert [config[key] for key in ("query_windows", "topk", "metrics", "alpha")] == [
        [3],
        [5, 20],
        ["NDCG"],
        [0.3, 0.7],
    ]


def test_recboles_own_refusals_become_a_sentence():
    given = {"loss_type": "CE", "train_neg_sample_args": {"distribution": "uniform"}}
    assert "train_neg_sample_args" in complaint("SASRec", config_dict=given)
    assert "repeatable" in complaint(config_dict={"repeatable": False})


def test_recboles_plain_config_is_checked_too(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest"])
    config = recbole.config.Config("MQSATED", "ml-100k", config_dict={"query_windows": 2, "n_heads": 3})
    with pytest.raises(UserError, match="n_heads is 3"):
        check_settings(config)
    config["n_heads"] = 4
    check_settings(config)
    assert config["query_windows"] == [2]


def test_other_models_are_held_to_the_common_rules_only():
    general = {"n_layers": 0, "tau": 0}
    assert Config("LightGCN", "ml-100k", config_dict=general)["n_layers"] == 0
    assert complaint("LightGCN", config_dict={"learning_rate": 0}).startswith("learning_rate is 0")
    assert complaint("LightGCN", config_dict={**general, "transition": "ted"}).startswith("tau is 0")


# Columns.


def test_sequences_load_their_time_unless_told_what_to_load():
    def columns(model="MQSATED", **given):
        return Config(model, "unheard-of", config_dict=given)["load_col"]["inter"]

    assert columns() == ["user_id", "item_id", "timestamp"]
    assert columns(TIME_FIELD="when") == ["user_id", "item_id", "when"]
    assert columns(load_col={"inter": ["user_id", "item_id"]}) == ["user_id", "item_id"]
    assert columns("LightGCN") == ["user_id", "item_id", "timestamp"]  # leave-one-out in order of time, too


# Help.


def test_the_settings_are_described_from_the_yaml_files():
    rows = {
        key: (group, default, text) for group, key, default, text in describe_settings("MQSATED", "ml-100k")
    }
    assert rows["tau"] == (
        "Transition-aware embedding distillation",
        0.1,
        "Temperature of teacher and student.",
    )
    assert rows["epochs"][1] == 100  # of our ml-100k.yaml; the model has 200, RecBole 300
    assert rows["repeatable"][1] is True  # from sequential.yaml, which describes nothing
    assert rows["learner"] == ("Training Settings", "adam", "The name of used optimizer.")
    assert all(text for _, _, text in rows.values())
    assert "alpha" not in [key for _, key, *_ in describe_settings("SASRec", "ml-100k")]


@pytest.mark.parametrize("given", [{"negatives": 256}, {"sparse_gradients": True}], ids=str)
@pytest.mark.parametrize("model", ["SASRec", "FMLPRec"])
def test_what_a_model_would_ignore_is_refused(model, given):
    with pytest.raises(UserError, match=f"as {model} draws no items"):
        Config(model, "ml-100k", config_dict=given)

"""Where a setting's value comes from, and which settings there are."""

from __future__ import annotations

import copy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import recbole.config
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from recbole.model.sequential_recommender.sasrec import SASRec

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import locations
from recbole_mqsa.settings.check import EVERY_MODEL, WITH_TRANSITION
from recbole_mqsa.settings.config import Config


def settings(**given: object) -> Config:
    return Config("MQSATED", "ml-100k", config_dict=given)


def complaint(model: Any = "MQSATED", dataset: str | None = "ml-100k", **keywords: Any) -> str:
    with pytest.raises(UserError) as caught:
        Config(model, dataset, **keywords)
    return str(caught.value)


# Where a value comes from.


def test_each_level_overrides_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "properties"
    shutil.copytree(locations.FOLDER, folder)
    monkeypatch.setattr(locations, "FOLDER", folder)
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"stopping_step: {ord(name)}\n")
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]

    def stopping_step(*arguments: Any) -> object:
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
    assert config["MAX_ITEM_LIST_LENGTH"] == 12  # RecBole's sample.yaml has 50, and comes before
    assert config["repeatable"] is True and config["eval_args"]["order"] == "TO"  # sequential.yaml comes last


def test_defaults_are_weaker_than_any_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: SASRec\ntrain_neg_sample_args: null\n")
    config = Config(config_file_list=[file], defaults={"model": "MQSATED", "dataset": "ml-100k"})
    assert (config["model"], config["dataset"]) == ("SASRec", "ml-100k")


def test_the_arguments_of_the_process_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "--epochs=3", "--quer_windows=3", "stray"])
    assert settings()["epochs"] == 100


def test_text_is_a_literal_and_never_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "__import__('os').mkdir('evaluated')"
    config = settings(wandb_project=code, topk="[5, 20]", tau="1e-2", mask_seen="false")
    assert config["wandb_project"] == code and not list(tmp_path.iterdir())
    assert (config["topk"], config["tau"], config["mask_seen"]) == ([5, 20], 0.01, False)


def test_values_of_the_command_line_are_taken_as_they_are() -> None:
    config = Config("MQSATED", "ml-100k", command_line={"wandb_project": "5"})
    assert config["wandb_project"] == "5"


@pytest.mark.parametrize("source", ["config_dict", "command_line"])
def test_the_given_dictionaries_stay_as_they_were(source: str) -> None:
    given = {"topk": (5, 20), "loss_type": "BPR", "train_neg_sample_args": {"distribution": "popularity"}}
    before = copy.deepcopy(given)
    config = Config("SASRec", "ml-100k", **{source: given})  # type: ignore[arg-type]
    assert config["train_neg_sample_args"]["sample_num"] == 1  # which RecBole writes into the dictionary
    assert given == before


def test_the_text_none_names_a_transition() -> None:
    """Elsewhere that text, in a dictionary, means nothing at all."""
    assert settings()["transition"] == "ted"
    assert settings(transition="none")["transition"] == "none"


def test_sequences_load_their_time_unless_told_what_to_load() -> None:
    def columns(model: str = "MQSATED", **given: object) -> object:
        return Config(model, "unheard-of", config_dict=given)["load_col"]["inter"]

    assert columns() == ["user_id", "item_id", "timestamp"]
    assert columns(TIME_FIELD="when") == ["user_id", "item_id", "when"]
    assert columns(load_col={"inter": ["user_id", "item_id"]}) == ["user_id", "item_id"]
    assert columns("LightGCN") == ["user_id", "item_id", "timestamp"]  # leave-one-out in order of time, too


# What is refused. The ranges themselves are in test_check.py.


@pytest.mark.parametrize("source", ["config_file_list", "config_dict", "command_line"])
def test_bad_settings_are_refused_from_every_source(tmp_path: Path, source: str) -> None:
    def said(**given: object) -> str:
        file = tmp_path / "mine.yaml"
        file.write_text("".join(f"{key}: {value}\n" for key, value in given.items()))
        return complaint(**{source: [file] if source == "config_file_list" else given})

    assert said(xyzzy=1).startswith("unknown setting 'xyzzy' (")
    assert said(tau=-1) == "tau is -1; it has to be a number above 0"


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
def test_an_unknown_key_is_refused_with_the_nearest(key: str, near: str) -> None:
    assert f"setting '{key}'; did you mean '{near}'?" in complaint(config_dict={key: 1})
    assert Config("MQSATED", "ml-100k", config_dict={key: 1}, allow_unknown=True)[key] == 1


@pytest.mark.parametrize("key", ["split", "resume", "output_dir"])
def test_an_option_is_no_setting(key: str) -> None:
    assert complaint(config_dict={key: 1}) == f"{key} is an option of train, not a setting; leave it out"


@pytest.mark.parametrize("key", ["encoding", "wandb_project"])
def test_a_key_that_no_yaml_file_has_is_accepted(key: str) -> None:
    assert settings(**{key: "utf-8"})[key] == "utf-8"


class ReadsOwnKey(SASRec):
    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.own = config["own_key"]
        self.part = config["split"]  # a setting here, elsewhere an option


def test_keys_in_a_users_own_class_are_its_own() -> None:
    given = {"own_key": 3, "n_layers": 2, "loss_type": "BPR"}
    config = Config(ReadsOwnKey, "ml-100k", config_dict=given)
    assert (config["own_key"], config["n_layers"]) == (3, 2)
    assert "unknown setting 'own_key'" in complaint("SASRec", config_dict=given)
    assert Config(ReadsOwnKey, "ml-100k", config_dict={**given, "split": 2})["split"] == 2


@pytest.mark.parametrize(
    ("name", "near"), [("mqsated", "MQSATED"), ("SASRek", "SASRec"), ("LightGNC", "LightGCN")]
)
def test_an_unknown_model_is_refused_with_the_nearest(name: str, near: str) -> None:
    assert complaint(name) == f"unknown model '{name}'; did you mean '{near}'?"


def test_model_and_data_set_have_to_be_named() -> None:
    assert complaint(None).startswith("no model is given")
    assert complaint("MQSATED", None).startswith("no dataset is given")


def test_recboles_own_refusals_become_a_sentence() -> None:
    given = {"loss_type": "CE", "train_neg_sample_args": {"distribution": "uniform"}}
    assert "train_neg_sample_args" in complaint("SASRec", config_dict=given)
    assert "repeatable" in complaint(config_dict={"repeatable": False})


def test_recboles_plain_config_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    config = recbole.config.Config("MQSATED", "ml-100k", config_dict={"query_windows": 2, "n_heads": 4})
    assert config["query_windows"] == [2]
    with pytest.raises(UserError, match="n_heads is 3"):
        recbole.config.Config("MQSATED", "ml-100k", config_dict={"n_heads": 3})


def test_other_models_are_held_to_the_common_rules_only() -> None:
    general = {"n_layers": 0}
    assert Config("LightGCN", "ml-100k", config_dict=general)["n_layers"] == 0
    assert complaint("LightGCN", config_dict={"learning_rate": 0}).startswith("learning_rate is 0")
    assert complaint("LightGCN", config_dict={"tau": 0, "transition": "ted"}).startswith("tau is 0")


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers() | st.text())
)
"""Of any kind; those of dictionaries are in ``tests/test_fuzz.py``."""


@limits(max_examples=60, deadline=None)
@given(st.sampled_from(sorted({key for key, *_ in (*EVERY_MODEL, *WITH_TRANSITION)})), VALUES)
def test_any_value_of_any_setting_is_taken_or_refused_in_a_sentence(key: str, value: object) -> None:
    try:
        Config("MQSATED", "toy", command_line={key: value})
    except UserError as refused:
        assert str(refused).count("; ") >= 1 or "RecBole refuses" in str(refused)

"""Presets: which files are read in which order, and what the two that there are say."""

from __future__ import annotations

from pathlib import Path

import pytest
import recbole.config

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import locations
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.presets import preset_names

DATASETS = ("amazon-beauty", "amazon-sports-outdoors", "amazon-toys-games", "yelp", "ml-100k", "unheard-of")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our yaml files with a preset 'mine' of three files that say more and more."""
    monkeypatch.setattr(locations, "FOLDER", tmp_path)
    for name, text in {
        "overall.yaml": "preset: none\nepochs: 1\nseed: 1\nstopping_step: 1\neval_step: 1\n",
        "model/MQSATED.yaml": "loss_type: CE\ntrain_neg_sample_args: ~\nepochs: 2\nseed: 2\nstopping_step: 2\n"
        "eval_step: 2\n",
        "dataset/ml-100k.yaml": "epochs: 3\nseed: 3\nstopping_step: 3\neval_step: 3\n",
        "preset/mine/overall.yaml": "epochs: 4\nseed: 4\nstopping_step: 4\n",
        "preset/mine/MQSATED/overall.yaml": "epochs: 5\nseed: 5\n",
        "preset/mine/MQSATED/ml-100k.yaml": "epochs: 6\n",
        "preset/theirs/overall.yaml": "epochs: 7\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def four(config: recbole.config.Config) -> list[int]:
    return [config[key] for key in ("epochs", "seed", "stopping_step", "eval_step")]


def test_the_more_special_file_overrides_and_the_user_overrides_all(folder: Path, tmp_path: Path) -> None:
    mine = {"preset": "mine"}
    assert four(Config("MQSATED", "ml-100k")) == [3, 3, 3, 3]
    assert four(Config("MQSATED", "ml-100k", config_dict=mine)) == [6, 5, 4, 3]
    assert four(Config("MQSATED", "other", config_dict=mine)) == [5, 5, 4, 2]
    assert four(Config("SASRec", "ml-100k", config_dict=mine)) == [4, 4, 4, 3]
    file = tmp_path / "user.yaml"
    file.write_text("preset: mine\nseed: 10\n")
    given = Config("MQSATED", "ml-100k", [file], {"epochs": 11}, {"eval_step": 12})
    assert four(given) == [11, 10, 4, 12] and given["preset"] == "mine"


def test_recboles_own_config_knows_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["test"])
    config = recbole.config.Config("MQSATED", "ml-100k", config_dict={"preset": "mine"})
    assert four(config) == [6, 5, 4, 3] and config["preset"] == "mine"


@pytest.mark.parametrize("name", ["pape", "best2", 3, "../best"])
def test_an_unknown_one_is_refused_with_those_there_are(name: object) -> None:
    with pytest.raises(UserError, match="it has to be one of 'best', 'paper', 'none'"):
        Config("MQSATED", "amazon-beauty", config_dict={"preset": name})


def test_none_is_none() -> None:
    assert preset_names() == ["best", "paper"]
    for given in ({}, {"preset": "none"}, {"preset": None}):
        assert Config("MQSATED", "amazon-beauty", config_dict=given)["preset"] == "none"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", ["MQSATED", "SASRec", "LightGCN"])
@pytest.mark.parametrize("name", ["best", "paper"])
def test_each_is_accepted_for_every_model_and_data_set(name: str, model: str, dataset: str) -> None:
    config = Config(model, dataset, command_line={"preset": name})
    assert (config["preset"], config["epochs"], config["eval_step"]) == (name, 200, 1)
    assert config["user_inter_num_interval"] == Config(model, dataset)["user_inter_num_interval"]


def test_the_papers_is_the_reference_program() -> None:
    config = Config("MQSATED", "amazon-beauty", command_line={"preset": "paper"})
    assert config["stopping_step"] >= config["epochs"] == 200
    assert (config["distillation_heads"], config["adam_epsilon"], config["weight_decay"]) == (
        0,
        "tensorflow",
        1e-4,
    )
    assert (config["ema_decay"], config["transition_memory"], config["lr_schedule"]) == (0.0, 0.0, "none")
    assert (config["query_windows"], config["alpha"], config["time_span"]) == ([1, 3], 0.5, 1)


def test_another_model_keeps_its_own_sizes() -> None:
    for name in ("best", "paper"):
        plain, preset = (Config("FMLPRec", "yelp", command_line=given) for given in ({}, {"preset": name}))
        differing = {key for key in plain.final_config_dict if plain[key] != preset[key]}
        assert differing <= {"preset", "epochs", "eval_step", "stopping_step"}

"""Every setting of RecBole's works, is refused with its reason, or is set by RecBole itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from recbole.utils import dataset_arguments, evaluation_arguments, general_arguments, training_arguments

from recbole_mqsa.api import train
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import keys, locations
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.files import read_config_files
from recbole_mqsa.settings.support import DEFAULT_ONLY, OF_TRANSITIONS, REFUSED, SUPPORTED

RECBOLES = {
    *(*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments),
    *read_config_files(
        [locations.recbole_file("overall.yaml"), locations.recbole_file("dataset", "sample.yaml")]
    ),
    *keys.RECBOLE,
}
"""All that RecBole reads or writes down for every model."""


def complaint(model: str = "MQSATED", **given: Any) -> str:
    with pytest.raises(UserError) as caught:
        Config(model, "toy", command_line=given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_setting_is_in_one_table() -> None:
    tables: tuple[set[str], ...] = (
        set(SUPPORTED) - {"model", "dataset"},
        set(REFUSED),
        set(DEFAULT_ONLY),
        set(keys.OF_SOME_MODELS),
    )
    assert sorted(set().union(*tables) ^ RECBOLES) == []
    assert sum(map(len, tables)) == len(RECBOLES)


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_value_that_would_be_ignored_is_refused(key: str) -> None:
    assert complaint(**{key: "other"}) == f"{key} is 'other'; it has to be left out: {REFUSED[key]}"


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_recboles_default_of_it_is_accepted(key: str) -> None:
    default = Config("MQSATED", "toy").internal_config_dict.get(key)
    assert Config("MQSATED", "toy", command_line={key: default})[key] == default


@pytest.mark.parametrize("key", sorted(DEFAULT_ONLY - {"local_rank"}))
def test_what_recbole_sets_by_itself_is_refused(key: str) -> None:
    assert complaint(**{key: "other"}).startswith(f"{key} is 'other'; it has to be left out: it follows from")


@pytest.mark.parametrize("key", sorted(keys.OF_SOME_MODELS - {"loss_type"}))
def test_a_setting_of_other_models_is_refused(key: str) -> None:
    assert complaint(**{key: 1}).startswith(f"MQSATED has no setting '{key}'; ")


@pytest.mark.parametrize("key", sorted(OF_TRANSITIONS))
@pytest.mark.parametrize("model", ["SASRec", "BPR", "Pop"])
def test_a_setting_of_transitions_needs_one(model: str, key: str) -> None:
    if model == "Pop":  # ours: a benchmark's settings are for all its variants
        Config(model, "toy", command_line={key: 1})
        return
    assert complaint(model, **{key: 1}).startswith(
        f"setting '{key}' does nothing for {model} with transition none; leave it out"
    )
    Config(model, "toy", command_line={key: 1, "transition": OF_TRANSITIONS[key][0]})


def test_a_models_own_setting_of_that_name_is_its_own() -> None:
    assert Config("MacridVAE", "toy", command_line={"tau": 0.3})["tau"] == 0.3
    assert complaint("MacridVAE", lambda_kd=0.3).startswith("setting 'lambda_kd' does nothing for MacridVAE")


def test_wandb_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked, *more: None if asked == "wandb" else find(asked, *more)
    )
    assert complaint(log_wandb=True).startswith("log_wandb is True, but wandb is not installed")


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("SASRec", {"alpha": 7}),
        ("SASRec", {"query_windows": [1]}),
        ("BPR", {"n_heads": 2}),
        ("Pop", {"embedding_size": 8}),
        ("LightGCN", {"mask_ratio": 0.2}),
    ],
)
def test_a_model_has_no_settings_of_others(model: str, given: dict[str, Any]) -> None:
    assert f"setting '{next(iter(given))}'" in complaint(model, **given)


def test_ml_100k_is_read_where_the_user_has_it(tmp_path: Path) -> None:
    def read_from(**given: Any) -> Path:
        return Path(Config("MQSATED", "ml-100k", command_line=given)["data_path"])

    recboles = read_from()
    assert (recboles / "ml-100k.inter").exists() and read_from(data_path=str(tmp_path)) == recboles
    (tmp_path / "ml-100k").mkdir()
    assert read_from(data_path=str(tmp_path)) == tmp_path / "ml-100k"


def test_a_run_has_its_own_folder_of_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="checkpoint_dir is RecBole's; name a run's folder with output_dir"):
        train("Pop", "toy", tmp_path / "run", checkpoint_dir=str(tmp_path))

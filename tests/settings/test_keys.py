"""The table of settings that no yaml file names, compared with the source of RecBole and of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import recbole
import recbole.model.general_recommender as general
import recbole.model.sequential_recommender as sequential
from helpers.sweep import models
from recbole.utils import dataset_arguments, evaluation_arguments, general_arguments, training_arguments

from recbole_mqsa.model.mqsated import MQSATED
from recbole_mqsa.settings import keys, locations
from recbole_mqsa.settings.check import EVERY_MODEL, WITH_TRANSITION
from recbole_mqsa.settings.files import read_config_files

RECBOLE = locations.recbole_folder()
NO_SETTINGS = {"choice", "full", "loguniform", "quniform", "uniform"}
"""Looked up in other things that RecBole calls config: its file of a search, and eval_args['mode']."""
KINDS = {"sequential": "sequential", "context_aware": "context-aware", "knowledge_aware": "knowledge_base"}

COMMON = {
    *("model", "dataset"),
    *(*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments),
    *read_config_files(
        [locations.recbole_file("overall.yaml"), locations.recbole_file("dataset", "sample.yaml")]
    ),
    *read_config_files([locations.overall_file()]),
}
"""What is known for every model without the table."""


def read_by(files: Iterable[Path]) -> set[str]:
    """The keys that some source reads and nobody knows without the table."""
    found = {name for file in files for name in keys.keys_in(file.read_text(encoding="utf-8"))}
    return found - COMMON - NO_SETTINGS


def outside(root: Path, *folders: str) -> list[Path]:
    return [file for file in root.rglob("*.py") if file.relative_to(root).parts[0] not in folders]


def test_recbole_is_the_version_that_the_table_is_for() -> None:
    assert recbole.__version__ == "1.2.1"


def test_every_key_that_recbole_reads_is_in_the_table() -> None:
    needed = read_by(outside(RECBOLE, "model"))
    assert sorted(needed - keys.RECBOLE) == [], "missing in keys.RECBOLE"
    assert sorted(keys.RECBOLE - needed) == [], "in keys.RECBOLE, but read nowhere"


def test_every_key_that_this_package_reads_is_in_the_table() -> None:
    # What a model alone reads is in its yaml file, and known for no other.
    ruled = {key for key, *_ in (*EVERY_MODEL, *WITH_TRANSITION)}
    of_models = set().union(*map(keys.yaml_keys, models()))
    needed = (
        (read_by(outside(locations.PACKAGE, "model", "settings")) | ruled) - COMMON - keys.RECBOLE - of_models
    )
    assert sorted(needed - keys.OURS) == [], "missing in keys.OURS"
    assert sorted(keys.OURS - needed) == [], "in keys.OURS, but read nowhere"


def test_every_key_that_a_model_reads_is_in_the_table_or_its_yaml_file() -> None:
    needed = {}
    for package, root in (("recbole", RECBOLE), ("recbole_mqsa", locations.PACKAGE)):
        for file in (root / "model").rglob("*.py"):
            own = keys.RECBOLE | keys.OURS | yaml_keys_of(file)
            if rest := read_by([file]) - own:
                module = file.relative_to(root).with_suffix("").parts
                needed[".".join((package, *module))] = rest
    assert needed == keys.OF_MODULES


def yaml_keys_of(module: Path) -> set[str]:
    """The keys in the yaml files of a module's classes, and of their kind."""
    classes = re.findall(r"^class (\w+)", module.read_text(encoding="utf-8"), re.M)
    kind = KINDS.get(module.parent.name.removesuffix("_recommender"))
    shared = [locations.recbole_file("quick_start_config", f"{kind}.yaml")] if kind else []
    return {*read_config_files(shared)}.union(*map(keys.yaml_keys, classes))


def test_the_search_finds_what_it_should() -> None:
    looked_up = """config["a"] config.get("b", 1) self.config[ 'c' ] config_dict["d"]"""
    source = f'{looked_up} "e" in config, "f" not in self.config'
    assert keys.keys_in(source) == {"a", "b", "c", "d", "e", "f"}
    assert keys.keys_in('settings["a"] config[name] "b" in configs') == set()


def test_a_model_has_its_own_keys_and_those_of_its_bases() -> None:
    assert {"contrast", "n_layers"} <= keys.keys_of(sequential.FEARec)
    assert "query_windows" in keys.keys_of(MQSATED)
    assert not {"query_windows", "alpha", "contrast"} & keys.keys_of(general.LightGCN)


class Derived(sequential.GRU4Rec):
    def __init__(self, config: object, dataset: object) -> None:
        super().__init__(config, dataset)
        self.depth = config["my_depth"]  # type: ignore[index]


def test_a_class_that_nobody_knows_is_read_itself() -> None:
    assert {"my_depth", "dropout_prob", "num_layers"} <= keys.keys_of(Derived)
    typed = type("Typed", (sequential.GRU4Rec,), {"__module__": "__console__"})  # into a session: no file
    assert "dropout_prob" in keys.keys_of(typed)

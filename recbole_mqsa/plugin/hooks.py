"""What RecBole's functions do for our models: each function here wraps the one of RecBole's that it names.

They serve those who enter through RecBole; this package's own path calls the same code directly. Imports wait until
the first call, since RecBole may still be importing itself when this module is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..interfaces import Json, Settings
from .patching import Function, resolve

FAMILIES = (
    "general_recommender",
    "context_aware_recommender",
    "sequential_recommender",
    "knowledge_aware_recommender",
    "exlib_recommender",
)
"""RecBole's packages of models, in the order in which it searches them."""


def with_our_yaml(load: Function) -> Function:
    """``Config._update_internal_config_dict``: reads our yaml files after RecBole's of the same kind."""

    def load_with_ours(config: Settings, file: str) -> Json:
        loaded: Json = load(config, file)
        if resolve("recbole_mqsa.settings.spec:is_served")(config):
            for path in resolve("recbole_mqsa.settings.files:beside")(config, Path(file).name):
                load(config, str(path))
        return loaded

    return load_with_ours


def checking_settings(complete: Function) -> Function:
    """``Config._set_default_parameters``: checks our models' settings before RecBole completes them."""

    def check_and_complete(config: Settings) -> None:
        if resolve("recbole_mqsa.settings.spec:is_ours")(config.model_class):
            resolve("recbole_mqsa.settings.check:check_settings")(config)
        complete(config)

    return check_and_complete


def finding_one_model(get_model: Function) -> Function:
    """``get_model``: finds a model by its file, where RecBole imports all of a kind, and scikit-learn, to look."""

    def get(model_name: str) -> Any:
        if model_name in resolve("recbole_mqsa.model.registry:MODELS"):
            return _class(model_name)
        parent, file = Path(resolve("recbole.model:__path__")[0]), model_name.lower()
        for family in FAMILIES:
            if (parent / family / f"{file}.py").is_file():
                return resolve(f"recbole.model.{family}.{file}:{model_name}")
        return get_model(model_name)  # which says that there is none

    return get


def our_loaders(get_dataloader: Function) -> Function:
    """``get_dataloader``: our loaders for the models that we serve, RecBole's for others."""

    def get(config: Settings, phase: str) -> Function:
        own: Function | None = resolve("recbole_mqsa.training.build:loader_class")(config, phase)
        return own or get_dataloader(config, phase)

    return get


def masking_seen_items(full_sort_scores: Function) -> Function:
    """``full_sort_scores``: leaves out seen items, as evaluation does."""

    def scores(*args: object, **kwargs: object) -> object:
        ours = resolve("recbole_mqsa.recommend.case_study:full_sort_scores")
        return ours(*args, otherwise=full_sort_scores, **kwargs)

    return scores


def ranking_by_blocks(full_sort_topk: Function) -> Function:
    """``full_sort_topk``: leaves out seen items, and never holds all scores of all users."""

    def topk(*args: object, **kwargs: object) -> object:
        ours = resolve("recbole_mqsa.recommend.case_study:full_sort_topk")
        return ours(*args, otherwise=full_sort_topk, **kwargs)

    return topk


def loading_safely(_: Function) -> Function:
    """``load_data_and_model``: unpickles plain data and tensors only."""

    def load_data_and_model(model_file: str) -> object:
        return resolve("recbole_mqsa.training.load:load_data_and_model")(model_file)

    return load_data_and_model


def quietly(run: Function) -> Function:
    """``run_recbole``: hides warnings about RecBole's own code, which a user cannot act on."""

    def run_quietly(*args: object, **kwargs: object) -> object:
        with resolve("recbole_mqsa.runs.logs:quiet")():
            return run(*args, **kwargs)

    return run_quietly


def trainer_of(model: str) -> type:
    """The ``recbole.trainer.<Model>Trainer`` of a model of ours."""
    trainer: type = resolve("recbole_mqsa.training.build:our_trainer")(_class(model))
    return trainer


def dataset_of(model: str) -> type:
    """The ``recbole.data.dataset.<Model>Dataset`` of a model of ours."""
    dataset: type = resolve("recbole_mqsa.data.dataset:SequenceDataset")
    return dataset


def _class(model: str) -> type:
    return resolve(f"{resolve('recbole_mqsa.model.registry:MODELS')[model]}:{model}")

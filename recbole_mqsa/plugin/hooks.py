"""What RecBole's own functions do for our models, each a wrapper of the function that it stands in for.

These serve those who enter through RecBole; this package's own path calls the same functions directly. All that
is needed is imported at the first call, since RecBole may be in the middle of its own import here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from .patching import resolve

Function = Callable[..., Any]


def with_our_yaml(load: Function) -> Function:
    """``Config._update_internal_config_dict``: our files where RecBole reads its own of the same kind."""

    def load_with_ours(config: Any, file: str) -> Any:
        loaded = load(config, file)
        if resolve("recbole_mqsa.settings.spec:is_served")(config):
            for path in resolve("recbole_mqsa.settings.files:beside")(config, Path(file).name):
                load(config, str(path))
        return loaded

    return load_with_ours


def checking_settings(complete: Function) -> Function:
    """``Config._set_default_parameters``: our models' settings are checked before RecBole completes them."""

    def check_and_complete(config: Any) -> None:
        if resolve("recbole_mqsa.settings.spec:is_ours")(config.model_class):
            resolve("recbole_mqsa.settings.check:check_settings")(config)
        complete(config)

    return check_and_complete


def our_loaders(get_dataloader: Function) -> Function:
    """``get_dataloader``: ours for what we serve, RecBole's for others."""

    def get(config: Any, phase: str) -> Any:
        own = resolve("recbole_mqsa.training.build:loader_class")(config, phase)
        return own or get_dataloader(config, phase)

    return get


def masking_seen_items(full_sort_scores: Function) -> Function:
    """``full_sort_scores``: what it recommends leaves out seen items, as evaluation does."""

    def scores(uid_series: Any, model: Any, test_data: Any, device: Any = None) -> Any:
        recommend = resolve("recbole_mqsa.recommend.recommender:full_sort_scores")
        return recommend(uid_series, model, test_data, device, otherwise=full_sort_scores)

    return scores


def ranking_by_blocks(full_sort_topk: Function) -> Function:
    """``full_sort_topk``: the same, and no score of all items of all users at once."""

    def topk(uid_series: Any, model: Any, test_data: Any, k: int, device: Any = None) -> Any:
        recommend = resolve("recbole_mqsa.recommend.recommender:full_sort_topk")
        return recommend(uid_series, model, test_data, k, device, otherwise=full_sort_topk)

    return topk


def loading_safely(_: Function) -> Function:
    """``load_data_and_model``: without unpickling anything but plain data and tensors."""

    def load_data_and_model(model_file: str) -> Any:
        return resolve("recbole_mqsa.training.load:load_data_and_model")(model_file)

    return load_data_and_model


def trainer_of(model: str) -> Any:
    """``recbole.trainer.<Model>Trainer`` of a model of ours."""
    return resolve("recbole_mqsa.training.build:our_trainer")(_class(model))


def dataset_of(model: str) -> Any:
    """``recbole.data.dataset.<Model>Dataset`` of a model of ours."""
    return resolve("recbole_mqsa.data.dataset:SequenceDataset")


def _class(model: str) -> type:
    return resolve(f"{resolve('recbole_mqsa.model.registry:MODELS')[model]}:{model}")

"""A run's checkpoint read back safely."""

from __future__ import annotations

import os
from typing import Any

from recbole.data import data_preparation
from recbole.utils import init_seed

from .config import Config
from .model.transition import build_model
from .plain_data import safe_load
from .registry import create_dataset

# What RecBole's Config works out by itself, and therefore must not be given.
_DERIVED = {
    "device", "eval_type", "MODEL_TYPE", "MODEL_INPUT_TYPE", "valid_metric_bigger", "single_spec", "local_rank",
    "valid_neg_sample_args", "test_neg_sample_args", "nproc", "world_size", "offset",
}  # fmt: skip


class _TheirProtocol(Config):
    """For what RecBole's own entry trained: its models with its data path."""

    one_protocol = False


def given_settings(saved: dict[str, Any]) -> dict[str, Any]:
    """Settings that make RecBole's Config arrive at ``saved``, the plain settings of a checkpoint."""
    settings = {key: value for key, value in saved.items() if key not in _DERIVED}
    settings["data_path"] = os.path.dirname(settings["data_path"].rstrip(os.sep))
    if settings["train_neg_sample_args"]["distribution"] == "none":
        settings["train_neg_sample_args"] = None
    return settings


def load_data_and_model(model_file: str) -> tuple[Any, Any, Any, Any, Any, Any]:
    """RecBole's function of this name, without unpickling anything but plain data and tensors.

    Args:
        model_file: a checkpoint that RecBole or this package saved with this package imported.

    Returns:
        config, model, dataset, train_data, valid_data, test_data

    Raises:
        UserError: there is no such file, or it is not a checkpoint that can be read safely.
    """
    checkpoint = safe_load(model_file)
    ours = "mask_seen" in checkpoint["config"]
    config = (Config if ours else _TheirProtocol)(
        config_dict=given_settings(checkpoint["config"]), allow_unknown=True
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = build_model(config, train_data._dataset)
    model.load_state_dict(checkpoint["state_dict"])
    model.load_other_parameter(checkpoint.get("other_parameter"))
    return config, model, dataset, train_data, valid_data, test_data

"""A run's checkpoint read back safely."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from recbole.utils import init_seed

from ..runs.checkpoints import safe_load
from ..runs.folder import CHECKPOINT
from ..settings.config import Config
from .build import build_dataset, build_loaders, build_model

# What RecBole's Config works out by itself, and therefore must not be given.
_DERIVED = {
    "device", "eval_type", "MODEL_TYPE", "MODEL_INPUT_TYPE", "valid_metric_bigger", "single_spec", "local_rank",
    "valid_neg_sample_args", "test_neg_sample_args", "nproc", "world_size", "offset",
}  # fmt: skip


class Loaded(NamedTuple):
    """A trained model with its settings and data."""

    config: Any
    model: Any
    dataset: Any
    loaders: tuple[Any, Any, Any]


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


def load_run(folder: Path) -> Loaded:
    """The best epoch of the run in a folder.

    Raises:
        UserError: there is no checkpoint, or it cannot be read safely.
    """
    return load_checkpoint(folder / CHECKPOINT)


def load_checkpoint(file: str | os.PathLike[str]) -> Loaded:
    """Model, settings and data of a checkpoint that RecBole or this package saved with this package imported.

    Raises:
        UserError: there is no such file, or it is not a checkpoint that can be read safely.
    """
    checkpoint = safe_load(file)
    ours = "mask_seen" in checkpoint["config"]
    config = (Config if ours else _TheirProtocol)(
        config_dict=given_settings(checkpoint["config"]), allow_unknown=True
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = build_dataset(config)
    loaders = build_loaders(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = build_model(config, loaders[0]._dataset)
    model.load_state_dict(checkpoint["state_dict"])
    model.load_other_parameter(checkpoint.get("other_parameter"))
    return Loaded(config, model, dataset, loaders)


def load_data_and_model(model_file: str) -> tuple[Any, Any, Any, Any, Any, Any]:
    """RecBole's function of this name, without unpickling anything but plain data and tensors.

    Returns:
        config, model, dataset, train_data, valid_data, test_data

    Raises:
        UserError: as :func:`load_checkpoint`.
    """
    config, model, dataset, loaders = load_checkpoint(model_file)
    return config, model, dataset, *loaders

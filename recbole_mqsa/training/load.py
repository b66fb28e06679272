"""Load a run's checkpoint safely."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from recbole.data.dataset import Dataset
from recbole.utils import init_seed

from ..data.identity import IDS, Identity
from ..errors import UserError
from ..interfaces import Json, Loader, Loaders, Model
from ..runs.checkpoints import check_finite, safe_load
from ..runs.folder import CHECKPOINT
from ..runs.logs import quiet
from ..settings.config import Config
from ..settings.support import DEFAULT_ONLY
from .build import build_dataset, build_loaders, build_model
from .faults import explained

# Settings that RecBole's Config derives by itself and must not be given.
_DERIVED = {
    "device", "eval_type", "MODEL_TYPE", "MODEL_INPUT_TYPE", "valid_metric_bigger", "single_spec", "local_rank",
    "valid_neg_sample_args", "test_neg_sample_args", "nproc", "world_size", "offset",
}  # fmt: skip


class Loaded(NamedTuple):
    """A trained model with its settings and data."""

    config: Config
    model: Model
    dataset: Dataset
    loaders: Loaders


class _TheirProtocol(Config):
    """Settings of a run that RecBole's own entry point trained, on RecBole's data path."""

    one_protocol = False


def given_settings(saved: Json) -> Json:
    """Settings from which RecBole's Config derives ``saved``, the settings of a checkpoint as plain data."""
    settings = {key: value for key, value in saved.items() if key not in _DERIVED | DEFAULT_ONLY}
    settings["data_path"] = os.path.dirname(settings["data_path"].rstrip(os.sep))
    if settings["train_neg_sample_args"]["distribution"] == "none":
        settings["train_neg_sample_args"] = None
    return settings


def load_run(folder: Path, data_path: str | os.PathLike[str] | None = None) -> Loaded:
    """Load the best epoch of the run in a folder.

    Raises:
        UserError: there is no checkpoint, or it cannot be read safely.
    """
    return load_checkpoint(folder / CHECKPOINT, data_path)


def load_checkpoint(file: str | os.PathLike[str], data_path: str | os.PathLike[str] | None = None) -> Loaded:
    """Load model, settings and data of a checkpoint that was saved with this package imported.

    Raises:
        UserError: the file is missing, or is not a checkpoint that can be read safely.
    """
    checkpoint = safe_load(file)
    if not {"config", "state_dict"} <= checkpoint.keys():
        raise UserError(f"{file} is no checkpoint of a run; choose another file")
    check_finite(checkpoint["state_dict"], file)
    with quiet():
        return _rebuilt(checkpoint, Path(file).parent, data_path)


def _rebuilt(checkpoint: Json, folder: Path, data_path: str | os.PathLike[str] | None) -> Loaded:
    ours = "mask_seen" in checkpoint["config"]
    settings = given_settings(checkpoint["config"])
    if data_path is not None:
        settings["data_path"] = os.fspath(data_path)
    config = (Config if ours else _TheirProtocol)(config_dict=settings, allow_unknown=True)
    init_seed(config["seed"], config["reproducibility"])
    identity = Identity.read(folder / IDS) if (folder / IDS).exists() else None
    dataset = build_dataset(config, identity.ids if identity else None)
    loaders = build_loaders(config, dataset)
    if identity is not None:
        identity.check(dataset, folder)
    init_seed(config["seed"], config["reproducibility"])
    with explained(config):
        model = build_model(config, loaders[0]._dataset)
    model.load_state_dict(checkpoint["state_dict"])
    model.load_other_parameter(checkpoint.get("other_parameter"))
    return Loaded(config, model, dataset, loaders)


def load_data_and_model(model_file: str) -> tuple[Config, Model, Dataset, Loader, Loader, Loader]:
    """RecBole's function of this name, which here unpickles plain data and tensors only.

    Returns:
        config, model, dataset, train_data, valid_data, test_data

    Raises:
        UserError: as :func:`load_checkpoint`.
    """
    config, model, dataset, loaders = load_checkpoint(model_file)
    return config, model, dataset, *loaders

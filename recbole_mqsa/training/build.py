"""Data set, loaders, model and trainer of a run, from its settings."""

from __future__ import annotations

from typing import Any

import recbole.data
import recbole.data.dataset
from recbole.data.utils import create_samplers, get_dataloader
from recbole.utils import ModelType, get_model, get_trainer

from ..data.dataset import SequenceDataset
from ..data.loader import MaskedEvalLoader, SequenceTrainLoader
from ..errors import UserError
from ..model.memory import attach_memory
from ..model.transition import attach_transition
from ..settings.spec import is_ours, is_served, needs_only_order, spec_of
from .trainer import CountingTrainer, RunTrainer, SequenceTrainer

TRAINERS = {"samples": RunTrainer, "sequences": SequenceTrainer, "counts": CountingTrainer}
"""Who trains a model, by its spec's ``training``."""


def build_dataset(config: Any) -> Any:
    """The data set of a run: ours for every model that we serve, else RecBole's.

    Raises:
        UserError: a model that takes more than users, items and their order.
    """
    if not is_served(config):
        return recbole.data.create_dataset(config)
    own = hasattr(recbole.data.dataset, f"{config.model}Dataset") and not is_ours(config.model_class)
    if own or not needs_only_order(config):
        raise UserError(
            f"model '{config.model}' needs data beyond who did what in which order; run it with "
            "recbole.quick_start.run_recbole after importing recbole_mqsa"
        )
    return SequenceDataset(config)


def loader_class(config: Any, phase: str) -> Any:
    """Our loader of a phase, 'train', 'valid' or 'test'; None where RecBole's serves.

    Models that do not train on whole sequences train on RecBole's own batches; sampled evaluation (``uni100``,
    ``pop100``) is RecBole's for all.
    """
    if not is_served(config):
        return None
    if phase == "train":
        return None if spec_of(config.model_class).training == "samples" else SequenceTrainLoader
    return MaskedEvalLoader if config["eval_args"]["mode"][phase] == "full" else None


def build_loaders(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """The training, validation and test loaders of a data set.

    Raises:
        UserError: the split leaves nothing to test.
    """
    if not is_served(config):
        return recbole.data.data_preparation(config, dataset)
    parts = dataset.build()
    if not len(parts[2]):
        raise UserError(
            f"eval_args {config['eval_args']} leaves nothing to test; name a split with a test part"
        )
    samplers = create_samplers(config, dataset, parts)
    phases = {"train": config["shuffle"], "valid": False, "test": False}
    train, valid, test = (
        (loader_class(config, phase) or get_dataloader(config, phase))(config, part, sampler, shuffle=shuffle)
        for (phase, shuffle), part, sampler in zip(phases.items(), parts, samplers)
    )
    return train, valid, test


def build_model(config: Any, dataset: Any) -> Any:
    """The model that ``config`` names, with its transition and its memory, on its device.

    Args:
        config: the settings.
        dataset: the training part.
    """
    model = get_model(config["model"])(config, dataset)
    return attach_memory(attach_transition(model, config, dataset), config, dataset).to(config["device"])


def build_trainer(config: Any, model: Any) -> RunTrainer:
    """The trainer of a model: ours, with RecBole's own for this model behind it where it has one."""
    return trainer_class(config)(config, model)


def trainer_class(config: Any) -> type[RunTrainer]:
    """:class:`RunTrainer` or a subclass; before RecBole's trainer of the model, if that is another's."""
    if is_ours(config.model_class):
        return our_trainer(config.model_class)
    theirs = get_trainer(ModelType(config["MODEL_TYPE"]), config["model"])
    return type(f"Run{theirs.__name__}", (RunTrainer, theirs), {})


def our_trainer(model_class: type) -> type[RunTrainer]:
    """Who trains a model of ours."""
    return TRAINERS[spec_of(model_class).training]

"""Build the data set, loaders, model and trainer of a run from its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import recbole.data
from recbole.data.dataset import Dataset
from recbole.data.utils import _create_sampler, get_dataloader
from recbole.sampler.sampler import AbstractSampler
from recbole.utils import EvaluatorType, ModelType, get_trainer

from ..data.dataset import SequenceDataset
from ..data.identity import Ids
from ..data.loader import MaskedEvalLoader, SequenceTrainLoader
from ..data.sampled_loader import CandidateEvalLoader, PairEvalLoader
from ..errors import UserError
from ..interfaces import Loader, Loaders, Model, Settings
from ..model.memory import attach_memory
from ..model.transition import attach_transition
from ..settings.spec import is_ours, is_served, spec_of
from ..settings.unable import refuse_unable
from .suitable import refuse_unsuitable
from .trainer import CountingTrainer, RunTrainer, SequenceTrainer

TRAINERS = {"samples": RunTrainer, "sequences": SequenceTrainer, "counts": CountingTrainer}
"""The trainer of a model, by the ``training`` of its spec."""


def build_dataset(config: Settings, known: Ids | None = None) -> Dataset:
    """The data set of a run: ours for every model that we serve, else RecBole's.

    Raises:
        UserError: bad data.
    """
    if not is_served(config):
        return recbole.data.create_dataset(config)
    refuse_unable(config)
    return SequenceDataset(config, known)


def loader_class(config: Settings, phase: str) -> Callable[..., Loader] | None:
    """What makes our loader for a phase, 'train', 'valid' or 'test'; None where RecBole's own is used.

    Models that do not train on whole sequences train on RecBole's own batches.
    """
    if not is_served(config):
        return None
    if phase == "train":
        return None if spec_of(config.model_class).training == "samples" else SequenceTrainLoader
    if config["eval_args"]["mode"][phase] == "full":
        return MaskedEvalLoader
    by_value = config["eval_type"] == EvaluatorType.VALUE
    return partial(PairEvalLoader if by_value else CandidateEvalLoader, phase=phase)


def build_loaders(config: Settings, dataset: Dataset) -> Loaders:
    """The training, validation and test loaders of a data set.

    Raises:
        UserError: the split leaves nothing to test.
    """
    if not is_served(config):
        return recbole.data.data_preparation(config, dataset)
    parts = dataset.build()
    if not len(parts[2]) and config["eval_args"]["split"].get("LS") != "all":
        raise UserError(
            f"eval_args {config['eval_args']} leaves nothing to test; choose a split with a test part"
        )
    sampler = _training_sampler(config, dataset, parts)
    phases = {"train": (sampler, config["shuffle"]), "valid": (None, False), "test": (None, False)}
    train, valid, test = (
        (loader_class(config, phase) or get_dataloader(config, phase))(config, part, sampler, shuffle=shuffle)
        for (phase, (sampler, shuffle)), part in zip(phases.items(), parts)
    )
    return train, valid, test


def _training_sampler(
    config: Settings, dataset: Dataset, parts: list[SequenceDataset]
) -> AbstractSampler | None:
    """RecBole's sampler of training's negatives; evaluation has ``Candidates`` in its place."""
    drawn = config["train_neg_sample_args"]
    sampler = _create_sampler(dataset, parts, drawn["distribution"], config["repeatable"], drawn["alpha"])
    return sampler and sampler.set_phase("train")


def build_model(config: Settings, dataset: Dataset) -> Model:
    """The model that ``config`` names, with its transition terms and its memory, on its device.

    Args:
        config: the settings.
        dataset: the training part.

    Raises:
        UserError: RecBole's model cannot be trained on these data with these settings.
    """
    refuse_unsuitable(config, dataset)
    model = config.model_class(config, dataset)
    return attach_memory(attach_transition(model, config, dataset), config, dataset).to(config["device"])


def build_trainer(config: Settings, model: Model) -> RunTrainer:
    """The trainer of a model; see :func:`trainer_class`."""
    return trainer_class(config)(config, model)


def trainer_class(config: Settings) -> type[RunTrainer]:
    """Our trainer of a model; for RecBole's models, :class:`RunTrainer` on top of RecBole's own trainer."""
    if is_ours(config.model_class):
        return our_trainer(config.model_class)
    theirs = get_trainer(ModelType(config["MODEL_TYPE"]), config["model"])
    return type(f"Run{theirs.__name__}", (RunTrainer, theirs), {})


def our_trainer(model_class: type) -> type[RunTrainer]:
    """The trainer of a model of ours."""
    return TRAINERS[spec_of(model_class).training]

"""What this package has to know about a model besides its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Literal

from recbole.utils import ModelType

from ..interfaces import Json, Settings

Rule = tuple[str, Callable[[Any, Settings], bool], str]
"""A setting, a test of its value, given all settings, and what the value has to be: a template that they fill."""


@dataclass(frozen=True)
class ModelSpec:
    """One model: the rules of its settings, how it is trained, what it can do.

    A model of ours has a spec as its class attribute ``spec``; those of RecBole's models are in ``RECBOLE_MODELS``.

    Args:
        training: what it learns from: RecBole's 'samples', whole 'sequences', or nothing but 'counts'. This chooses
            the trainer and the training loader.
        rules: the rules of its own settings.
        draws_negatives: whether its losses can be computed over drawn items (``negatives``).
        length_groups: whether its loss is a mean, and padding on the right changes no state that it reads.
        variants: more variants for benchmarks, by name: the settings that make each.
    """

    training: Literal["samples", "sequences", "counts"] = "samples"
    rules: tuple[Rule, ...] = ()
    draws_negatives: bool = False
    length_groups: bool = False
    variants: Mapping[str, Json] = field(default_factory=dict)


RECBOLE_MODELS = {name: ModelSpec(length_groups=True) for name in ("BERT4Rec", "GRU4Rec", "SASRec")}
"""RecBole's own models that differ from the default."""


def spec_of(model_class: type) -> ModelSpec:
    """The spec of a model's class, RecBole's own included."""
    own = getattr(model_class, "spec", None)
    return own if isinstance(own, ModelSpec) else RECBOLE_MODELS.get(model_class.__name__, ModelSpec())


def is_ours(model_class: type) -> bool:
    """Whether a model is one of this package, or made like one."""
    return isinstance(getattr(model_class, "spec", None), ModelSpec)


def is_served(config: Settings) -> bool:
    """Whether our data path, mask and yaml files apply: always to our models, to RecBole's under our ``Config``."""
    return is_ours(config.model_class) or getattr(config, "one_protocol", False)


def needs_only_order(config: Settings) -> bool:
    """Whether a model reads nothing but users, items and, if it is sequential, their order.

    RecBole's kind TRADITIONAL are general models that compute their scores at once, such as ItemKNN and EASE.
    """
    return config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.SEQUENTIAL, ModelType.TRADITIONAL)


def reads_our_data(config: Settings) -> bool:
    """Whether this package's data path serves the model; others have RecBole's, and are evaluated by RecBole."""
    return is_ours(config.model_class) or (needs_only_order(config) and is_served(config))

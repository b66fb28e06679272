"""What this package has to know of a model besides its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Literal

from recbole.utils import ModelType

Rule = tuple[str, Callable[[Any, Any], bool], str]
"""A setting, a test of its value among all settings, and what the value has to be: a template over the settings."""


@dataclass(frozen=True)
class ModelSpec:
    """One model: what its settings have to be, how it is trained, what it can do.

    A model of ours has one as its class attribute ``spec``; those of RecBole's are in ``RECBOLE_MODELS``.

    Args:
        training: what it learns from: RecBole's 'samples', whole 'sequences', or nothing but 'counts'. Trainer
            and training loader follow from it.
        rules: of its own settings.
        draws_negatives: whether its losses can be computed over drawn items (``negatives``).
        length_groups: whether its loss is a mean, and padding at the right changes no state that it reads.
        variants: further rows of a benchmark: a name to the settings that make the variant.
    """

    training: Literal["samples", "sequences", "counts"] = "samples"
    rules: tuple[Rule, ...] = ()
    draws_negatives: bool = False
    length_groups: bool = False
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


RECBOLE_MODELS = {name: ModelSpec(length_groups=True) for name in ("BERT4Rec", "GRU4Rec", "SASRec")}
"""RecBole's own models of which there is something to say."""


def spec_of(model_class: type) -> ModelSpec:
    """The spec of a model's class, RecBole's own included."""
    own = getattr(model_class, "spec", None)
    return own if isinstance(own, ModelSpec) else RECBOLE_MODELS.get(model_class.__name__, ModelSpec())


def is_ours(model_class: type) -> bool:
    """Whether a model is of this package, or made like one."""
    return isinstance(getattr(model_class, "spec", None), ModelSpec)


def is_served(config: Any) -> bool:
    """Whether our data path, mask and yaml files apply: to our models always, to RecBole's under our ``Config``."""
    return is_ours(config.model_class) or getattr(config, "one_protocol", False)


def needs_only_order(config: Any) -> bool:
    """Whether a model takes nothing but users, items and their order."""
    return config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.SEQUENTIAL)

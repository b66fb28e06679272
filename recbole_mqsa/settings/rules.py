"""Rules for settings, each with the words of the message that refuses a bad value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from ..interfaces import Settings
from .numbers import is_number as is_number
from .numbers import is_whole as is_whole
from .spec import Rule


def whole(least: int, *keys: str) -> list[Rule]:
    """A rule for each key: a whole number of at least ``least``."""
    return [
        (key, lambda value, _: is_whole(value, least), f"a whole number of at least {least}") for key in keys
    ]


def number(wording: str, test: Callable[[float], bool], *keys: str) -> list[Rule]:
    """A rule for each key: a number that passes a test; the wording says which."""
    return [(key, lambda value, _: is_number(value) and test(value), f"a number {wording}") for key in keys]


def one_of(key: str, *names: object) -> Rule:
    """A rule for a key: one of some values."""
    return key, lambda value, _: value in names, "one of " + ", ".join(map(repr, names))


def switch(*keys: str) -> list[Rule]:
    """A rule for each key: True or False."""
    return [(key, lambda value, _: isinstance(value, bool), "True or False") for key in keys]


def _divides_width(heads: object, config: Settings) -> bool:
    return is_whole(heads, 1) and (config["hidden_size"] or 0) % heads == 0


def _samples_nothing(arguments: object, _: Settings) -> bool:
    distribution = arguments.get("distribution", "uniform") if isinstance(arguments, Mapping) else arguments
    return distribution in (None, "none", "None")


WITHOUT_SAMPLES: tuple[Rule, ...] = (
    ("loss_type", lambda loss, _: loss == "CE", "CE, {model}'s cross-entropy over all items"),
    ("train_neg_sample_args", _samples_nothing, "none, as {model} learns from all items"),
)
"""For a model that learns from all items, or does not learn."""

NETWORK: tuple[Rule, ...] = (
    *whole(1, "n_layers", "hidden_size", "inner_size"),
    *number("above 0", lambda value: value > 0, "layer_norm_eps", "initializer_range"),
    *number("from 0 to below 1", lambda value: 0 <= value < 1, "hidden_dropout_prob", "attn_dropout_prob"),
    ("n_heads", _divides_width, "a whole number that divides hidden_size, {hidden_size}"),
)
"""For a neural network with RecBole's names for its sizes."""

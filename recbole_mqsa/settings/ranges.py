"""The rules of the settings of RecBole's models, by the names and the defaults in RecBole's yaml files."""

from __future__ import annotations

from collections.abc import Mapping

from ..interfaces import Settings
from . import locations
from .files import read_yaml
from .rules import is_number, is_whole, number, one_of, switch, whole
from .spec import Rule

_FROM_ONE = frozenset(
    (
        *(
            "embedding_size",
            "hidden_size",
            "inner_size",
            "n_layers",
            "num_layers",
            "latent_dimension",
            "k",
            "nv",
            "nh",
        ),
        *(
            "mf_embedding_size",
            "mlp_embedding_size",
            "user_embedding_size",
            "item_embedding_size",
            "step",
            "order_len",
        ),
        *(
            "ui_embedding_size",
            "neigh_embedding_size",
            "hidden_dimension",
            "gcn_output_dim",
            "rank",
            "high_order",
        ),
        *(
            "n_factors",
            "n_iterations",
            "num_clusters",
            "history_len",
            "steps",
            "block_num",
            "kernel_size",
            "kfac",
        ),
        *(
            "k_interests",
            "interest_size",
            "prototype_size",
            "short_item_length",
            "weight_size",
            "neigh_num",
            "m_step",
        ),
    )
)
"""Sizes and counts of which there has to be one."""
_ABOVE_ZERO = frozenset(
    ("layer_norm_eps", "initializer_range", "temperature", "ssl_tau", "ssl_temp", "tau", "tau_ratio")
)
_SHARES = frozenset(("corruption_ratio", "drop_ratio", "message_dropout", "node_dropout"))
_ANY_NUMBER = frozenset(("margin", "negative_weight", "q", "alpha", "beta", "gamma"))
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "hidden_act": ("gelu", "relu", "swish", "tanh", "sigmoid"),
    "knn_method": ("item", "user"),
    "pooling_mode": ("max", "mean", "sum"),
    "dnn_type": ("trm", "ave"),
    "aggregator": ("mean", "user_attention", "self_attention"),
    "type": ("ED", "ND", "RW"),
}
_LOSSES: Mapping[str, tuple[str, ...]] = {
    "FPMC": ("BPR",),
    "GRU4RecCPR": ("CE",),
    "RepeatNet": ("CE",),
    "SASRecCPR": ("CE",),
    "SINE": ("BPR", "CE", "NLL"),
}
"""Losses of models that have not just both BPR and CE."""


def rules_of(model_class: type) -> tuple[Rule, ...]:
    """A rule for each setting in the yaml files of a model of RecBole's, and of the models that it is derived from."""
    defaults = {}
    for base in reversed(model_class.__mro__):
        file = locations.recbole_file("model", f"{base.__name__}.yaml")
        if base.__module__.startswith("recbole.") and file.is_file():
            defaults.update(read_yaml(file))
    rules = [rule for key, default in defaults.items() for rule in _rule(model_class.__name__, key, default)]
    if "n_heads" in defaults:
        rules.append(_heads("hidden_size" if "hidden_size" in defaults else "embedding_size"))
    return tuple(rules)


def _rule(model: str, key: str, default: object) -> list[Rule]:
    """The rule of one setting: by its name, else by the kind of its default."""
    if key == "loss_type" and default in ("BPR", "CE"):
        return [one_of(key, *_LOSSES.get(model, ("BPR", "CE")))]
    if key in _CHOICES:
        return [one_of(key, *_CHOICES[key])]
    if key == "mask_ratio":
        return [(key, _masks, "a number below 1 that masks at least one of {MAX_ITEM_LIST_LENGTH} items")]
    if key == "ft_ratio":
        return number("from 0 to 1", lambda value: 0 <= value <= 1, key)
    if key in _ABOVE_ZERO:
        return number("above 0", lambda value: value > 0, key)
    if key in _SHARES or key.endswith(("dropout_prob", "dropout")):
        return number("from 0 to below 1", lambda value: 0 <= value < 1, key)
    if key == "reg_weight":
        return [(key, _weights, "a number of at least 0, or as many as the model has weights")]
    return _by_default(model, key, default)


def _by_default(model: str, key: str, default: object) -> list[Rule]:
    if isinstance(default, bool):
        return switch(key)
    if isinstance(default, (int, float)) and (key in _ANY_NUMBER or default < 0):
        return number("that is finite", lambda _: True, key)
    if isinstance(default, int):
        return whole(1 if key in _FROM_ONE and (model, key) != ("LightGCN", "n_layers") else 0, key)
    if isinstance(default, float):
        return number("of at least 0", lambda value: value >= 0, key)
    if isinstance(default, list) and key != "selected_features":
        return [(key, _numbers, "a list of numbers of at least 0")]
    if key == "selected_features":
        return [(key, _names, "a list of one or more names of columns of the file of items, as in ['class']")]
    return [(key, lambda value, _: isinstance(value, (str, int)), "a name")]


def _masks(ratio: object, config: Settings) -> bool:
    longest = config["MAX_ITEM_LIST_LENGTH"]
    return is_number(ratio) and ratio < 1 and (not is_whole(longest, 1) or int(ratio * longest) >= 1)


def _weights(weight: object, _: Settings) -> bool:
    return _numbers(weight if isinstance(weight, (list, tuple)) else [weight], _)


def _numbers(values: object, _: Settings) -> bool:
    return isinstance(values, (list, tuple)) and all(is_number(value) and value >= 0 for value in values)


def _names(values: object, _: Settings) -> bool:
    return (
        isinstance(values, (list, tuple)) and bool(values) and all(isinstance(value, str) for value in values)
    )


def _heads(width: str) -> Rule:
    def divide(heads: object, config: Settings) -> bool:
        return is_whole(heads, 1) and is_whole(config[width], 1) and config[width] % heads == 0

    return ("n_heads", divide, f"a whole number that divides {width}, {{{width}}}")

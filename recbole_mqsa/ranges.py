"""What each setting has to be: refused in one sentence before any data is read.

A rule is a key, a test of its value among all settings, and what the value has to be: a template over the
settings. A new setting's range is one more rule in ``EVERY_MODEL``, ``WITH_TRANSITION`` or ``OUR_MODELS``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType, ModelType

from . import distributed, properties
from .errors import UserError

Rule = tuple[str, Callable[[Any, Any], bool], str]


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int, *keys: str) -> list[Rule]:
    return [
        (key, lambda value, _: _is_whole(value, least), f"a whole number of at least {least}") for key in keys
    ]


def _number(wording: str, test: Callable[[float], bool], *keys: str) -> list[Rule]:
    return [(key, lambda value, _: _is_number(value) and test(value), f"a number {wording}") for key in keys]


def _one_of(key: str, *names: Any) -> Rule:
    return key, lambda value, _: value in names, "one of " + ", ".join(map(repr, names))


def _switch(*keys: str) -> list[Rule]:
    return [(key, lambda value, _: isinstance(value, bool), "True or False") for key in keys]


# Late imports: the data path imports this file and never the models.


def _pooling() -> Rule:
    from .model.pooling import POOLINGS

    return _one_of("query_pooling", *POOLINGS)


def _transition() -> Rule:
    from .model.transition import TRANSITIONS

    return _one_of("transition", *TRANSITIONS)


def _length_groups() -> Rule:
    from .model.length_groups import EXACT

    def fits(groups: Any, config: Any) -> bool:
        return _is_whole(groups, 1) and (groups == 1 or config["model"] in EXACT)

    return "length_groups", fits, f"1, or a larger whole number for {', '.join(EXACT)}"


def _in_order(eval_args: Any, config: Any) -> bool:
    needs_time = config["MODEL_TYPE"] == ModelType.SEQUENTIAL or _is_served(config)
    order = eval_args.get("order", "RO") if isinstance(eval_args, Mapping) else None  # RecBole's default
    return not needs_time or order == "TO"


def _has_mode(eval_args: Any, config: Any) -> bool:
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else None
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    allowed = r"full|(uni|pop)[1-9]\d*" if _is_served(config) else r"full|labeled|(uni|pop)[1-9]\d*"
    return all(re.fullmatch(allowed, str(mode)) for mode in modes)


def _has_split(eval_args: Any, _: Any) -> bool:
    split = eval_args.get("split", {"RS": []}) if isinstance(eval_args, Mapping) else None
    return isinstance(split, Mapping) and len(split) == 1 and set(split) <= {"LS", "RS", "TS"}


def _is_interval(interval: Any, _: Any) -> bool:
    return re.fullmatch(r"[\[(]\s*[^,\s]+\s*,\s*[^,\s]+\s*[\])]", str(interval)) is not None


def _is_device(device: Any, _: Any) -> bool:
    return re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(device)) is not None


def _is_mapping(value: Any, _: Any) -> bool:
    return isinstance(value, Mapping)


def _metrics_exist(metrics: list[Any], _: Any) -> bool:
    kinds = {metric_types.get(str(metric).lower()) for metric in metrics}
    return len(kinds) == 1 and None not in kinds


def _cut_offs(topk: list[Any], _: Any) -> bool:
    return bool(topk) and all(_is_whole(k, 1) for k in topk)


def _is_measured(valid_metric: Any, config: Any) -> bool:
    """Whether evaluation yields this metric: those by rank (but GAUC) at a cut-off, those by value without."""
    name, _, cut_off = str(valid_metric).lower().partition("@")
    plain = name == "gauc" or metric_types.get(name) == EvaluatorType.VALUE
    cut_offs = [""] if plain else map(str, config["topk"])
    return name in [metric.lower() for metric in config["metrics"]] and cut_off in cut_offs


def _windows_fit(windows: list[Any], config: Any) -> bool:
    fit = all(_is_whole(window, 1) and window <= config["MAX_ITEM_LIST_LENGTH"] for window in windows)
    return bool(windows) and fit and len(set(windows)) == len(windows)


def _alpha_fits(alpha: Any, config: Any) -> bool:
    count = len(config["query_windows"] or [])
    if count < 2 or alpha == "learned":
        return True
    weights = alpha if isinstance(alpha, list) else [alpha, 1 - alpha] if _is_number(alpha) else []
    in_range = all(_is_number(weight) and 0 <= weight <= 1 for weight in weights)
    return in_range and len(weights) == count and abs(sum(weights) - 1) <= 1e-6


def _is_full_or_count(negatives: Any, _: Any) -> bool:
    return negatives == "full" or _is_whole(negatives, 1)


def _is_sparse_possible(sparse: Any, config: Any) -> bool:
    """Whether no part of a step reads or adds up all rows of the item embeddings."""
    by_rows = config["negatives"] != "full" and config["transition"] in ("ted", "none")
    plain = config["learner"] == "adam" and not config["clip_grad_norm"] and config["nproc"] in (None, 1)
    return sparse is False or (sparse is True and by_rows and plain and distributed.place() is None)


def _divides_width(heads: Any, config: Any) -> bool:
    return _is_whole(heads, 1) and (config["hidden_size"] or 0) % heads == 0


def _samples_nothing(arguments: Any, _: Any) -> bool:
    distribution = arguments.get("distribution", "uniform") if isinstance(arguments, Mapping) else arguments
    return distribution in (None, "none", "None")


_LOO = "for example {{'split': {{'LS': 'valid_and_test'}}, 'order': 'TO', 'mode': 'full'}}"
_SHARES = "a list of one such number for each of the windows {query_windows} that sums to 1"
_WHOLE = "left out: it holds ready-made samples, but {model} is given whole sequences; use the .inter file"

_LEVELS = ("debug", "info", "warning", "error", "critical")
_INTERVALS = ("user_inter_num_interval", "item_inter_num_interval")
_MAPPINGS: tuple[str, ...] = (
    "load_col",
    "unload_col",
    "unused_col",
    "val_interval",
    "threshold",
    "clip_grad_norm",
    "discretization",
)

_REMOVABLE = {*_INTERVALS, *_MAPPINGS}

EVERY_MODEL: tuple[Rule, ...] = (
    *_whole(0, "seed", "epochs", "stopping_step", "eval_step", "worker", "metric_decimal_place"),
    *_whole(1, "train_batch_size", "eval_batch_size", "nproc"),
    *_whole(2, "MAX_ITEM_LIST_LENGTH"),
    *_number("above 0", lambda value: value > 0, "learning_rate"),
    *_number("of at least 0", lambda value: value >= 0, "weight_decay"),
    *_switch("mask_seen", "repeatable", "show_progress"),
    _one_of("long_sequences", "last", "windows"),
    (
        "negatives",
        lambda value, config: value == "full" or _draws(config),
        "'full', as {model} draws no items",
    ),
    (
        "sparse_gradients",
        lambda value, config: value is False or _draws(config),
        "False, as {model} draws no items",
    ),
    _one_of("prefixes", "all", "longest"),
    ("metrics", _metrics_exist, f"metrics all by rank or all by value, out of {', '.join(metric_types)}"),
    ("topk", _cut_offs, "one or more whole numbers of at least 1"),
    ("valid_metric", _is_measured, "one of the metrics {metrics}, at one of topk, {topk}, as in NDCG@20"),
    ("eval_args", _in_order, f"a mapping with order: TO, as {{model}} needs the past; {_LOO}"),
    ("eval_args", _has_mode, f"a mapping with mode full, uni or pop and a number; {_LOO}"),
    ("eval_args", _has_split, f"a mapping with one split, LS, RS or TS; {_LOO}"),
    ("benchmark_filename", lambda _, config: not _is_served(config), _WHOLE),
    ("dataset", lambda name, _: not set(str(name)) & set("/\\"), "a name; its folder goes into data_path"),
    ("device", _is_device, "'auto', 'cpu', 'cuda' or a certain GPU as in 'cuda:1'"),
    ("data_path", lambda path, _: isinstance(path, str), "a folder"),
    ("seed", lambda seed, _: seed < 2**32, "below 2 ** 32"),
    _one_of("learner", "adam", "adamw", "sgd", "adagrad", "rmsprop"),
    _one_of("state", *_LEVELS, *map(str.upper, _LEVELS)),
    *((key, _is_interval, "an interval such as '[5,inf)'") for key in _INTERVALS),
    *((key, _is_mapping, "a mapping, in quotes on the command line") for key in _MAPPINGS),
)
"""What the settings of every model have to be."""

WITH_TRANSITION: tuple[Rule, ...] = (
    *_whole(0, "distillation_heads", "ges_layers"),
    *_whole(1, "time_span", "grareg_neighbours"),
    *_number("above 0", lambda value: value > 0, "tau"),
    *_number("of at least 0", lambda value: value >= 0, "lambda_kd", "lambda_reg"),
    (
        "softmax_block",
        lambda rows, _: rows == "auto" or _is_whole(rows, 0),
        "'auto' or a whole number of at least 0",
    ),
    _one_of("softmax_precision", "auto", "float32", "bfloat16"),
)
"""What the settings of ``transition`` have to be for any model that has one, and always for ours."""

OUR_MODELS: tuple[Rule, ...] = (
    *_whole(1, "n_layers", "hidden_size", "inner_size", "attention_groups"),
    *_number("above 0", lambda value: value > 0, "layer_norm_eps", "initializer_range"),
    *_number("above 0 and at most 1", lambda value: 0 < value <= 1, "query_decay"),
    *_number("from 0 to below 1", lambda value: 0 <= value < 1, "hidden_dropout_prob", "attn_dropout_prob"),
    *_number("from 0 to 1", lambda value: 0 <= value <= 1, "negatives_beta"),
    ("negatives", _is_full_or_count, "'full' or a whole number of at least 1"),
    (
        "sparse_gradients",
        _is_sparse_possible,
        "False, or True with a number of negatives, transition ted or none, learner adam, no clip_grad_norm and "
        "one process",
    ),
    ("n_heads", _divides_width, "a whole number that divides hidden_size, {hidden_size}"),
    ("query_windows", _windows_fit, "different whole numbers from 1 to the maximum {MAX_ITEM_LIST_LENGTH}"),
    ("alpha", _alpha_fits, f"a number from 0 to 1 for two query windows, {_SHARES}, or 'learned'"),
    ("loss_type", lambda loss, _: loss == "CE", "CE, {model}'s cross-entropy over all items"),
    ("train_neg_sample_args", _samples_nothing, "none, as {model} learns from all items"),
)
"""What those of this package's models have to be besides; elsewhere some of the names mean other things."""


def _draws(config: Any) -> bool:
    """Whether the model has losses over drawn items: it names the setting in its own file."""
    return config["model"] == "MQSATED"


def _is_ours(config: Any) -> bool:
    bases = getattr(config, "model_class", object).__mro__
    return any(base.__module__.partition(".")[0] == properties.PACKAGE.name for base in bases)


def _is_served(config: Any) -> bool:
    """Whether this package's data path serves the model: its own always, RecBole's under its Config."""
    plain = config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.SEQUENTIAL)  # users, items and their order
    return _is_ours(config) or (plain and getattr(config, "one_protocol", False))


def normalise(config: Any) -> None:
    """Make lists of the settings that are lists, so that ``topk=20`` and ``query_windows=(1, 3)`` are allowed.

    ``transition`` is always named afterwards.
    """
    for key in ("query_windows", "topk", "metrics"):
        value = config[key]
        if isinstance(value, tuple):
            config[key] = list(value)
        elif value is not None and not isinstance(value, list):
            config[key] = [value]
    if isinstance(config["alpha"], tuple):
        config["alpha"] = list(config["alpha"])
    if config["transition"] is None:  # how the text "none" is read
        config["transition"] = "none"


def check_settings(config: Any) -> None:
    """Check the range of each setting that is there, so that a bad one costs no time; normalises lists first.

    ``config`` is any RecBole ``Config``, this package's or the plain one.

    Raises:
        UserError: one sentence with the key, its value and what it has to be.
    """
    normalise(config)
    given = getattr(config, "external_config_dict", {})
    defaults = getattr(config, "internal_config_dict", {})
    ours, chosen = _is_ours(config), config["transition"] != "none"
    rules = (
        *EVERY_MODEL,
        _transition(),
        _length_groups(),
        *(WITH_TRANSITION if ours or chosen else ()),
        *((*OUR_MODELS, _pooling()) if ours else ()),
    )
    for key, test, need in rules:
        value = config[key]
        removed = value is None and key in given and defaults.get(key) is not None and key not in _REMOVABLE
        if removed or (value is not None and not test(value, config)):
            raise UserError(f"{key} is {value!r}; it has to be {need.format_map(config)}")

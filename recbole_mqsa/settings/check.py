"""The rules of every model's settings: a bad value is refused in one sentence, before any data is read.

A model's own rules are in its ``spec``. To check a new setting, add a rule there or in ``EVERY_MODEL``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType, ModelType

from ..errors import UserError
from ..interfaces import Settings
from .accuracy import ACCURACY
from .metrics import METRICS
from .numbers import is_number, is_whole
from .ranges import rules_of
from .rules import number, one_of, switch, whole
from .spec import RECBOLE_MODELS, Rule, is_ours, is_served, reads_our_data, spec_of
from .support import TRACKERS, refuse_ignored

TRANSITIONS = ("ted", "grareg", "ges", "none")
"""The ways in which item transitions enter a model (``model/transition.py``)."""


def _draws(_: object, config: Settings) -> bool:
    return spec_of(config.model_class).draws_negatives


def _groups_fit(groups: object, config: Settings) -> bool:
    return is_whole(groups, 1) and (groups == 1 or spec_of(config.model_class).length_groups)


def _in_order(eval_args: object, config: Settings) -> bool:
    needs_time = config["MODEL_TYPE"] == ModelType.SEQUENTIAL or reads_our_data(config)
    order = eval_args.get("order", "RO") if isinstance(eval_args, Mapping) else None  # RecBole's default
    return not needs_time or order == "TO"


def _has_mode(eval_args: object, config: Settings) -> bool:
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else None
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    allowed = r"full|(uni|pop)[1-9]\d*" if reads_our_data(config) else r"full|labeled|(uni|pop)[1-9]\d*"
    return all(re.fullmatch(allowed, str(mode)) for mode in modes)


def _has_split(eval_args: object, _: Settings) -> bool:
    split = eval_args.get("split", {"RS": [1, 0, 0]}) if isinstance(eval_args, Mapping) else None
    if not isinstance(split, Mapping) or len(split) != 1:
        return False
    ((kind, value),) = split.items()
    if kind == "LS":
        return value in ("valid_and_test", "valid_only", "test_only", "all")
    shares = isinstance(value, (list, tuple)) and all(is_number(share) and share >= 0 for share in value)
    return kind in ("RS", "TS") and shares and len(value) == 3 and value[0] > 0


def _is_interval(interval: object, _: Settings) -> bool:
    return re.fullmatch(r"[\[(]\s*[^,\s]+\s*,\s*[^,\s]+\s*[\])]", str(interval)) is not None


def _is_device(device: object, _: Settings) -> bool:
    return re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(device)) is not None


def _are_gpus(numbers: object, _: Settings) -> bool:
    several = numbers if isinstance(numbers, (list, tuple)) else str(numbers).split(",")
    return numbers == "" or all(re.fullmatch(r"\s*-?\d+\s*", str(number)) for number in several)


def _draws_negatives(given: object, _: Settings) -> bool:
    if not isinstance(given, Mapping) or not set(given) <= _NEGATIVES_OF.keys():
        return given == "None"
    return all(_NEGATIVES_OF[key](value) for key, value in given.items())


_NEGATIVES_OF: Mapping[str, Callable[[object], bool]] = {
    "distribution": lambda name: name in ("uniform", "popularity", "none", "None", None),
    "sample_num": lambda many: many == "none" or is_whole(many, 1),
    "alpha": lambda power: power == "none" or is_number(power),
    "dynamic": lambda value: isinstance(value, bool),
    "candidate_num": lambda many: is_whole(many, 0),
}
_NEGATIVES = (
    "None, or a mapping with distribution uniform or popularity, sample_num, alpha, dynamic, candidate_num"
)


def _clips(given: object, _: Settings) -> bool:
    if not isinstance(given, Mapping) or not {"max_norm"} <= given.keys() <= {"max_norm", "norm_type"}:
        return False
    return all(is_number(value) and value > 0 for value in given.values())


def _is_mapping(value: object, _: Settings) -> bool:
    return isinstance(value, Mapping)


def _metrics_exist(metrics: list[object], _: Settings) -> bool:
    kinds = {metric_types.get(str(metric).lower()) for metric in metrics}
    return len(kinds) == 1 and None not in kinds


def _cut_offs(topk: list[object], _: Settings) -> bool:
    return bool(topk) and all(is_whole(k, 1) for k in topk)


def _is_measured(valid_metric: object, config: Settings) -> bool:
    """Whether evaluation yields this metric: one by rank, except GAUC, has a cut-off, one by value has none."""
    name, _, cut_off = str(valid_metric).lower().partition("@")
    has_none = name == "gauc" or metric_types.get(name) == EvaluatorType.VALUE
    cut_offs = [""] if has_none else map(str, config["topk"])
    return name in [metric.lower() for metric in config["metrics"]] and cut_off in cut_offs


_LOO = "for example {{'split': {{'LS': 'valid_and_test'}}, 'order': 'TO', 'mode': 'full'}}"
_PICKLED = "left out: loaders are saved as pickles, which can run any code when loaded; data is read again in seconds"
_WHOLE = "left out: it holds finished samples, but {model} needs whole sequences; use the .inter file"

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

_REMOVABLE = {*_INTERVALS, *_MAPPINGS, "train_neg_sample_args"}

EVERY_MODEL: tuple[Rule, ...] = (
    *whole(0, "seed", "epochs", "stopping_step", "eval_step", "worker", "metric_decimal_place"),
    *whole(1, "train_batch_size", "eval_batch_size", "nproc"),
    *whole(2, "MAX_ITEM_LIST_LENGTH"),
    *number("above 0", lambda value: value > 0, "learning_rate", "rank_timeout"),
    *number("of at least 0", lambda value: value >= 0, "weight_decay", "state_interval"),
    *whole(0, "loss_decimal_place"),
    *switch("mask_seen", "repeatable", "show_progress", "use_gpu", "shuffle", "reproducibility", "log_wandb"),
    *switch("enable_amp", "enable_scaler", "require_pow", "filter_inter_by_user_or_item", "normalize_all"),
    *(
        (key, lambda names, _: isinstance(names, (list, tuple)), "a list of names of columns")
        for key in ("numerical_features", "normalize_field", "alias_of_user_id", "alias_of_item_id")
    ),
    ("gpu_id", _are_gpus, "the number of a GPU, or several as in '0,1'"),
    ("train_neg_sample_args", _draws_negatives, _NEGATIVES),
    ("clip_grad_norm", _clips, "a mapping with max_norm above 0, as {{'max_norm': 5}}"),
    one_of("long_sequences", "last", "windows"),
    (
        "negatives",
        lambda value, config: value == "full" or _draws(value, config),
        "'full', as {model} draws no items",
    ),
    (
        "sparse_gradients",
        lambda value, config: value is False or _draws(value, config),
        "False, as {model} draws no items",
    ),
    one_of("prefixes", "all", "longest"),
    one_of("rm_dup_inter", "first", "last"),
    one_of("time_order", "exact", "recbole"),
    one_of("track", "none", *TRACKERS),
    ("track_project", lambda name, _: isinstance(name, str) and bool(name), "a name"),
    one_of("transition", *TRANSITIONS),
    ("length_groups", _groups_fit, f"1, or a larger whole number for {', '.join(RECBOLE_MODELS)}"),
    *((key, lambda value, _: not value, _PICKLED) for key in ("save_dataloaders", "dataloaders_save_path")),
    ("metrics", _metrics_exist, f"metrics all by rank or all by value, out of {', '.join(metric_types)}"),
    *METRICS,
    ("topk", _cut_offs, "one or more whole numbers of at least 1"),
    ("valid_metric", _is_measured, "one of the metrics {metrics}, at one of topk, {topk}, as in NDCG@20"),
    ("eval_args", _in_order, f"a mapping with order: TO, as {{model}} needs the past; {_LOO}"),
    ("eval_args", _has_mode, f"a mapping with mode full, uni or pop and a number; {_LOO}"),
    ("eval_args", _has_split, f"a mapping with one split, LS, or RS or TS with three shares; {_LOO}"),
    ("benchmark_filename", lambda _, config: not reads_our_data(config), _WHOLE),
    (
        "dataset",
        lambda name, _: bool(name) and not set(str(name)) & set("/\\"),
        "a name; its folder goes into data_path",
    ),
    ("device", _is_device, "'auto', 'cpu', 'cuda' or a certain GPU as in 'cuda:1'"),
    ("data_path", lambda path, _: isinstance(path, str), "a folder"),
    ("seed", lambda seed, _: seed < 2**32, "below 2 ** 32"),
    one_of("learner", "adam", "adamw", "sgd", "adagrad", "rmsprop"),
    one_of("state", *_LEVELS, *map(str.upper, _LEVELS)),
    *((key, _is_interval, "an interval such as '[5,inf)'") for key in _INTERVALS),
    *((key, _is_mapping, "a mapping, in quotes on the command line") for key in _MAPPINGS),
    *ACCURACY,
)
"""The rules of every model's settings."""

WITH_TRANSITION: tuple[Rule, ...] = (
    *whole(0, "distillation_heads", "ges_layers"),
    *whole(1, "time_span", "grareg_neighbours"),
    *number("above 0 and at most 1", lambda value: 0 < value <= 1, "time_decay"),
    *number("above 0", lambda value: value > 0, "tau"),
    *number("of at least 0", lambda value: value >= 0, "lambda_kd", "lambda_reg", "backward_weight"),
    (
        "softmax_block",
        lambda rows, _: rows == "auto" or is_whole(rows, 0),
        "'auto' or a whole number of at least 0",
    ),
    one_of("softmax_precision", "auto", "float32", "bfloat16"),
)
"""The rules of the settings of ``transition``: for any model that has one, and always for ours."""


def normalise(config: Settings) -> None:
    """Turn one value or a tuple into a list where a setting is a list, as in ``topk=20``, ``query_windows=(1, 3)``.

    Afterwards ``transition``, ``lr_schedule``, ``preset`` and ``track`` always have a name.
    """
    for key in ("query_windows", "topk", "metrics"):
        value = config[key]
        if isinstance(value, tuple):
            config[key] = list(value)
        elif value is not None and not isinstance(value, list):
            config[key] = [value]
    if isinstance(config["alpha"], tuple):
        config["alpha"] = list(config["alpha"])
    for key in ("transition", "lr_schedule", "preset", "track"):
        if config[key] is None:  # as the text "none" is read
            config[key] = "none"


def check_settings(config: Settings) -> None:
    """Check each setting that is given, after normalising lists, so that a bad value costs no time.

    Args:
        config: RecBole's own ``Config`` or this package's.

    Raises:
        UserError: one sentence with the key, its value and what it has to be.
    """
    refuse_ignored(config)
    normalise(config)
    given = getattr(config, "external_config_dict", {})
    defaults = getattr(config, "internal_config_dict", {})
    ours, chosen = is_ours(config.model_class), config["transition"] != "none"
    rules = (
        *EVERY_MODEL,
        *(WITH_TRANSITION if ours or chosen else ()),
        *spec_of(config.model_class).rules,
        *(rules_of(config.model_class) if is_served(config) and not ours else ()),
    )
    for key, test, need in rules:
        value = config[key]
        removed = value is None and key in given and defaults.get(key) is not None and key not in _REMOVABLE
        if removed or (value is not None and not test(value, config)):
            raise UserError(f"{key} is {value!r}; it has to be {need.format_map(config)}")

"""What the settings have to be that make a model more accurate: average, schedule, memory, preset."""

from __future__ import annotations

from collections.abc import Mapping

from recbole.evaluator.register import metrics_dict

from ..interfaces import Settings
from .rules import number, one_of, switch, whole
from .spec import Rule, reads_our_data


def _has_epochs_to_judge(schedule: object, config: Settings) -> bool:
    return schedule != "plateau" or config["eval_step"] != 0


def _is_adam(epsilon: object, config: Settings) -> bool:
    return epsilon == "torch" or config["learner"] in ("adam", "adamw")


def _ranks_all(config: Settings) -> bool:
    """Whether this package's loaders rank all items, which a memory needs to know the histories."""
    eval_args = config["eval_args"]
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else "full"
    return reads_our_data(config) and set(mode.values() if isinstance(mode, Mapping) else [mode]) == {"full"}


def validates(config: Settings) -> bool:
    """Whether the split leaves a validation part."""
    return _leaves(config, 1, ("test_only", "all"))


def tests(config: Settings) -> bool:
    """Whether the split leaves a test part."""
    return _leaves(config, 2, ("valid_only", "all"))


def _leaves(config: Settings, part: int, without: tuple[str, str]) -> bool:
    """Whether a part has a share by ratio, or is none that these ways of leaving out lack."""
    split = config["eval_args"].get("split", {})
    shares = [split[kind][part] for kind in ("RS", "TS") if kind in split]
    return split.get("LS") not in without and 0 not in shares


def _may_remember(strength: object, config: Settings) -> bool:
    return strength == 0 or _ranks_all(config)


def _may_fit(fit: object, config: Settings) -> bool:
    metric = metrics_dict.get(str(config["valid_metric"]).partition("@")[0].lower())
    by_rank = metric is not None and metric.metric_need == ["rec.topk"]
    return not fit or (by_rank and _ranks_all(config) and validates(config))


AVERAGING: tuple[Rule, ...] = tuple(number("from 0 to below 1", lambda value: 0 <= value < 1, "ema_decay"))
"""Of the moving average of the weights."""

SCHEDULES: tuple[Rule, ...] = (
    one_of("lr_schedule", "none", "cosine", "plateau"),
    ("lr_schedule", _has_epochs_to_judge, "none or cosine, as eval_step 0 evaluates no epoch"),
    *number("from 0 to 1", lambda value: 0 <= value <= 1, "lr_floor"),
    *number("above 0 and below 1", lambda value: 0 < value < 1, "lr_factor"),
    *whole(0, "lr_patience"),
    one_of("adam_epsilon", "torch", "tensorflow"),
    ("adam_epsilon", _is_adam, "torch, as learner is {learner}"),
)
"""Of the optimiser's learning rate and epsilon."""

MEMORY: tuple[Rule, ...] = (
    *number("of at least 0", lambda value: value >= 0, "transition_memory"),
    (
        "transition_memory",
        _may_remember,
        "0, as it needs sequences of this package's and evaluation over all items",
    ),
    *number("above 0", lambda value: value > 0, "memory_scale"),
    *number("above 0 and at most 1", lambda value: 0 < value <= 1, "memory_recency", "memory_decay"),
    *whole(1, "memory_items", "memory_span"),
    *switch("memory_fit"),
    (
        "memory_fit",
        _may_fit,
        "False, as it needs sequences of this package's, a validation part, evaluation over all items and a "
        "valid_metric of the target's rank such as NDCG@20",
    ),
)
"""Of the transition memory."""

ACCURACY: tuple[Rule, ...] = (*AVERAGING, *SCHEDULES, *MEMORY)
"""Of any model."""

"""Which metrics go with which model and mode of evaluation (``docs/metrics.md``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType

from ..interfaces import Settings
from .rules import number
from .spec import Rule, is_served

PROBABILITIES = frozenset({"CDAE", "DIEN", "DIN", "DMF", "FISM", "NAIS", "NNCF", "NeuMF"})
"""RecBole's general and sequential models that score a pair by a probability; the others' scores have no unit."""
OF_PROBABILITIES = ("logloss", "mae", "rmse")


def _are_probabilities(metrics: Sequence[object], config: Settings) -> bool:
    """Whether the model has what the metrics take; CDAE has it with its default activation only."""
    model = config.model_class.__name__
    suits = model in PROBABILITIES and config["out_activation"] in (None, "sigmoid")
    return (
        not is_served(config) or suits or not any(str(name).lower() in OF_PROBABILITIES for name in metrics)
    )


def _are_ranked_or_sampled(metrics: Sequence[object], config: Settings) -> bool:
    by_value = any(metric_types.get(str(name).lower()) == EvaluatorType.VALUE for name in metrics)
    eval_args = config["eval_args"]
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else None
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    return not (is_served(config) and by_value and any(mode in ("full", None) for mode in modes))


METRICS: tuple[Rule, ...] = (
    (
        "metrics",
        _are_ranked_or_sampled,
        "by rank where mode is full; metrics by value judge sampled pairs: set mode uni100 or pop100 in eval_args",
    ),
    (
        "metrics",
        _are_probabilities,
        "without LogLoss, MAE and RMSE for {model}, whose scores are not probabilities; AUC takes any scores",
    ),
    *number("above 0", lambda value: value > 0, "tail_ratio"),
)
"""The rules of ``metrics`` besides that they exist, and of what they read."""

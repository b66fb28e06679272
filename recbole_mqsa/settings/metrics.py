"""Which metrics go with which model and mode of evaluation (``docs/metrics.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType

from ..interfaces import Settings
from .rules import number
from .spec import Rule, reads_our_data

PROBABILITIES = frozenset({"CDAE", "DIEN", "DIN", "DMF", "FISM", "NAIS", "NNCF", "NeuMF"})
"""RecBole's general and sequential models that score a pair by a probability; the others' scores have no unit."""
OF_PROBABILITIES = ("logloss", "mae", "rmse")
BY_VALUE = [name for name, kind in metric_types.items() if kind == EvaluatorType.VALUE]
"""Metrics that judge single pairs of user and item."""


def _any(metrics: Sequence[object], names: Iterable[str]) -> bool:
    return not {str(metric).lower() for metric in metrics}.isdisjoint(names)


def _are_probabilities(metrics: Sequence[object], config: Settings) -> bool:
    """Whether the model has what the metrics take; CDAE has it with its default activation only."""
    known = config.model_class.__name__ in PROBABILITIES and config["out_activation"] in (None, "sigmoid")
    return known or not reads_our_data(config) or not _any(metrics, OF_PROBABILITIES)


def _have_pairs(metrics: Sequence[object], config: Settings) -> bool:
    eval_args = config["eval_args"]
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else "full"
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    return "full" not in modes or not reads_our_data(config) or not _any(metrics, BY_VALUE)


METRICS: tuple[Rule, ...] = (
    (
        "metrics",
        _have_pairs,
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

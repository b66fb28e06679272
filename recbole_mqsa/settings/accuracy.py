"""What the settings have to be that make a model more accurate: average, schedule, memory, preset."""

from __future__ import annotations

from typing import Any

from .rules import number, one_of, whole
from .spec import Rule


def _has_epochs_to_judge(schedule: Any, config: Any) -> bool:
    return schedule != "plateau" or config["eval_step"] != 0


def _is_adam(epsilon: Any, config: Any) -> bool:
    return epsilon == "torch" or config["learner"] in ("adam", "adamw")


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

ACCURACY: tuple[Rule, ...] = (*AVERAGING, *SCHEDULES)
"""Of any model."""

"""What happens around each step of an optimiser, whoever takes the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

EPSILON = 1e-8
"""Adam's epsilon in TensorFlow and in torch."""


def around_steps(
    optimizer: torch.optim.Optimizer,
    before: Callable[[], None] | None = None,
    after: Callable[[], None] | None = None,
) -> None:
    """Have ``before`` and ``after`` called around each step of an optimiser.

    An optimiser whose step is made of its base class's, as :class:`.row_adam.RowAdam`, calls torch's hooks twice a
    step; here a step counts once.
    """
    depth = 0

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth == 1 and before is not None:
            before()

    def leave(*_: object) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0 and after is not None:
            after()

    optimizer.register_step_pre_hook(enter)
    optimizer.register_step_post_hook(leave)


def use_tensorflow_epsilon(optimizer: torch.optim.Optimizer) -> None:
    """Make Adam's update that of TensorFlow, where epsilon is added before the correction of the bias.

    TensorFlow: ``lr * s / (1 - b1^t) * m / (sqrt(v) + eps)`` with ``s = sqrt(1 - b2^t)``; torch:
    ``lr / (1 - b1^t) * m / (sqrt(v) / s + eps')``. They are the same for ``eps' = eps / s``. The steps are counted
    in the optimiser's own groups, which a resumed run restores.
    """

    def before() -> None:
        for group in optimizer.param_groups:
            group["steps"] = group.get("steps", 0) + 1
            group["eps"] = EPSILON / math.sqrt(1 - group["betas"][1] ** group["steps"])

    around_steps(optimizer, before)

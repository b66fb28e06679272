"""How a window of the last L states becomes one query.

A pooling gives each age in the window a weight (age 0 is the newest state). Near the start of a sequence,
where fewer than L states exist, their weights are normalised. To add a pooling, write a function that returns
its weights, and enter it in ``POOLINGS``.
"""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor


def mean(window: int, decay: float) -> Tensor:
    """Equal weights: the paper's query."""
    return torch.ones(window)


def decayed(window: int, decay: float) -> Tensor:
    """``decay ** age``: newer states weigh more."""
    return decay ** torch.arange(window, dtype=torch.float32)


POOLINGS: dict[str, Callable[[int, float], Tensor]] = {"mean": mean, "decay": decayed}


def pool_window(states: Tensor, depth: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of the last L states up to each position.

    Args:
        states: [P, D] packed states, sequence after sequence, each from old to new.
        depth: [P] how many older positions of its sequence come before each position.
        weights: [L] by age.

    Returns:
        [P, D]
    """
    if len(weights) == 1:
        return states
    total = states * weights[0]
    for age in range(1, len(weights)):
        older = (
            torch.cat([states.new_zeros(age, states.size(1)), states[:-age]]) if age < len(states) else None
        )
        if older is not None:
            total = total + older * (weights[age] * (depth >= age))[:, None]
    return total / weights.cumsum(0)[depth.clamp(max=len(weights) - 1)][:, None]

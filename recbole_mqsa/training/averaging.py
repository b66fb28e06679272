"""An exponential moving average of a model's weights, for evaluation and for what is kept (``ema_decay``).

Training goes on from the raw weights. The average lags behind them and smooths their noise, so that it is better by
the end of training than any single step's (Polyak and Juditsky, 1992).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..interfaces import Json, Model
from .steps import around_steps


class AveragedWeights:
    """``average = decay * average + (1 - decay) * weights`` after each step; the first step's weights begin it.

    Buffers, such as those of batch norms, are not averaged: evaluation takes the model's own.

    Args:
        model: whose parameters are meant; they stay the same objects while it is trained.
        decay: from 0 to below 1; 0 turns averaging off, and then nothing here does anything.

    Attributes:
        count: steps in the average.
        average: one tensor a parameter; none before the first step.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay = model, decay
        self.count = 0
        self.average: list[Tensor] = []
        self._update = get_ema_multi_avg_fn(decay)
        self._applied = False

    def _weights(self) -> list[Tensor]:
        return [parameter.detach() for parameter in self.model.parameters()]

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Take each of the optimiser's steps into the average."""
        if self.decay:
            around_steps(optimizer, after=self.after_step)

    def after_step(self) -> None:
        """Take the weights as they are now into the average."""
        weights = self._weights()
        if self.count:
            self._update(self.average, weights, self.count)
        else:
            self.average = [weight.clone() for weight in weights]
        self.count += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model has the averaged weights; afterwards the raw ones again, bit for bit."""
        if not self.count or self._applied:
            yield
            return
        raw = [weight.clone() for weight in self._weights()]
        self._applied = True
        _write(self._weights(), self.average)
        try:
            yield
        finally:
            _write(self._weights(), raw)
            self._applied = False

    def restart(self) -> None:
        """Forget the average: the model has been given other weights."""
        self.count, self.average = 0, []

    def state_dict(self) -> Json:
        """What a resumed run needs."""
        return {"count": self.count, "average": self.average}

    def load_state_dict(self, state: Json) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.count = state["count"]
        self.average = [
            average.to(weight.device, copy=True) for average, weight in zip(state["average"], self._weights())
        ]


def _write(into: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    for tensor, value in zip(into, values):
        tensor.copy_(value)

"""Adam for embeddings of which each step reads a few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class RowAdam(torch.optim.Adam):
    """Adam that updates, where a gradient is sparse, only the rows that the gradient has.

    The update of these rows is Adam's, with bias correction by the number of all steps and with coupled L2
    (``weight_decay``). A row that a step does not read keeps its weights and moments: neither momentum nor L2 changes
    it, as in torch's ``SparseAdam``, which has no L2. Dense gradients are left to Adam. Synchronises with a GPU once
    per step, to count the rows.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        sparse = [
            (group, weight, weight.grad.coalesce())
            for group in self.param_groups
            for weight in group["params"]
            if weight.grad is not None and weight.grad.is_sparse
        ]
        for _, weight, _ in sparse:
            weight.grad = None
        loss = super().step(closure)
        for group, weight, gradient in sparse:
            self._move_rows(group, weight, gradient.indices()[0], gradient.values())
            weight.grad = gradient
        return loss

    def _move_rows(self, group: dict[str, Any], weight: Tensor, rows: Tensor, gradient: Tensor) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        step, (beta1, beta2), before = state["step"].double(), group["betas"], weight[rows]
        gradient = gradient + group["weight_decay"] * before
        mean = state["exp_avg"][rows].lerp(gradient, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul(beta2).addcmul(gradient, gradient, value=1 - beta2)
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        size = (square / (1 - beta2**step)).sqrt() + group["eps"]
        weight.index_copy_(0, rows, before - group["lr"] * (mean / (1 - beta1**step)) / size)

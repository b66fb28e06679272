"""The item embeddings as one step reads them: however many readers, one gradient.

Autograd gives every reader of a tensor a gradient of its own as large as the tensor, and adds them up. Here
the readers add theirs, a few rows or all, into one buffer, which a node between them and the embedding hands
on once they all have.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Gradient:
    """The gradient of a table while it is summed up; it takes no memory before there is something to hold.

    Args:
        values: [I + 1, D], of which it is the gradient.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self._sum: Tensor | None = None

    def buffer(self) -> Tensor:
        """[I + 1, D] the sum so far, to be added to in place."""
        if self._sum is None:
            self._sum = torch.zeros_like(self.values)
        return self._sum

    def give(self, part: Tensor, scale: Tensor) -> None:
        """Adds ``scale * part``; ``part`` [I + 1, D] belongs to the sum from now on, ``scale`` is a scalar."""
        if self._sum is not None:
            self._sum.addcmul_(part, scale)
        else:
            # To look at its value costs nothing on a processor, and makes a GPU wait.
            self._sum = part if scale.device.type == "cpu" and scale == 1 else part.mul_(scale)

    def take(self) -> Tensor | None:
        """The sum, after which it is nothing again."""
        taken, self._sum = self._sum, None
        return taken


class ItemTable:
    """Item embeddings whose readers share one gradient buffer.

    Args:
        weight: [I + 1, D] a parameter, or what was computed of one; row 0 is padding.

    Attributes:
        values: the numbers alone.
        gradient: what a reader's backward pass adds to.
        link: an argument of every reader, so that its result depends on ``weight``; its own gradient is None.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight, self.values = weight, weight.detach()
        self.gradient = Gradient(self.values)
        self.link = _Link.apply(weight, self.gradient)
        self._cast = self.values

    @classmethod
    def of(cls, items: Tensor | ItemTable) -> ItemTable:
        """A table as it is; of embeddings [I + 1, D] a table of their own."""
        return items if isinstance(items, ItemTable) else cls(items)

    def __len__(self) -> int:
        return len(self.values)

    def cast(self, dtype: torch.dtype) -> Tensor:
        """The values in another type, converted once for all readers."""
        if self._cast.dtype != dtype:
            self._cast = self.values.to(dtype)
        return self._cast

    def rows(self, ids: Tensor) -> Tensor:
        """[N] item ids to [N, D]."""
        return _Rows.apply(self.link, self.values, self.gradient, ids)

    def total(self) -> Tensor:
        """[D] the sum of all rows but padding's."""
        return _Total.apply(self.link, self.values, self.gradient)


class _Link(torch.autograd.Function):
    """A number without meaning: autograd runs its backward pass when all readers' have run."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, gradient: Gradient) -> Tensor:
        ctx.gradient = gradient
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, None]:
        return ctx.gradient.take(), None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, link: Tensor, values: Tensor, gradient: Gradient, ids: Tensor) -> Tensor:
        ctx.gradient = gradient
        ctx.save_for_backward(ids)
        return values.index_select(0, ids)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        ctx.gradient.buffer().index_add_(0, *ctx.saved_tensors, grad)
        return None, None, None, None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, link: Tensor, values: Tensor, gradient: Gradient) -> Tensor:
        ctx.gradient = gradient
        return values[1:].sum(0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        ctx.gradient.buffer()[1:] += grad
        return None, None, None

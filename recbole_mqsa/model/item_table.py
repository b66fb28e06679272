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

    def add_rows(self, ids: Tensor, rows: Tensor) -> None:
        """Adds [N, D] ``rows`` to those of the item ids [N]."""
        self.buffer().index_add_(0, ids, rows)

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


class RowGradient(Gradient):
    """The same of a table of which only some rows are read: a sparse tensor, without memory for all others."""

    def __init__(self, values: Tensor) -> None:
        super().__init__(values)
        self._parts: list[tuple[Tensor, Tensor]] = []

    def buffer(self) -> Tensor:
        raise NotImplementedError("the gradient of some rows cannot take that of all")

    def add_rows(self, ids: Tensor, rows: Tensor) -> None:
        self._parts.append((ids, rows))

    def give(self, part: Tensor, scale: Tensor) -> None:
        self.buffer()

    def take(self) -> Tensor | None:
        if not self._parts:
            return None
        ids, rows = map(torch.cat, zip(*self._parts))
        self._parts = []
        return torch.sparse_coo_tensor(ids[None], rows, self.values.shape, check_invariants=False)


class ItemTable:
    """Item embeddings whose readers share one gradient buffer.

    Args:
        weight: [I + 1, D] a parameter, or what was computed of one; row 0 is padding.
        sparse: whether the gradient holds only the rows that are read; then nothing may read all of them.

    Attributes:
        values: the numbers alone.
        gradient: what a reader's backward pass adds to.
        link: an argument of every reader, so that its result depends on ``weight``; its own gradient is None.
    """

    def __init__(self, weight: Tensor, sparse: bool = False) -> None:
        self.weight, self.values = weight, weight.detach()
        self.gradient = (RowGradient if sparse else Gradient)(self.values)
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
        ctx.gradient.add_rows(*ctx.saved_tensors, grad)
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

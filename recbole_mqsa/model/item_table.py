"""Item embeddings that have many readers in a step, and one gradient buffer.

Autograd gives each reader of a tensor a gradient as large as the tensor, and then adds them up. Here each reader
adds its gradient, of some rows or of all, to one buffer. A node between the readers and the embedding passes the
buffer on when all readers are done.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from .protocols import Context


class Gradient:
    """The gradient of a table while it is summed; it takes no memory until something is added.

    Args:
        values: [I + 1, D] the table.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self._sum: Tensor | None = None

    def buffer(self) -> Tensor:
        """[I + 1, D] the sum so far; add to it in place."""
        if self._sum is None:
            self._sum = torch.zeros_like(self.values)
        return self._sum

    def add_rows(self, ids: Tensor, rows: Tensor) -> None:
        """Add ``rows`` [N, D] to those of the item ids [N]."""
        self.buffer().index_add_(0, ids, rows)

    def give(self, part: Tensor, scale: Tensor) -> None:
        """Add ``scale * part`` for a scalar ``scale``; the sum may reuse the memory of ``part`` [I + 1, D]."""
        if self._sum is not None:
            self._sum.addcmul_(part, scale)
        else:
            # Reading the value is free on a CPU; on a GPU it synchronises.
            self._sum = part if scale.device.type == "cpu" and scale == 1 else part.mul_(scale)

    def take(self) -> Tensor | None:
        """Return the sum and reset it."""
        taken, self._sum = self._sum, None
        return taken


class RowGradient(Gradient):
    """The gradient of a table of which some rows are read: a sparse tensor that holds only these rows."""

    def __init__(self, values: Tensor) -> None:
        super().__init__(values)
        self._parts: list[tuple[Tensor, Tensor]] = []

    def buffer(self) -> Tensor:
        raise NotImplementedError("a gradient of some rows cannot hold that of all")

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
        weight: [I + 1, D] a parameter, or computed from one; row 0 is padding.
        sparse: whether the gradient holds only the rows that are read; then no reader may read all rows.

    Attributes:
        values: the numbers, detached.
        gradient: the buffer to which the readers' backward passes add.
        link: passed to every reader, so that its result depends on ``weight``; its own gradient is None.
    """

    def __init__(self, weight: Tensor, sparse: bool = False) -> None:
        self.weight, self.values = weight, weight.detach()
        self.gradient = (RowGradient if sparse else Gradient)(self.values)
        self.link = _Link.apply(weight, self.gradient)
        self._cast = self.values

    @classmethod
    def of(cls, items: Tensor | ItemTable) -> ItemTable:
        """``items`` itself if it is a table, else a new table of the embeddings [I + 1, D]."""
        return items if isinstance(items, ItemTable) else cls(items)

    def __len__(self) -> int:
        return len(self.values)

    def cast(self, dtype: torch.dtype) -> Tensor:
        """The values in another dtype, converted once for all readers."""
        if self._cast.dtype != dtype:
            self._cast = self.values.to(dtype)
        return self._cast

    def rows(self, ids: Tensor) -> Tensor:
        """[N] item ids to [N, D]."""
        return _Rows.apply(self.link, self.values, self.gradient, ids)

    def total(self) -> Tensor:
        """[D] the sum of all rows but padding's."""
        return _Total.apply(self.link, self.values, self.gradient)


class _Reading(Context, Protocol):
    """What a reader keeps for its backward pass."""

    gradient: Gradient


class _Link(torch.autograd.Function):
    """A dummy number whose backward pass autograd runs after those of all readers."""

    @staticmethod
    def forward(ctx: _Reading, weight: Tensor, gradient: Gradient) -> Tensor:
        ctx.gradient = gradient
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: _Reading, _: Tensor) -> tuple[Tensor | None, None]:
        return ctx.gradient.take(), None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Reading, link: Tensor, values: Tensor, gradient: Gradient, ids: Tensor) -> Tensor:
        ctx.gradient = gradient
        ctx.save_for_backward(ids)
        return values.index_select(0, ids)

    @staticmethod
    def backward(ctx: _Reading, grad: Tensor) -> tuple[None, None, None, None]:
        (ids,) = ctx.saved_tensors
        ctx.gradient.add_rows(ids, grad)
        return None, None, None, None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Reading, link: Tensor, values: Tensor, gradient: Gradient) -> Tensor:
        ctx.gradient = gradient
        return values[1:].sum(0)

    @staticmethod
    def backward(ctx: _Reading, grad: Tensor) -> tuple[None, None, None]:
        ctx.gradient.buffer()[1:] += grad
        return None, None, None

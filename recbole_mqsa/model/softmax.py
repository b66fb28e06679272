"""Cross-entropy over all items without holding all scores.

The costly part of both losses is the logarithm of a sum over the catalogue. It is computed block by block,
together with its gradient, in three matrix products per block. No score outlives its block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from .item_table import Gradient, ItemTable
from .protocols import Context

ROW_STEP = 64
"""The number of rows is rounded up to a multiple of this."""
PROBED = 512
"""Columns among which a CPU looks for a score to compute a row's normaliser from."""
ROWS = 256
"""Rows of a block on a CPU, and at least on a GPU."""
CELLS = 1 << 23
"""Scores that a block may hold at once: 16 MB in bfloat16."""
CHUNK_CELLS = 1 << 20
"""Scores of a chunk, for a block that would hold too many. A chunk stays in a CPU's cache while it is used."""
GPU_FACTOR = 32
"""How many times as many scores a GPU holds at once, as every small step costs it a launch."""


@dataclass(frozen=True)
class Limits:
    """How many scores may be held at once; a GPU may hold ``GPU_FACTOR`` times as many.

    Args:
        block: scores of a block of rows and all items.
        chunk: scores of a block of rows and some items, where all would be too many.
    """

    block: int = CELLS
    chunk: int = CHUNK_CELLS


LIMITS = Limits()


class SoftmaxOptions(TypedDict):
    """How the functions below compute; see :func:`weighted_logsumexp`."""

    block: int | None
    dtype: torch.dtype | None


def softmax_options(block: int | str, precision: str, device: torch.device) -> SoftmaxOptions:
    """The options that the settings ask for.

    Args:
        block: rows, or 'auto' for what suits the device.
        precision, device: see :func:`product_dtype`.
    """
    return {"block": None if block == "auto" else int(block), "dtype": product_dtype(precision, device)}


def product_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of the large products: bfloat16, or None for that of the tensors themselves.

    Args:
        precision: 'float32', 'bfloat16' or 'auto' (bfloat16 where the hardware multiplies it).
        device: where the products run.
    """
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            # RecBole's users have CPUs of all ages; one without these instructions emulates bfloat16, which is slow.
            fast = torch.backends.mkldnn.is_available() and any(
                getattr(torch.cpu, name, lambda: False)()
                for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            )
        precision = "bfloat16" if fast else "float32"
    return torch.bfloat16 if precision == "bfloat16" else None


def weighted_logsumexp(
    states: Tensor,
    items: Tensor | ItemTable,
    weights: Tensor,
    block: int | None = 0,
    dtype: torch.dtype | None = None,
    padding_idx: int | None = None,
    without_padding: bool = False,
    limits: Limits = LIMITS,
) -> Tensor:
    """sum_p weights_p * log(sum_j exp(states_p . items_j)), differentiable in states and items.

    Args:
        states: [P, D].
        items: [I, D]; all readers of a table add to one gradient buffer.
        weights: [P]; they get no gradient.
        block: rows of the [P, I] scores to hold at once; 0 holds all, None as many as suit the device.
        dtype: of the products and the probabilities; sums keep the dtype of the tensors.
        padding_idx: a row of ``items`` that takes part as a constant and gets no gradient.
        without_padding: row 0 of ``items`` takes no part.
        limits: a block with more scores than this is split into chunks of items.

    Returns:
        A scalar that allows one backward pass and no second derivatives.
    """
    table = ItemTable.of(items)
    return _WeightedLogSumExp.apply(
        states, table.link, weights, table, block, dtype, padding_idx, without_padding, limits
    )


class _Kept(Context, Protocol):
    """What the forward pass keeps for the backward pass."""

    saved_tensors: tuple[Any, ...]
    """Tensors, or None for a gradient that nobody needs."""
    blocks: RowBlocks
    gradient: Gradient
    padding_idx: int | None
    without_padding: bool
    count: int


class _WeightedLogSumExp(torch.autograd.Function):
    """With few items the gradients are computed along with the value.

    With many items the scores are computed twice in any case. The second time is then the backward pass, so that
    nothing as large as the items is held in between.
    """

    @staticmethod
    def forward(
        ctx: _Kept,
        states: Tensor,
        link: Tensor,
        weights: Tensor,
        table: ItemTable,
        block: int | None,
        dtype: torch.dtype | None,
        padding_idx: int | None,
        without_padding: bool,
        limits: Limits,
    ) -> Tensor:
        # Rows of weight 0 round the shape up: the library compiles a kernel for every new shape.
        count = len(states)
        rows = -(-count // ROW_STEP) * ROW_STEP
        states, weights = F.pad(states, (0, 0, 0, rows - count)), F.pad(weights, (0, rows - count))
        x, e = states.to(dtype or states.dtype), table.cast(dtype or states.dtype)
        blocks = RowBlocks(rows, len(e), block, x.device, limits)
        buffer = x.new_empty(blocks.rows * blocks.columns)
        need_states, need_items = ctx.needs_input_grad[:2]
        at_once = blocks.whole and (need_states or need_items)
        grad_states = torch.empty_like(states) if at_once and need_states else None
        grad_items = torch.zeros_like(table.values) if at_once and need_items else None
        normaliser = torch.empty_like(weights)
        for part in blocks:
            if blocks.whole:
                normaliser[part], probability = _softmax(x[part], e, buffer, without_padding)
            else:
                normaliser[part] = _normaliser(x[part], e, buffer, blocks.columns, without_padding)
            if at_once:
                chunks = [(slice(None), probability)]
                _add_gradients(chunks, states[part], weights[part], e, _rows(grad_states, part), grad_items)
        ctx.count, ctx.blocks, ctx.gradient = count, blocks, table.gradient
        ctx.padding_idx, ctx.without_padding = padding_idx, without_padding
        if blocks.whole:
            ctx.save_for_backward(grad_states, grad_items)
        else:
            ctx.save_for_backward(states, weights, x, e, normaliser)
        return weights @ normaliser

    @staticmethod
    def backward(ctx: _Kept, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_states = (_scaled_gradients if ctx.blocks.whole else _second_pass)(ctx, grad)
        return None if grad_states is None else grad_states[: ctx.count], *[None] * 8


def _scaled_gradients(ctx: _Kept, grad: Tensor) -> Tensor | None:
    """The states' gradient from the forward pass; that of the items goes to their table."""
    grad_states, grad_items = ctx.saved_tensors
    if grad_items is not None:
        if ctx.padding_idx is not None:
            grad_items[ctx.padding_idx] = 0
        ctx.gradient.give(grad_items, grad)
    return None if grad_states is None else grad_states * grad


def _second_pass(ctx: _Kept, grad: Tensor) -> Tensor | None:
    """The states' gradient, computed now; that of the items is added to their table's."""
    states, weights, x, e, normaliser = ctx.saved_tensors
    need_states, need_items = ctx.needs_input_grad[:2]
    grad_states = torch.empty_like(states) if need_states else None
    grad_items = ctx.gradient.buffer() if need_items else None
    constant = None
    if grad_items is not None and ctx.padding_idx is not None:
        constant = grad_items[ctx.padding_idx].clone()
    buffer = x.new_empty(ctx.blocks.rows * ctx.blocks.columns)
    for part in ctx.blocks:
        chunks = _probabilities(x[part], e, normaliser[part], buffer, ctx.blocks.columns, ctx.without_padding)
        into = _rows(grad_states, part)
        _add_gradients(chunks, states[part], weights[part] * grad, e, into, grad_items)
    if grad_items is not None and constant is not None:
        grad_items[ctx.padding_idx] = constant
    return grad_states


class RowBlocks:
    """The blocks of rows, as slices.

    Attributes:
        rows: of a block.
        whole: whether a block holds the scores of all items at once.
        columns: items whose scores a block holds at once.
    """

    def __init__(
        self, rows: int, n_items: int, block: int | None, device: torch.device, limits: Limits = LIMITS
    ) -> None:
        factor = 1 if device.type == "cpu" else GPU_FACTOR
        if block is None:
            block = ROWS
            if factor > 1:
                block = max(ROWS, factor * limits.block // n_items // ROW_STEP * ROW_STEP)
        self.total, self.rows = rows, min(block or rows, rows)
        self.whole = self.rows * n_items <= factor * limits.block
        self.columns = n_items if self.whole else max(1, factor * limits.chunk // self.rows)

    def __iter__(self) -> Iterator[slice]:
        for start in range(0, self.total, max(self.rows, 1)):
            yield slice(start, min(start + self.rows, self.total))


def _rows(gradient: Tensor | None, part: slice) -> Tensor | None:
    return None if gradient is None else gradient[part]


Chunks = Iterable[tuple[slice, Tensor]]
"""Slices of the items, and the probabilities [b, J] of a slice for each row."""


def _add_gradients(
    chunks: Chunks,
    states: Tensor,
    weights: Tensor,
    e: Tensor,
    grad_states: Tensor | None,
    grad_items: Tensor | None,
) -> None:
    """Write the gradient of a block's states [b, D], and add the block's part of the items' gradient."""
    weighted = (states * weights[:, None]).to(e.dtype)
    mean_item = torch.zeros_like(states)
    for part, probability in chunks:
        if grad_states is not None:
            mean_item += probability @ e[part]
        if grad_items is not None and grad_items.dtype == e.dtype:
            grad_items[part].addmm_(probability.T, weighted)
        elif grad_items is not None:
            grad_items[part] += probability.T @ weighted
    if grad_states is not None:
        torch.mul(mean_item, weights[:, None], out=grad_states)


def _product(x: Tensor, e: Tensor, buffer: Tensor, without_first: bool) -> Tensor:
    """[b, J] scores, written to ``buffer``; the first is minus infinity if it is to be left out."""
    scores = torch.mm(x, e.T, out=buffer[: len(x) * len(e)].view(len(x), len(e)))
    if without_first:
        scores[:, 0] = -math.inf
    return scores


def _softmax(x: Tensor, e: Tensor, buffer: Tensor, without_padding: bool) -> tuple[Tensor, Tensor]:
    """The normaliser [b] of each row's softmax over all items, and the probabilities [b, I]."""
    scores = _product(x, e, buffer, without_padding)
    # One score and its probability give the normaliser: log sum exp(score) = score - log(probability).
    # A CPU takes the largest of a few columns, as a search of all costs as much as the softmax. It may be too small
    # to have a probability. A GPU takes the largest of all, as checking for this case would synchronise.
    on_cpu = x.device.type == "cpu"
    score, column = (scores[:, :PROBED] if on_cpu else scores).max(1)
    probability = torch.softmax(scores, 1, out=scores)
    exact = torch.promote_types(x.dtype, torch.float32)
    probed = probability.gather(1, column[:, None]).squeeze(1).to(exact)
    normaliser = score.to(exact) - probed.log()
    if on_cpu:
        lost = torch.nonzero(probed < 1e-30).squeeze(1)  # too far below the largest score of the row
        if len(lost):
            again = x[lost].to(exact) @ e.T.to(exact)
            normaliser[lost] = again[:, int(without_padding) :].logsumexp(1)
    return normaliser, probability


def _chunk_scores(
    x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> Iterator[tuple[slice, Tensor]]:
    """The scores [b, J] of ``columns`` items at a time."""
    exact = torch.promote_types(x.dtype, torch.float32)
    for first in range(0, len(e), columns):
        part = slice(first, min(first + columns, len(e)))
        yield part, _product(x, e[part], buffer, without_padding and first == 0).to(exact)


def _normaliser(x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool) -> Tensor:
    """[b] the log-sum-exp of each row's scores."""
    total = torch.full(
        (len(x),), -math.inf, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device
    )
    for _, scores in _chunk_scores(x, e, buffer, columns, without_padding):
        total = torch.logaddexp(total, scores.logsumexp(1))
    return total


def _probabilities(
    x: Tensor, e: Tensor, normaliser: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> Chunks:
    """The probabilities [b, J] of ``columns`` items at a time."""
    for part, scores in _chunk_scores(x, e, buffer, columns, without_padding):
        yield part, scores.sub_(normaliser[:, None]).exp_().to(x.dtype)


def recommendation_loss(
    states: Tensor,
    targets: Tensor,
    items: Tensor | ItemTable,
    block: int | None = 0,
    dtype: torch.dtype | None = None,
    limits: Limits = LIMITS,
) -> Tensor:
    """Mean over positions of the cross-entropy of the next item over all items.

    ``mean_p [logsumexp_j(h_p . e_j) - h_p . e_target(p)]``. The padding row of ``items``, a zero vector, takes part
    as a class of score 0, as in the authors' code.

    Args:
        states: [P, D].
        targets: [P] item ids.
        items: [I + 1, D] embeddings, row 0 padding.
        block, dtype, limits: see :func:`weighted_logsumexp`.
    """
    table = ItemTable.of(items)
    weights = states.new_full((len(states),), 1 / len(states))
    matched = (states * table.rows(targets)).sum() / len(states)
    return weighted_logsumexp(states, table, weights, block, dtype, padding_idx=0, limits=limits) - matched

"""Cross-entropy over all items without holding all scores.

The costly part of both losses is the logarithm of a sum over the catalogue. It is computed block by
block, together with its gradient: three matrix products a block, and no score outlives its block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .item_table import ItemTable

ROW_STEP = 64
PROBED = 512
ROWS = 256
CELLS = 1 << 23
"""Scores that a block may hold at once, 16 MB in bfloat16; of more items it holds chunks,"""
CHUNK_CELLS = 1 << 20
"""of this many scores each, which a processor's cache holds through all that is done with them."""
GPU_SHARE = 32
"""A GPU takes this many times as many at once, and all rows if it can: it waits for every small step."""


def softmax_options(block: int | str, precision: str, device: torch.device) -> dict[str, Any]:
    """``block`` and ``dtype`` of the functions below.

    Args:
        block: rows, or 'auto' for what suits the device.
        precision, device: see :func:`product_dtype`.
    """
    return {"block": None if block == "auto" else block, "dtype": product_dtype(precision, device)}


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
            # RecBole's users have processors of all ages: without the instructions bf16 is emulated.
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
) -> Tensor:
    """sum_p weights_p * log(sum_j exp(states_p . items_j)), differentiable in states and items.

    Args:
        states: [P, D].
        items: [I, D]; a table's other readers share the memory of the gradient.
        weights: [P], constants.
        block: rows of the [P, I] scores held at once; 0 takes all, None what suits the device. Of more than
            ``CELLS`` scores a row block holds only some items' at a time.
        dtype: of the products and the probabilities (sums stay in the tensors' own type).
        padding_idx: a row of ``items`` that takes part but is a constant, so it gets no gradient.
        without_padding: row 0 of ``items`` takes no part.

    Returns:
        A scalar, good for one backward pass. No second derivatives.
    """
    table = ItemTable.of(items)
    return _WeightedLogSumExp.apply(
        states, table.link, weights, table, block, dtype, padding_idx, without_padding
    )


class _WeightedLogSumExp(torch.autograd.Function):
    """Of few items the gradients come with the value. Of many, whose scores are computed twice in any case, the
    second time is the backward pass: then nothing as large as the items is held in between."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        link: Tensor,
        weights: Tensor,
        table: ItemTable,
        block: int | None,
        dtype: torch.dtype | None,
        padding_idx: int | None,
        without_padding: bool,
    ) -> Tensor:
        # Rows of weight 0 fill the last block up: the library makes a kernel for every new shape.
        count = len(states)
        rows = -(-count // ROW_STEP) * ROW_STEP
        states, weights = F.pad(states, (0, 0, 0, rows - count)), F.pad(weights, (0, rows - count))
        x, e = states.to(dtype or states.dtype), table.cast(dtype or states.dtype)
        blocks = RowBlocks(rows, len(e), block, x.device)
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
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        gradient, padding_idx = ctx.gradient, ctx.padding_idx
        if ctx.blocks.whole:
            grad_states, grad_items = ctx.saved_tensors
            if grad_items is not None:
                if padding_idx is not None:
                    grad_items[padding_idx] = 0
                gradient.give(grad_items, grad)
            grad_states = None if grad_states is None else grad_states * grad
        else:
            states, weights, x, e, normaliser = ctx.saved_tensors
            need_states, need_items = ctx.needs_input_grad[:2]
            grad_states = torch.empty_like(states) if need_states else None
            grad_items = gradient.buffer() if need_items else None
            constant = None if grad_items is None or padding_idx is None else grad_items[padding_idx].clone()
            buffer = x.new_empty(ctx.blocks.rows * ctx.blocks.columns)
            for part in ctx.blocks:
                chunks = _probabilities(
                    x[part], e, normaliser[part], buffer, ctx.blocks.columns, ctx.without_padding
                )
                into = _rows(grad_states, part)
                _add_gradients(chunks, states[part], weights[part] * grad, e, into, grad_items)
            if grad_items is not None and constant is not None:
                grad_items[padding_idx] = constant
        return None if grad_states is None else grad_states[: ctx.count], *[None] * 7


class RowBlocks:
    """The blocks of rows, as slices, and how many items' scores each holds at a time: all, if ``whole``."""

    def __init__(self, rows: int, n_items: int, block: int | None, device: torch.device) -> None:
        share = 1 if device.type == "cpu" else GPU_SHARE
        if block is None:
            block = ROWS if share == 1 else max(ROWS, share * CELLS // n_items // ROW_STEP * ROW_STEP)
        self.total, self.rows = rows, min(block or rows, rows)
        self.whole = self.rows * n_items <= share * CELLS
        self.columns = n_items if self.whole else max(1, share * CHUNK_CELLS // self.rows)

    def __iter__(self) -> Iterator[slice]:
        for start in range(0, self.total, max(self.rows, 1)):
            yield slice(start, min(start + self.rows, self.total))


def _rows(gradient: Tensor | None, part: slice) -> Tensor | None:
    return None if gradient is None else gradient[part]


Chunks = Iterable[tuple[slice, Tensor]]
"""Which items, and their probabilities [b, J] for each row."""


def _add_gradients(
    chunks: Chunks,
    states: Tensor,
    weights: Tensor,
    e: Tensor,
    grad_states: Tensor | None,
    grad_items: Tensor | None,
) -> None:
    """Writes the gradient of a block's [b, D] states, and adds that of all items."""
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
    """[b, J] scores, in ``buffer``; the first column is left out where it is padding."""
    scores = torch.mm(x, e.T, out=buffer[: len(x) * len(e)].view(len(x), len(e)))
    if without_first:
        scores[:, 0] = -math.inf
    return scores


def _softmax(x: Tensor, e: Tensor, buffer: Tensor, without_padding: bool) -> tuple[Tensor, Tensor]:
    """The normaliser [b] of each row's softmax over all items, and the probabilities [b, I]."""
    scores = _product(x, e, buffer, without_padding)
    # One score and its probability tell the normaliser: log sum exp(score) = score - log(probability).
    # A processor looks for it among a few columns, as a search of all costs as much as the softmax; a GPU
    # takes the largest, which is never lost, as asking whether one is would wait for all that is under way.
    on_cpu = x.device.type == "cpu"
    score, column = (scores[:, :PROBED] if on_cpu else scores).max(1)
    probability = torch.softmax(scores, 1, out=scores)
    exact = torch.promote_types(x.dtype, torch.float32)
    probed = probability.gather(1, column[:, None]).squeeze(1).to(exact)
    normaliser = score.to(exact) - probed.log()
    if on_cpu:
        lost = torch.nonzero(probed < 1e-30).squeeze(1)  # too far below the row's largest
        if len(lost):
            again = x[lost].to(exact) @ e.T.to(exact)
            normaliser[lost] = again[:, int(without_padding) :].logsumexp(1)
    return normaliser, probability


def _chunk_scores(
    x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> Iterator[tuple[slice, Tensor]]:
    """The scores [b, J] of ``columns`` items after another, which is all that may be held."""
    exact = torch.promote_types(x.dtype, torch.float32)
    for first in range(0, len(e), columns):
        part = slice(first, min(first + columns, len(e)))
        yield part, _product(x, e[part], buffer, without_padding and first == 0).to(exact)


def _normaliser(x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool) -> Tensor:
    """[b] log sum exp of each row's scores."""
    total = torch.full(
        (len(x),), -math.inf, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device
    )
    for _, scores in _chunk_scores(x, e, buffer, columns, without_padding):
        total = torch.logaddexp(total, scores.logsumexp(1))
    return total


def _probabilities(
    x: Tensor, e: Tensor, normaliser: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> Chunks:
    """The probabilities, of ``columns`` items after another."""
    for part, scores in _chunk_scores(x, e, buffer, columns, without_padding):
        yield part, scores.sub_(normaliser[:, None]).exp_().to(x.dtype)


def recommendation_loss(
    states: Tensor,
    targets: Tensor,
    items: Tensor | ItemTable,
    block: int | None = 0,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Mean over positions of the cross-entropy of the next item over all items.

    ``mean_p [logsumexp_j(h_p . e_j) - h_p . e_target(p)]``; the padding row of ``items``, a zero
    vector, takes part as a class of score 0, as in the authors' program.

    Args:
        states: [P, D].
        targets: [P] item ids.
        items: [I + 1, D] embeddings, row 0 padding.
        block, dtype: see :func:`weighted_logsumexp`.
    """
    table = ItemTable.of(items)
    weights = states.new_full((len(states),), 1 / len(states))
    matched = (states * table.rows(targets)).sum() / len(states)
    return weighted_logsumexp(states, table, weights, block, dtype, padding_idx=0) - matched

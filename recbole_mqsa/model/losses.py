"""Cross-entropy over all items without holding all scores.

The costly part of both losses is the logarithm of a sum over the catalogue. It is computed block by
block, together with its gradient: three matrix products a block, and no score outlives its block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROW_STEP = 64
PROBED = 512
CELLS = 1 << 23
"""Scores that a block may hold at once, 16 MB in bfloat16; of more items it holds chunks,"""
CHUNK_CELLS = 1 << 20
"""of this many scores each, which a processor's cache holds through all that is done with them."""


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
    items: Tensor,
    weights: Tensor,
    block: int = 0,
    dtype: torch.dtype | None = None,
    padding_idx: int | None = None,
    without_padding: bool = False,
) -> Tensor:
    """sum_p weights_p * log(sum_j exp(states_p . items_j)), differentiable in states and items.

    Args:
        states: [P, D].
        items: [I, D].
        weights: [P], constants.
        block: rows of the [P, I] scores held at once; 0 takes all. Of more than ``CELLS`` scores a row
            block holds only some items' at a time.
        dtype: of the products and the probabilities (sums stay in the tensors' own type).
        padding_idx: a row of ``items`` that takes part but is a constant, so it gets no gradient.
        without_padding: row 0 of ``items`` takes no part.

    Returns:
        A scalar. No second derivatives.
    """
    return _WeightedLogSumExp.apply(states, items, weights, block, dtype, padding_idx, without_padding)


class _WeightedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        items: Tensor,
        weights: Tensor,
        block: int,
        dtype: torch.dtype | None,
        padding_idx: int | None,
        without_padding: bool,
    ) -> Tensor:
        # Rows of weight 0 fill the last block up: the library makes a kernel for every new shape.
        count = len(states)
        rows = -(-count // ROW_STEP) * ROW_STEP
        states, weights = F.pad(states, (0, 0, 0, rows - count)), F.pad(weights, (0, rows - count))
        block = min(block or rows, rows)
        x, e = states.to(dtype or states.dtype), items.to(dtype or items.dtype)
        need_states, need_items = ctx.needs_input_grad[:2]
        grad_states = torch.empty_like(states) if need_states else None
        grad_items = torch.zeros_like(items) if need_items else None
        whole = block * len(items) <= CELLS
        columns = len(items) if whole else max(1, CHUNK_CELLS // block)
        buffer = torch.empty(block * columns, dtype=x.dtype, device=x.device)
        total = states.new_zeros(())
        for start in range(0, rows, max(block, 1)):
            part = slice(start, min(start + block, rows))
            weighted = (states[part] * weights[part, None]).to(x.dtype)
            method = _at_once if whole else _in_chunks
            normaliser, chunks = method(x[part], e, buffer, columns, without_padding)
            total += weights[part] @ normaliser.to(weights.dtype)
            mean_item = torch.zeros_like(states[part])
            for items_part, probability in chunks if need_states or need_items else ():
                if grad_states is not None:
                    mean_item += probability @ e[items_part]
                if grad_items is not None and dtype is None:
                    grad_items[items_part].addmm_(probability.T, weighted)
                elif grad_items is not None:
                    grad_items[items_part] += probability.T @ weighted
            if grad_states is not None:
                torch.mul(mean_item, weights[part, None], out=grad_states[part])
        if grad_items is not None and padding_idx is not None:
            grad_items[padding_idx] = 0
        ctx.gradients = None if grad_states is None else grad_states[:count], grad_items
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return (*(None if g is None else g * grad for g in ctx.gradients), None, None, None, None, None)


def _product(x: Tensor, e: Tensor, buffer: Tensor, without_first: bool) -> Tensor:
    """[b, J] scores, in ``buffer``; the first column is left out where it is padding."""
    scores = torch.mm(x, e.T, out=buffer[: len(x) * len(e)].view(len(x), len(e)))
    if without_first:
        scores[:, 0] = -math.inf
    return scores


Chunks = Iterable[tuple[slice, Tensor]]
"""Which items, and their probabilities [b, J] for each row."""


def _at_once(
    x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> tuple[Tensor, Chunks]:
    """The normaliser [b] of each row's softmax over all items, and the probabilities."""
    scores = _product(x, e, buffer, without_padding)
    # One score and its probability tell the normaliser: log sum exp(score) = score - log(probability).
    # They are looked for among a few columns, as a search of all costs as much as the softmax.
    score, column = scores[:, :PROBED].max(1)
    probability = torch.softmax(scores, 1, out=scores)
    exact = torch.promote_types(x.dtype, torch.float32)
    probed = probability.gather(1, column[:, None]).squeeze(1).to(exact)
    normaliser = score.to(exact) - probed.log()
    lost = torch.nonzero(probed < 1e-30).squeeze(1)  # too far below the row's largest
    if len(lost):
        again = x[lost].to(exact) @ e.T.to(exact)
        normaliser[lost] = again[:, int(without_padding) :].logsumexp(1)
    return normaliser, [(slice(0, len(e)), probability)]


def _in_chunks(
    x: Tensor, e: Tensor, buffer: Tensor, columns: int, without_padding: bool
) -> tuple[Tensor, Chunks]:
    """The same for a catalogue of which only ``columns`` items' scores may be held: every score is computed
    twice, once for the normaliser and once for the probabilities."""
    exact = torch.promote_types(x.dtype, torch.float32)
    parts = [slice(first, min(first + columns, len(e))) for first in range(0, len(e), columns)]

    def scores(part: slice) -> Tensor:
        return _product(x, e[part], buffer, without_padding and part.start == 0).to(exact)

    normaliser = torch.full((len(x),), -math.inf, dtype=exact, device=x.device)
    for part in parts:
        normaliser = torch.logaddexp(normaliser, scores(part).logsumexp(1))
    return normaliser, ((part, scores(part).sub_(normaliser[:, None]).exp_().to(x.dtype)) for part in parts)


def recommendation_loss(
    states: Tensor, targets: Tensor, items: Tensor, block: int = 0, dtype: torch.dtype | None = None
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
    weights = states.new_full((len(states),), 1 / len(states))
    matched = (states * items.index_select(0, targets)).sum() / len(states)
    return weighted_logsumexp(states, items, weights, block, dtype, padding_idx=0) - matched

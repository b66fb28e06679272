"""Both losses over a catalogue too large to score whole: sampled items stand for all.

A softmax's denominator is a sum over all items. It is estimated from M items drawn from a known
distribution q, each weighing 1 / (M q): an unbiased estimate, whatever q (Bengio and Senecal, 2008).
Items that matter, the target and the teacher's non-zeros, are not left to chance: they take part
exactly, and the draws estimate the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .distillation import TransitionTeacher
from .dropout import dropout
from .item_table import ItemTable
from .protocols import Context
from .softmax import RowBlocks

ITEM_STEP = 64
"""The number of items in a product is rounded up to a multiple of this."""
LEFT_OUT = -1e30
"""The logarithm of zero weight. Unlike minus infinity it leaves a softmax to a row that holds nothing else."""


@dataclass(frozen=True)
class Drawn:
    """The items drawn for one step, each listed once.

    Args:
        items: [N] item ids, sorted, without repeats.
        log_weights: [N] log(times drawn / (M q)), where exp is the number of items that each one stands for.
    """

    items: Tensor
    log_weights: Tensor


class NegativeSampler(torch.nn.Module):
    """Draws items in proportion to popularity ** beta, with replacement.

    Synchronises with a GPU once per step, to learn how many different items were drawn.

    Args:
        popularity: [I + 1] how often each item occurs; row 0, padding, is never drawn. An item that
            never occurs counts as occurring once, as otherwise no draw could stand for it.
        count: M.
        beta: 0 draws uniformly, 1 in proportion to popularity.
    """

    cumulative: Tensor
    log_q: Tensor

    def __init__(self, popularity: Tensor, count: int, beta: float) -> None:
        super().__init__()
        self.count = count
        q = popularity.double().clamp(min=1) ** beta
        q[0] = 0
        q /= q.sum()
        self.register_buffer("cumulative", q.cumsum(0), persistent=False)
        self.register_buffer("log_q", q.log().float(), persistent=False)

    def forward(self) -> Drawn:
        """Draw the items of one step."""
        place = torch.rand(self.count, dtype=torch.float64, device=self.cumulative.device)
        drawn = torch.searchsorted(self.cumulative, place * self.cumulative[-1], right=True)
        items, times = drawn.clamp(max=len(self.cumulative) - 1).unique(return_counts=True)
        return Drawn(items, times.log() - math.log(self.count) - self.log_q[items])


def sampled_recommendation_loss(
    states: Tensor,
    targets: Tensor,
    items: Tensor | ItemTable,
    drawn: Drawn,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """:func:`recommendation_loss` with an estimated denominator.

    The target and the padding class (score 0) take part exactly; the draws estimate all other items.

    Args:
        states: [P, D].
        targets: [P] item ids.
        items: [I + 1, D] embeddings, row 0 padding.
        drawn: this step's items.
        dtype: of the products with these items, as for :func:`weighted_logsumexp`.
    """
    table = ItemTable.of(items)
    own = (states * table.rows(targets)).sum(1)
    place = torch.searchsorted(drawn.items, targets).clamp(max=len(drawn.items) - 1)
    place = place.where(drawn.items[place] == targets, -1)
    known = torch.logaddexp(own, torch.zeros_like(own))
    return (
        _MeanLogSum.apply(states, table.rows(drawn.items), drawn.log_weights, place, known, dtype)
        - own.mean()
    )


class _MeanLogSum(torch.autograd.Function):
    """mean_p log(exp(known_p) + sum_n exp(states_p . items_n + log_weights_n)), and its gradient in the same pass.

    The sum of a row leaves out the item at its ``place`` (-1: none). Scores live only as long as their block of rows.
    """

    @staticmethod
    def forward(
        ctx: Context,
        states: Tensor,
        items: Tensor,
        log_weights: Tensor,
        place: Tensor,
        known: Tensor,
        dtype: torch.dtype | None,
    ) -> Tensor:
        # Items without weight round the shape up: the library compiles a kernel for every new shape.
        filling = -len(items) % ITEM_STEP
        x, e = states.to(dtype or states.dtype), F.pad(items.to(dtype or items.dtype), (0, 0, 0, filling))
        weights = F.pad(log_weights.to(known.dtype), (0, filling), value=LEFT_OUT)
        out = (place >= 0)[:, None].to(known.dtype) * LEFT_OUT
        total, weight = torch.empty_like(known), torch.empty_like(known)
        grad_states, grad_items = torch.empty_like(states), items.new_zeros(e.shape)
        blocks = RowBlocks(len(x), len(e), None, x.device)
        buffer = known.new_empty(blocks.rows * len(e))
        for rows in blocks:
            scores = buffer[: (rows.stop - rows.start) * len(e)].view(-1, len(e))
            torch.add(x[rows] @ e.T, weights, out=scores)
            scores.scatter_add_(1, place[rows, None].clamp(min=0), out[rows])
            largest, column = scores.max(1)
            probability = torch.softmax(scores, 1, out=scores)
            rest = largest - probability.gather(1, column[:, None]).squeeze(1).log()
            total[rows] = torch.logaddexp(rest, known[rows])
            weight[rows] = (rest - total[rows]).exp() / len(x)
            probability, weighted = probability.to(e.dtype), (states[rows] * weight[rows, None]).to(e.dtype)
            torch.mul(probability @ e, weight[rows, None], out=grad_states[rows])
            grad_items += probability.T @ weighted
        grad_known = (known - total).exp() / len(x)
        ctx.save_for_backward(grad_states, grad_items[: len(items)], grad_known)
        return total.mean()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_items, grad_known = ctx.saved_tensors
        return grad_states * grad, grad_items * grad, None, None, grad_known * grad, None


def sampled_distillation_loss(
    heads: Tensor,
    items: Tensor | ItemTable,
    teacher: TransitionTeacher,
    tau: float,
    drawn: Drawn,
    dropout_prob: float = 0.0,
) -> Tensor:
    """:func:`distillation_loss`, exact over the followers of each head and estimated over all other items.

    The arguments are the same; ``drawn`` are this step's items.
    """
    table = ItemTable.of(items)
    scale = table.values.size(1) ** 0.5 / tau
    student = dropout(table.rows(heads), dropout_prob, training=True) * scale
    scores = student @ table.rows(drawn.items).T  # [N, M]
    row, column, extra = teacher.followers(heads)
    followed = (student.index_select(0, row) * table.rows(column)).sum(1)  # [non-zeros]

    # A drawn item that follows the head is counted already.
    place = torch.searchsorted(drawn.items, column).clamp(max=len(drawn.items) - 1)
    twice = drawn.items[place] == column
    rest = torch.zeros_like(scores, dtype=torch.bool).index_put(
        (row[twice], place[twice]), torch.tensor(True, device=scores.device)
    )
    log_weights = drawn.log_weights.expand_as(scores).masked_fill(rest, -torch.inf)

    weighted = scores + log_weights
    top = weighted.detach().amax(1).scatter_reduce(0, row, followed.detach(), "amax")
    total = (weighted - top[:, None]).exp().sum(1).index_add(0, row, (followed - top[row]).exp())
    uniform = teacher.uniform[heads]
    sum_of_all = (scores * log_weights.exp()).sum(1).index_add(0, row, followed)
    matched = (uniform * sum_of_all).index_add(0, row, extra * followed)
    return (top + total.log() - matched).mean()

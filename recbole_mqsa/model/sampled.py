"""Both losses over a catalogue too large to score whole: drawn items stand for all.

A softmax's denominator is a sum over all items. It is estimated from M items drawn from a known
distribution q, each weighing 1 / (M q): an unbiased estimate, whatever q (Bengio and Senecal, 2008).
Items that matter, the target and the teacher's non-zeros, are not left to chance: they take part
exactly, and the draws stand for the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .distillation import TransitionTeacher
from .dropout import dropout
from .table import ItemTable


@dataclass(frozen=True)
class Drawn:
    """Items drawn for one step, each once.

    Args:
        items: [N] item ids, sorted, without repeats.
        log_weights: [N] log(times drawn / (M q)): how many items each one stands for.
    """

    items: Tensor
    log_weights: Tensor


class NegativeSampler(torch.nn.Module):
    """Draws items in proportion to popularity ** beta, with replacement. A GPU is waited for once a step: how
    many different ones there are is known only when they are drawn.

    Args:
        popularity: [I + 1] how often each item occurs; row 0, padding, is never drawn. An item that
            never occurs counts as occurring once, or no draw could stand for it.
        count: M.
        beta: 0 draws uniformly, 1 by popularity.
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
        """One step's draws."""
        place = torch.rand(self.count, dtype=torch.float64, device=self.cumulative.device)
        drawn = torch.searchsorted(self.cumulative, place * self.cumulative[-1], right=True)
        items, times = drawn.clamp(max=len(self.cumulative) - 1).unique(return_counts=True)
        return Drawn(items, times.log() - math.log(self.count) - self.log_q[items])


def sampled_recommendation_loss(
    states: Tensor, targets: Tensor, items: Tensor | ItemTable, drawn: Drawn
) -> Tensor:
    """:func:`recommendation_loss` with an estimated denominator.

    The target and the padding class (score 0) take part exactly, the draws stand for all other items.

    Args:
        states: [P, D].
        targets: [P] item ids.
        items: [I + 1, D] embeddings, row 0 padding.
        drawn: this step's items.
    """
    table = ItemTable.of(items)
    own = (states * table.rows(targets)).sum(1)
    scores = states @ table.rows(drawn.items).T + drawn.log_weights  # [P, N]
    scores = scores.masked_fill(drawn.items == targets[:, None], -torch.inf)
    known = torch.stack([own, torch.zeros_like(own)], 1)
    return (torch.cat([known, scores], 1).logsumexp(1) - own).mean()


def sampled_distillation_loss(
    heads: Tensor,
    items: Tensor | ItemTable,
    teacher: TransitionTeacher,
    tau: float,
    drawn: Drawn,
    dropout_prob: float = 0.0,
) -> Tensor:
    """:func:`distillation_loss`, exact over what follows each head and estimated over the rest.

    Arguments as there; ``drawn`` are this step's items.
    """
    table = ItemTable.of(items)
    scale = table.values.size(1) ** 0.5 / tau
    student = dropout(table.rows(heads), dropout_prob, training=True) * scale
    scores = student @ table.rows(drawn.items).T  # [N, M]
    row, column, extra = teacher.followers(heads)
    followed = (student.index_select(0, row) * table.rows(column)).sum(1)  # [non-zeros]

    # A drawn item that follows the head is there already.
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

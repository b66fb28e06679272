"""Transition-aware embedding distillation (Zhu et al., WSDM 2024, section 4).

The teacher of item i is ``softmax_j(a[i, j] / max_j a[i, j] / tau)`` over all items, the student
``softmax_j(e_i . e_j * sqrt(D) / tau)``. A teacher row is constant except at the few items that follow
i. It is stored as that constant plus a sparse remainder, so the loss never builds a row of length I.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from .dropout import dropout
from .item_table import ItemTable
from .softmax import LIMITS, Limits, weighted_logsumexp

MOST_PADDED = 1 << 18
"""Up to this many followers a GPU pads instead of counting them: 64 MB of embeddings at D = 64."""


class TransitionTeacher(nn.Module):
    """Row i is ``uniform[i]`` for every item, plus ``extra`` for the items that follow i; it sums to 1.

    Args:
        counts: [I + 1, I + 1] transition counts, row and column 0 (padding) empty.
        tau: temperature, > 0.
    """

    uniform: Tensor
    first: Tensor
    columns: Tensor
    extra: Tensor

    def __init__(self, counts: sparse.csr_matrix, tau: float) -> None:
        super().__init__()
        n_items = counts.shape[0] - 1
        per_row = np.diff(counts.indptr)
        row = np.repeat(np.arange(n_items + 1), per_row)
        largest = np.zeros(n_items + 1)
        np.maximum.at(largest, row, counts.data)
        # Exponents are shifted by -1/tau: exp(1/tau) itself overflows float32 below tau = 0.011.
        weight = np.exp((counts.data / largest[row] - 1) / tau)
        constant = np.exp(-1 / tau)
        total = (n_items - per_row) * constant + np.bincount(row, weight, n_items + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            uniform = np.where(per_row > 0, constant / total, 1 / n_items)
        buffers = {
            "uniform": torch.from_numpy(uniform).float(),
            "first": torch.from_numpy(counts.indptr.astype(np.int64)),
            "columns": torch.from_numpy(counts.indices.astype(np.int64)),
            "extra": torch.from_numpy((weight - constant) / total[row]).float(),
        }
        self.most = int(per_row.max())
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def followers(self, heads: Tensor, count: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The followers of all heads, head after head: place of the head in ``heads``, item id and ``extra``.

        Args:
            heads: [N] item ids.
            count: how many entries to return, enough for all followers; the rest is padding, item 0 with an
                ``extra`` of 0. None returns the followers alone, but synchronises with a GPU to count them.
        """
        lengths = self.first[heads + 1] - self.first[heads]
        ends = lengths.cumsum(0)
        index = torch.arange(int(lengths.sum()) if count is None else count, device=heads.device)
        place = torch.searchsorted(ends, index, right=True).clamp(max=len(heads) - 1)
        real = index < ends[-1:]
        index = (index + (self.first[heads + 1] - ends)[place]).where(real, 0)
        return place, self.columns[index] * real, self.extra[index] * real

    def mean_item(self, heads: Tensor, items: Tensor | ItemTable) -> Tensor:
        """The teacher's mean of the item embeddings: sum_j teacher[i, j] * e_j for each head i.

        Args:
            heads: [N] item ids.
            items: [I + 1, D], row 0 padding.

        Returns:
            [N, D]
        """
        table = ItemTable.of(items)
        enough = len(heads) * self.most
        on_gpu = heads.device.type != "cpu" and enough <= MOST_PADDED
        place, columns, extra = self.followers(heads, enough if on_gpu else None)
        followed = table.rows(columns) * extra[:, None].to(table.values.dtype)
        evenly = self.uniform[heads, None].to(table.values.dtype) * table.total()
        return evenly.index_add(0, place, followed)


def distillation_loss(
    heads: Tensor,
    items: Tensor | ItemTable,
    teacher: TransitionTeacher,
    tau: float,
    dropout_prob: float = 0.0,
    block: int | None = 0,
    dtype: torch.dtype | None = None,
    limits: Limits = LIMITS,
) -> Tensor:
    """Mean over heads of the cross-entropy from teacher to student row, padding excluded.

    ``mean_i [logsumexp_j s_ij - sum_j teacher_ij s_ij]`` with ``s_ij = dropout(e_i sqrt(D)) . e_j / tau``.

    Args:
        heads: [N] item ids, repeats allowed.
        items: [I + 1, D], row 0 padding.
        teacher: the transitions, at the same temperature.
        tau: temperature.
        dropout_prob: dropout of the heads' embeddings.
        block, dtype, limits: see :func:`weighted_logsumexp`.
    """
    table = ItemTable.of(items)
    scale = table.values.size(1) ** 0.5 / tau
    student = dropout(table.rows(heads), dropout_prob, training=True) * scale
    weights = student.new_full((len(heads),), 1 / len(heads))
    matched = (student * teacher.mean_item(heads, table)).sum() / len(heads)
    return (
        weighted_logsumexp(student, table, weights, block, dtype, without_padding=True, limits=limits)
        - matched
    )


def sample_heads(positions: Tensor, count: int) -> Tensor:
    """Draw ``count`` of the batch's input items without replacement; 0 takes all.

    Every position is equally likely, so the expected loss is that over all positions.

    Args:
        positions: [P] item ids.
    """
    if not 0 < count < len(positions):
        return positions
    return positions[torch.randperm(len(positions), device=positions.device)[:count]]

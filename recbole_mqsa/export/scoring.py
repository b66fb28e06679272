"""What is exported of a run: a module from histories to the scores of all items, as the run's recommender has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..interfaces import Model
from ..model.memory import Memory, memory_of
from ..model.mqsated import MQSATED
from .padded import PaddedMQSATED


class Scoring(nn.Module):
    """[B, T] item ids, oldest first, padded with 0 on either side, to [B, I + 1] scores; -inf for the padding.

    They are those of people whom the run has not seen (``Recommender.recommend_sequences`` without ``exclude_seen``).

    Args:
        model: a trained model that serves people by their histories alone.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.scores = PaddedMQSATED(model) if isinstance(model, MQSATED) else _Sequential(model)
        self.longest, memory = self.scores.longest, memory_of(model)
        self.bonus = None if memory is None else _Bonus(memory)

    def forward(self, item_seq: Tensor) -> Tensor:
        scores = self.scores(item_seq)
        if self.bonus is not None:
            scores = scores + self.bonus(item_seq)
        padding = torch.arange(scores.size(1), device=scores.device) == 0
        return scores.masked_fill(padding, -torch.inf)


class _Sequential(nn.Module):
    """Any of RecBole's sequential models, at its full length, as RecBole calls it: padded after the newest item."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.longest, self.n_items = model, model.max_seq_length, model.n_items
        self.fields = model.ITEM_SEQ, model.ITEM_SEQ_LEN

    def forward(self, item_seq: Tensor) -> Tensor:
        items, length = newest(item_seq, self.longest)
        length = length.clamp(min=1)  # RecBole reads a state even of nobody
        batch = _Fields(zip(self.fields, (items, length)))
        return self.model.full_sort_predict(batch).view(-1, self.n_items)


class _Fields(dict[str, Tensor]):
    """An interaction of RecBole's, as far as its models read one."""

    def __len__(self) -> int:
        return len(next(iter(self.values())))


class _Bonus(nn.Module):
    """The transition memory's bonus (:mod:`recbole_mqsa.model.memory`) after histories of anybody.

    The followers of an item are a span of flat arrays; of each asked item a window of the longest span is read.
    """

    starts: Tensor
    counts: Tensor
    followers: Tensor
    shares: Tensor

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.numbers, source = memory.numbers, memory.source
        matrix, totals = source.counts, source.totals  # type: ignore[attr-defined]
        counts = np.diff(matrix.indptr)
        self.longest = int(counts.max(initial=0))
        share = matrix.data / np.repeat(np.maximum(totals, 1e-300), counts)
        self.n_items = matrix.shape[0]
        self._keep("starts", matrix.indptr[:-1])
        self._keep("counts", counts)
        self._keep("followers", np.append(matrix.indices, np.zeros(self.longest, dtype=np.int64)))
        self.register_buffer("shares", torch.from_numpy(np.append(share, np.zeros(self.longest))).float())

    def _keep(self, name: str, whole: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(whole.astype(np.int64)))

    def forward(self, item_seq: Tensor) -> Tensor:
        numbers = self.numbers
        items, length = newest(item_seq, numbers.items)  # [B, n]
        age = length[:, None] - 1 - torch.arange(numbers.items, device=items.device)
        weight = numbers.recency ** age.clamp(min=0) * (age >= 0)
        place = torch.arange(self.longest, device=items.device)
        index = self.starts[items][:, :, None] + place  # [B, n, longest]
        there = place < self.counts[items][:, :, None]
        value = self.shares[index] * there * weight[:, :, None]
        evidence = torch.zeros(item_seq.size(0), self.n_items, device=item_seq.device)
        found = evidence.scatter_add(1, self.followers[index].flatten(1), value.flatten(1))
        return numbers.strength * torch.log1p(numbers.scale * found)


def newest(item_seq: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """[B, count] the newest items of padded histories, oldest first, padded behind, and [B] how many they are."""
    length = (item_seq != 0).sum(1).clamp(max=count)
    padded = F.pad(item_seq, (count, 0))
    column = torch.arange(padded.size(1), device=item_seq.device)
    last = (column * (padded != 0)).amax(1, keepdim=True)
    wanted = torch.arange(count, device=item_seq.device)
    index = (last - length[:, None] + 1 + wanted).clamp(max=padded.size(1) - 1)
    return padded.gather(1, index) * (wanted < length[:, None]), length

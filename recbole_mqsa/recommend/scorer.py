"""The scores of a trained model after any histories, and the best items by them: one path for all that recommends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch import Tensor
from torch.nn.utils import parametrize

from ..data.dataset import SequenceDataset
from ..data.loader import users_at_once
from ..evaluation.ranking import BLOCK_USERS, FEW_USERS, best_items, top_items_by_blocks
from ..interfaces import Batch, Loader, Model, Settings
from ..model.memory import Bonus, memory_of
from ..model.protocols import Counting, Factorised
from .histories import Histories

CACHED_CELLS, TOGETHER = 1 << 20, 512
"""Scores held at once, 4 MB, and users encoded together, where numbers need not be evaluation's."""
ROWS = 32
"""Rows are scored in multiples of it, to which a matrix product is made."""


class ScoringModel(Model, Protocol):
    """A model that scores single pairs, too."""

    def predict(self, interaction: Batch, /) -> Tensor: ...


class EvalLoader(Loader, Protocol):
    """A loader with its settings, and what it does to each batch."""

    config: Settings
    transform: Callable[..., Interaction]


@dataclass(frozen=True)
class Choice:
    """Which items a list may hold.

    Args:
        exclude_seen: whether those in a person's history are left out.
        allowed: [I + 1] whether an item may be recommended at all; None allows all.
    """

    exclude_seen: bool = True
    allowed: Tensor | None = None


class Scorer:
    """Scores and ranks all items for batches of people.

    Args:
        model: a trained model; it is put into evaluation mode, and counts what ``part`` knows if it is one that counts.
        loader: an evaluation loader of the run, of which the settings and the transformation of batches are used.
        part: what may be known of the users; by default the loader's own part.
        device: where batches go; by default to the run's device.
        as_evaluated: whether scores have to be evaluation's to the last bit; on a CPU others come three times as fast.

    Attributes:
        step: how many rows are scored at once.
        by_blocks: whether the catalogue is so large that evaluation ranks it block by block.
    """

    def __init__(
        self,
        model: ScoringModel,
        loader: EvalLoader,
        part: SequenceDataset | None = None,
        device: torch.device | None = None,
        as_evaluated: bool = True,
    ) -> None:
        self.model, self.loader, self.part = model, loader, loader._dataset if part is None else part
        self.device = device or loader.config["device"]
        if isinstance(model, Counting):  # it knows more when testing than when validating
            model.count(self.part)
        model.eval()
        at_most = loader.config["eval_batch_size"]
        step = users_at_once(loader.config, self.part.item_num)
        self.by_blocks = isinstance(model, Factorised) and step < min(FEW_USERS, at_most)
        self.step = min(BLOCK_USERS, at_most) if self.by_blocks else step
        self.freely = not as_evaluated and self.device.type == "cpu"
        if self.freely and isinstance(model, Factorised) and not self.by_blocks:
            self.step = TOGETHER

    @staticmethod
    def many() -> AbstractContextManager[None]:
        """Within, what depends on the weights alone, such as smoothed embeddings, is computed once."""
        return parametrize.cached()

    @torch.no_grad()
    def best(
        self, histories: Histories, k: int, choice: Choice, by_blocks: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """The k best items of each row; equal scores in order of item ids, as in evaluation.

        Returns:
            [B, k] scores, best first, -inf where no more items are left, and [B, k] item ids, 0 there; fewer columns
            if there are fewer than k items.
        """
        k = min(k, self.part.item_num - 1)
        by_blocks = self.by_blocks if by_blocks is None else by_blocks
        if by_blocks and isinstance(self.model, Factorised):
            return self._best_of_blocks(self.model, histories, k, choice)
        if self.freely and isinstance(self.model, Factorised):
            return self._best_of_few(self.model, histories, k, choice)
        return best_items(self.scores(histories, choice), k)

    @torch.no_grad()
    def scores(self, histories: Histories, choice: Choice) -> Tensor:
        """[B, I + 1] scores, -inf for padding and for items that are left out."""
        return self._chosen(self._of_all(self._batch(histories)), histories, choice)

    def _chosen(self, scores: Tensor, histories: Histories, choice: Choice) -> Tensor:
        """The scores [B, I + 1] of the items that a list may hold, raised by the model's memory; changed in place."""
        raised = self._raised(histories, choice)
        if raised is not None:
            scores[raised.rows, raised.items] += raised.values.to(scores.dtype)
        scores[:, 0] = -np.inf
        if choice.exclude_seen:
            row, item = histories.seen()
            scores[row, item] = -np.inf
        if choice.allowed is not None:
            scores[:, ~choice.allowed.to(scores.device)] = -np.inf
        return scores

    def _of_all(self, batch: Interaction) -> Tensor:
        """[B, I + 1] scores; of a model that knows no way to score all items, item by item."""
        try:
            scores = self.model.full_sort_predict(batch)
        except NotImplementedError:
            users, items = len(batch), self.part.get_item_feature().to(self.device)
            pairs = batch.repeat_interleave(self.part.item_num)
            pairs.update(items.repeat(users))
            scores = self.model.predict(pairs)
        return scores.view(-1, self.part.item_num)

    def _raised(self, histories: Histories, choice: Choice) -> Bonus | None:
        """What the model's memory adds to the scores, if it has one."""
        memory = memory_of(self.model)
        if memory is None:
            return None
        strangers = histories.sequences.items if histories.users is None else None
        asked = histories.begin, histories.end, histories.users, strangers
        return memory.after(*asked, history_left_out=choice.exclude_seen).to(self.device)

    def _best_of_few(
        self, model: Factorised, histories: Histories, k: int, choice: Choice
    ) -> tuple[Tensor, Tensor]:
        """The best items, from the scores of as few rows at once as stay in the CPU's cache."""
        states, items = model.factors(self._batch(histories))
        rows = max(ROWS, CACHED_CELLS // len(items) // ROWS * ROWS)
        found = []
        for first in range(0, len(states), rows):
            some = slice(first, first + rows)
            # The transpose of the product that is wanted, which MKL computes in a third of the time.
            scores = (items @ states[some].T).T
            found.append(best_items(self._chosen(scores, histories.rows(some), choice), k))
        best, ids = zip(*found)
        return torch.cat(best), torch.cat(ids)

    def _best_of_blocks(
        self, model: Factorised, histories: Histories, k: int, choice: Choice
    ) -> tuple[Tensor, Tensor]:
        """The best items of a large catalogue, of which only the allowed ones are scored."""
        states, items = model.factors(self._batch(histories))
        row, item = histories.seen() if choice.exclude_seen else (torch.empty(0, dtype=torch.long),) * 2
        seen, raised = (row.to(items.device), item.to(items.device)), self._raised(histories, choice)
        if choice.allowed is None:
            return top_items_by_blocks(states, items, k, seen, raised=raised)
        ids = torch.cat([torch.zeros(1, dtype=torch.long), choice.allowed.nonzero().squeeze(1)]).to(
            items.device
        )
        if raised is not None:
            raised = Bonus(*_among(ids, raised))
        row, item = _among(ids, seen)
        best, place = top_items_by_blocks(states, items[ids], k, (row, item), raised=raised)
        return best, ids[place]

    def _batch(self, histories: Histories) -> Interaction:
        """What a model reads of the rows, as in the loader's own batches."""
        batch = self.loader.transform(histories.part, histories.interaction())
        return batch.to(self.device)


def _among(ids: Tensor, places: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Rows, items and what else there is of them, by the items' place in ``ids``, without items that are not there.

    Args:
        ids: sorted.
        places: rows, items, and whatever belongs to each.
    """
    row, item, *more = places
    place = torch.searchsorted(ids, item).clamp(max=len(ids) - 1)
    there = ids[place] == item
    return row[there], place[there], *(values[there] for values in more)

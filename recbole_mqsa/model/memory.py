"""Scores raised for what usually follows the newest items of a history (``transition_memory``), for any model.

``score[b, j] += strength * log(1 + scale * M[b, j])``, with ``M`` the evidence of
:class:`recbole_mqsa.data.transition_memory.TransitionMemory`: what a network of some thousand numbers cannot keep of
each pair of items, a table does. The bonus is sparse, and is added to whatever block of scores is being ranked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..errors import UserError
from ..interfaces import Batch, Model, Settings
from .protocols import RemembersTransitions

M = TypeVar("M", bound=Model)

ATTRIBUTE = "scoring_memory"
"""The attribute of a model that is its memory."""
REPEATED = 1 << 25
"""Entries that may be held for the batches of a repeated evaluation, 268 MB; those of further batches are made anew."""


@dataclass(frozen=True)
class MemoryNumbers:
    """The settings of a transition memory: what :data:`SETTINGS` calls them.

    Args:
        strength: of the bonus; 0 turns it off.
        scale: evidence at which the bonus turns from linear to logarithmic is 1 / scale.
        recency: weight of an item relative to the next newer one.
        items: how many of the newest items are asked.
        span, decay: ``time_span`` and ``time_decay`` of the memory's own counts.
    """

    strength: float
    scale: float
    recency: float
    items: int
    span: int
    decay: float

    @classmethod
    def of(cls, config: Settings) -> MemoryNumbers:
        """Those of a run's settings."""
        return cls(**{name: config[setting] for name, setting in SETTINGS.items()})

    def settings(self) -> dict[str, float]:
        """The same as settings."""
        return {setting: getattr(self, name) for name, setting in SETTINGS.items()}


SETTINGS = {
    "strength": "transition_memory",
    "scale": "memory_scale",
    "recency": "memory_recency",
    "items": "memory_items",
    "span": "memory_span",
    "decay": "memory_decay",
}
"""The setting of each number."""


class Bonus(NamedTuple):
    """What is added to a block of scores [B, I + 1].

    Args:
        rows, items: [N] the places of the scores, each at most once.
        values: [N] float32.
    """

    rows: Tensor
    items: Tensor
    values: Tensor

    def to(self, device: torch.device) -> Bonus:
        """The same on another device."""
        return Bonus(*(part.to(device) for part in self))


class Memory:
    """The bonus of each sample of an evaluation.

    Args:
        dataset: the training part.
        numbers: the settings.
        mask_seen: whether seen items are left out of every ranking.
    """

    def __init__(self, dataset: RemembersTransitions, numbers: MemoryNumbers, mask_seen: bool) -> None:
        self.dataset, self.numbers, self.mask_seen = dataset, numbers, mask_seen
        self.source = dataset.transition_memory(numbers.span, numbers.decay)
        self._known: dict[bytes, tuple[Tensor, Tensor]] = {}
        self._held = 0

    def bonus(self, samples: Batch) -> Bonus:
        """The bonus of a batch of samples, which are on the CPU."""
        return self.after(*self.dataset.histories_of(samples), history_left_out=self.mask_seen)

    def after(
        self,
        begin: np.ndarray,
        end: np.ndarray,
        users: np.ndarray | None = None,
        items: np.ndarray | None = None,
        history_left_out: bool = False,
    ) -> Bonus:
        """The bonus after any histories ``items[begin:end]``, also of people who were not trained on.

        Args:
            begin, end, users, items, history_left_out: see :meth:`.protocols.FollowsHistories.evidence`.
        """
        found, values = self._raised(begin, end, users, items, history_left_out)
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        return Bonus(*map(torch.from_numpy, (rows, found.indices.astype(np.int64), values)))

    def _raised(
        self,
        begin: np.ndarray,
        end: np.ndarray,
        users: np.ndarray | None,
        items: np.ndarray | None,
        history_left_out: bool,
    ) -> tuple[sparse.csr_matrix, np.ndarray]:
        """The evidence after histories, and what each of its entries adds to a score, float32."""
        asked = self.numbers.items, self.numbers.recency
        found = self.source.evidence(begin, end, users, *asked, items, history_left_out)
        values = self.numbers.strength * np.log1p(self.numbers.scale * found.data)
        return found, values.astype(np.float32)

    def add(self, scores: Tensor, samples: Batch, repeated: bool = False) -> Tensor:
        """Scores [B, I + 1] with the bonus of their samples; of -inf nothing becomes more.

        Args:
            scores: of this batch; they may be changed in place.
            samples: the batch, on the CPU.
            repeated: whether the same batches will come again, as in validation, so that it pays to hold the bonus.
        """
        scores = scores.contiguous()
        place, values = self._flat(scores, samples, repeated)
        scores.view(-1).index_add_(0, place, values.to(scores.dtype))
        return scores

    def _flat(self, scores: Tensor, samples: Batch, repeated: bool) -> tuple[Tensor, Tensor]:
        histories = self.dataset.histories_of(samples)
        key = histories[1].tobytes() if repeated else b""
        if key in self._known:
            return self._known[key]
        found, values = self._raised(*histories, None, self.mask_seen)
        kind = np.int32 if scores.numel() < 2**31 else np.int64
        first = np.arange(len(scores), dtype=kind) * scores.size(1)
        place = found.indices + np.repeat(first, np.diff(found.indptr))
        added = torch.from_numpy(place).to(scores.device), torch.from_numpy(values).to(scores.device)
        if repeated and self._held + len(place) <= REPEATED and place.dtype == np.int32:
            self._known[key] = added
            self._held += len(place)
        return added


def attach_memory(model: M, config: Settings, dataset: object) -> M:
    """A model with the memory that the settings ask for, unless it has one or ``transition_memory`` is 0.

    Args:
        model: any of RecBole's or ours; it is changed and returned.
        config: the settings.
        dataset: the training part.

    Raises:
        UserError: the data set is not this package's.
    """
    if config["transition_memory"] and getattr(model, ATTRIBUTE, None) is None:
        if not isinstance(dataset, RemembersTransitions):
            raise UserError(
                f"transition_memory reads histories, and RecBole's own {type(dataset).__name__} has none that it "
                "knows; run the model by recbole-mqsa, or build its data as a recbole_mqsa SequenceDataset"
            )
        setattr(model, ATTRIBUTE, Memory(dataset, MemoryNumbers.of(config), config["mask_seen"]))
    return model


def memory_of(model: Model) -> Memory | None:
    """The memory that raises a model's scores, if it has one."""
    memory = getattr(model, ATTRIBUTE, None)
    return memory if isinstance(memory, Memory) and memory.numbers.strength else None

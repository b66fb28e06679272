"""What some models can do besides what RecBole asks of all."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy import sparse
from torch import Tensor, nn


@runtime_checkable
class Factorised(Protocol):
    """Scores are products of a state and the item embeddings, so that items can be ranked block by block."""

    def factors(self, interaction: Any) -> tuple[Tensor, Tensor]:
        """[B, D] states and [I + 1, D] items, whose products are the scores of all items, padding first."""
        ...


@runtime_checkable
class Counting(Protocol):
    """Counts what is known before an evaluation instead of learning."""

    def count(self, dataset: Any) -> None:
        """Count anew, from what is known before the targets of ``dataset``."""
        ...


@runtime_checkable
class NamesItsLosses(Protocol):
    """Adds up a loss of several named parts, transition terms included."""

    def losses(self, interaction: Any) -> dict[str, Tensor]:
        """The parts of a step's loss, weighted."""
        ...


@runtime_checkable
class HasTransition(Protocol):
    """Carries the loss terms of ``transition``."""

    transition: nn.ModuleDict


@runtime_checkable
class CountsTransitions(Protocol):
    """A data set that counts what follows what."""

    def transition_counts(
        self,
        time_span: int = 1,
        longest: int | None = None,
        time_decay: float = 1.0,
        backward_weight: float = 0.0,
    ) -> sparse.csr_matrix:
        """[I + 1, I + 1] counts over what is known before this part is predicted."""
        ...


class FollowsHistories(Protocol):
    """What usually follows the newest items of histories (``data.transition_memory.TransitionMemory``)."""

    def evidence(
        self,
        begin: np.ndarray,
        end: np.ndarray,
        users: np.ndarray | None,
        newest: int,
        recency: float,
        items: np.ndarray | None = None,
        history_left_out: bool = False,
    ) -> sparse.csr_matrix:
        """[B, I + 1] the evidence for each item after each history ``items[begin:end]``."""
        ...


@runtime_checkable
class RemembersTransitions(Protocol):
    """A data set from which a transition memory can be made."""

    def transition_memory(self, time_span: int, time_decay: float) -> FollowsHistories:
        """What follows what in what is known before this part is predicted."""
        ...

    def histories_of(self, samples: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """begin, end and user [B] of samples."""
        ...

"""What some models, data sets and batches can do besides what RecBole asks of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from scipy import sparse
from torch import Tensor, nn

from ..interfaces import Batch

if TYPE_CHECKING:
    from typing_extensions import TypeGuard


@runtime_checkable
class Factorised(Protocol):
    """A model whose scores are products of states and item embeddings, so that it can rank block by block."""

    def factors(self, interaction: Batch) -> tuple[Tensor, Tensor]:
        """[B, D] states and [I + 1, D] items, whose products are the scores of all items, padding first."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A model that counts what is known before an evaluation instead of learning."""

    def count(self, dataset: CountsActions) -> None:
        """Count again, from what is known before the targets of ``dataset``."""
        ...


@runtime_checkable
class NamesItsLosses(Protocol):
    """A model whose loss is the sum of named parts, transition terms included."""

    def losses(self, interaction: Batch) -> dict[str, Tensor]:
        """The parts of a step's loss, weighted."""
        ...


class HasTransition(Protocol):
    """A model that carries the loss terms of ``transition``; :func:`has_transition` tells."""

    transition: nn.ModuleDict


def has_transition(model: object) -> TypeGuard[HasTransition]:
    """Whether a model carries the loss terms of ``transition``.

    From Python 3.12 on, ``isinstance`` with a protocol would not see them, as torch keeps a module's parts outside of
    its attributes.
    """
    return hasattr(model, "transition")


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


@runtime_checkable
class CountsActions(CountsTransitions, Protocol):
    """A data set that also counts how often each item occurs."""

    def item_counts(self) -> np.ndarray:
        """[I + 1] counts over what is known before this part is predicted."""
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

    def histories_of(self, samples: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """begin, end and user [B] of samples."""
        ...


@runtime_checkable
class KnowsLengths(Protocol):
    """A batch that may know its input lengths [B] on the CPU."""

    known_lengths: Tensor | None


class Context(Protocol):
    """What a ``torch.autograd.Function`` gets as ``ctx``."""

    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward pass."""
        ...

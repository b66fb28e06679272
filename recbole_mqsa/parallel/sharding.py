"""The shard of the data that each rank has, and the weight of its loss in the joint loss.

All ranks draw the same joint batches, as large as those of a single process. A user stays on one rank (by number)
for the whole training, so a rank's shard of a batch may have any size, or be empty.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from recbole.model.loss import EmbLoss
from torch import Tensor
from torch.utils.data import BatchSampler

from ..errors import UserError
from ..interfaces import Batch, Loader, Model
from . import group


@runtime_checkable
class KnowsUsers(Protocol):
    """A training loader that knows the user of each of its rows [rows], as one of whole sequences does."""

    users: Tensor


@runtime_checkable
class ListsUsers(Protocol):
    """A training loader of RecBole's whose rows are users: their interaction."""

    user_list: Batch


AnyLoader = TypeVar("AnyLoader", bound=Loader)


def own_rows(loader: AnyLoader) -> AnyLoader:
    """A training loader whose batches hold this rank's shard of the joint batches.

    A rank without rows in a batch gets one row of another rank, with weight 0 (see :class:`JointLoss`).
    """
    if group.size() == 1:
        return loader
    mine = _users(loader) % group.size() == group.rank()
    return _with(loader, batch_sampler=_OwnRows(loader.batch_sampler, mine))


def _users(loader: Loader) -> np.ndarray:
    """[rows] the user of each row of a training loader."""
    if isinstance(loader, KnowsUsers):
        return loader.users.cpu().numpy()
    table: Batch = loader.user_list if isinstance(loader, ListsUsers) else loader._dataset.inter_feat
    return table[loader._dataset.uid_field].numpy()


class _OwnRows:
    """The row numbers of each batch that are ``mine``, a boolean for each row of the data."""

    def __init__(self, batches: BatchSampler, mine: np.ndarray) -> None:
        self.batches, self.mine = batches, mine

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield [row for row in batch if self.mine[row]] or batch[:1]


def own_samples(loader: AnyLoader) -> AnyLoader:
    """An evaluation loader of this rank's shard of the samples; the shards of all ranks, in order, are the whole.

    Raises:
        UserError: there are fewer samples than ranks.
    """
    if group.size() == 1:
        return loader
    count = len(loader.sampler)
    if count < group.size():
        raise UserError(f"{count} users to evaluate are too few for {group.size()} processes; lower nproc")
    own = group.own_span(count)
    return _with(loader, sampler=own, batch_sampler=BatchSampler(own, loader.batch_sampler.batch_size, False))


def with_batches_of(loader: AnyLoader, size: int) -> AnyLoader:
    """An evaluation loader with batches of ``size`` samples."""
    return _with(loader, batch_sampler=BatchSampler(loader.sampler, size, False))


def _with(loader: AnyLoader, **samplers: object) -> AnyLoader:
    """A copy of a loader with other samplers, as torch forbids changing those of an existing loader."""
    view = copy.copy(loader)
    vars(view).update(samplers)
    return view


class JointLoss:
    """A rank's part of the joint batch's loss, from the mean loss of its shard.

    The mean over the joint batch is the sum of the ranks' means, each weighted by the rank's part of the examples
    that the mean runs over. The same holds for the gradients, which are summed over all ranks when ``backward``
    returns. A term that does not depend on the batch counts once, as the weights sum to 1.

    Args:
        loss: takes an interaction, returns a mean or several.
        model: the model whose gradients to sum.
        user_field: the field of the users in an interaction.
        count: the number of examples that the mean of an interaction runs over.
    """

    def __init__(
        self,
        loss: Callable[[Batch], Tensor | tuple[Tensor, ...]],
        model: Model,
        user_field: str,
        count: Callable[[Batch], int],
    ) -> None:
        self.loss, self.model, self.user_field, self.count = loss, model, user_field, count
        self.norms = [module for module in model.modules() if isinstance(module, EmbLoss)]

    def __call__(self, interaction: Batch) -> Tensor | tuple[Tensor, ...]:
        users = interaction[self.user_field]
        own = int(users[0]) % group.size() == group.rank()
        count = self.count(interaction) if own else 0
        (total,) = group.sum_over_ranks([count])
        hooks = [
            norm.register_forward_hook(partial(_joint_norm, count > 0), with_kwargs=True)
            for norm in self.norms
        ]
        try:
            losses = self.loss(interaction)
        finally:
            for hook in hooks:
                hook.remove()
        parts = list(losses) if isinstance(losses, tuple) else [losses]
        # A mean over nothing, as of a row whose items BERT4Rec does not mask, is NaN, and so are its gradients.
        parts = [part * (count / total) if count else part.nan_to_num() * 0 for part in parts]
        for part in parts:
            if part.requires_grad:
                part.register_hook(partial(self._when_done, count > 0))
                break
        return tuple(parts) if isinstance(losses, tuple) else parts[0]

    def _when_done(self, own: bool, _: Tensor) -> None:
        # RecBole's trainers clip and step right after backward, so the gradients are summed at its very end, as
        # torch's own wrapper does. All at once: ranks with different gradients would wait for each other forever.
        add = partial(group.add_gradients, self.model.parameters(), own)
        torch.autograd.Variable._execution_engine.queue_callback(add)


def _joint_norm(
    own: bool, module: EmbLoss, embeddings: tuple[Tensor, ...], options: dict[str, bool], output: Tensor
) -> Tensor:
    """RecBole's regularisation of a batch's embeddings, sum_k ||E_k||_p / B, of the joint batch.

    It is not a mean over rows, as the root is taken of the joint sum. Let s_k be a rank's own sum of |e|^p. The
    joint norm is n_k = (sum_ranks s_k)^(1/p); its gradient is n_k^(1 - p) / p times that of s_k; and n_k itself is
    the sum over the ranks of s_k n_k^(1 - p). Raised to the power p the norm is additive, and RecBole's is kept.

    Args:
        own: whether the rows are in this rank's shard.
    """
    if options.get("require_pow"):
        return output
    p = module.norm
    sums = torch.stack([embedding.abs().pow(p).sum() for embedding in embeddings])
    totals = sums.new_tensor(group.sum_over_ranks((sums.detach() * own).tolist()))
    scaled = torch.where(totals > 0, sums * totals.clamp_min(1e-30).pow(1 / p - 1), 0.0)
    value = (scaled / p + (scaled * (1 - 1 / p)).detach()).sum()
    return (value / len(embeddings[-1])).expand_as(output)

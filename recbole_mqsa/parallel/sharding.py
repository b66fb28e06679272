"""Which rows of the data are a rank's, and what weight its loss has in the joint one.

All ranks draw the same joint batches, each as large as one process would take. A user is on one rank for
the whole training (by number), so a rank's part of a batch can be of any size, or empty.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.model.loss import EmbLoss
from torch import Tensor, nn
from torch.utils.data import BatchSampler

from ..errors import UserError
from . import group


def own_rows(loader: Any) -> Any:
    """A training loader whose batches hold this rank's rows of the joint batches.

    A rank that has none in a batch gets one row of somebody else's, whose weight is 0 (see :class:`JointLoss`).
    """
    if group.size() == 1:
        return loader
    mine = _users(loader) % group.size() == group.rank()
    return _with(loader, batch_sampler=_OwnRows(loader.batch_sampler, mine))


def _users(loader: Any) -> np.ndarray:
    """[rows] whose each row of a training loader is."""
    if hasattr(loader, "users"):  # of whole sequences
        return loader.users.cpu().numpy()
    table = getattr(loader, "user_list", loader._dataset.inter_feat)  # RecBole's, of users or of samples
    return table[loader._dataset.uid_field].numpy()


class _OwnRows:
    """Of each batch of row numbers those that are ``mine``, a truth value for each row of the data."""

    def __init__(self, batches: BatchSampler, mine: np.ndarray) -> None:
        self.batches, self.mine = batches, mine

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield [row for row in batch if self.mine[row]] or batch[:1]


def own_samples(loader: Any) -> Any:
    """An evaluation loader of this rank's part of the samples; all ranks' in their order are the whole.

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


def with_batches_of(loader: Any, size: int) -> Any:
    """An evaluation loader that takes ``size`` samples at once."""
    return _with(loader, batch_sampler=BatchSampler(loader.sampler, size, False))


def _with(loader: Any, **samplers: Any) -> Any:
    """A copy of a loader with other samplers: torch lets nobody change those of a loader that is in use."""
    view = copy.copy(loader)
    vars(view).update(samplers)
    return view


class JointLoss:
    """A rank's part of the joint batch's loss, from the mean loss of the rank's own rows.

    The mean over the joint batch is the sum over the ranks of their means, each weighted by its share of what
    the mean runs over. So are its gradients, which all ranks have added up when ``backward`` returns. A term
    that does not depend on the batch comes out once, too, as the weights sum to 1.

    Args:
        loss: takes an interaction, returns a mean or several.
        model: whose gradients are meant.
        user_field: of the interactions.
        count: how many examples the mean of an interaction runs over.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        model: nn.Module,
        user_field: str,
        count: Callable[[Interaction], int],
    ) -> None:
        self.loss, self.model, self.user_field, self.count = loss, model, user_field, count
        self.norms = [module for module in model.modules() if isinstance(module, EmbLoss)]

    def __call__(self, interaction: Interaction, *args: Any, **kwargs: Any) -> Any:
        users = interaction[self.user_field]
        own = int(users[0]) % group.size() == group.rank()
        count = self.count(interaction) if own else 0
        (total,) = group.sum_over_ranks([count])
        hooks = [
            norm.register_forward_hook(partial(_joint_norm, count > 0), with_kwargs=True)
            for norm in self.norms
        ]
        try:
            losses = self.loss(interaction, *args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        parts = [part * (count / total) for part in (losses if isinstance(losses, tuple) else (losses,))]
        for part in parts:
            if part.requires_grad:
                part.register_hook(self._when_done)
                break
        return tuple(parts) if isinstance(losses, tuple) else parts[0]

    def _when_done(self, _: Tensor) -> None:
        # RecBole's trainers clip and step right after backward, so gradients are added at its very end, as
        # torch's own wrapper does. All at once, or those would wait forever that have others than their peers.
        add = partial(group.add_gradients, self.model.parameters())
        torch.autograd.Variable._execution_engine.queue_callback(add)


def _joint_norm(
    own: bool, module: EmbLoss, embeddings: tuple[Tensor, ...], settings: dict[str, Any], output: Tensor
) -> Tensor:
    """RecBole's regularisation of a batch's embeddings, sum_k ||E_k||_p / B, of the joint batch.

    It is no mean over rows, as the root is taken of the joint sum. With s_k a rank's own sum of |e|^p, the
    joint norm is n_k = (sum_ranks s_k)^(1/p), its gradient n_k^(1 - p) / p that of s_k, and n_k itself is the
    sum over the ranks of s_k n_k^(1 - p). Raised to the power p it is additive, and stays RecBole's.

    Args:
        own: whether the rows are this rank's own.
    """
    if settings.get("require_pow"):
        return output
    p = module.norm
    sums = torch.stack([embedding.abs().pow(p).sum() for embedding in embeddings])
    totals = sums.new_tensor(group.sum_over_ranks((sums.detach() * own).tolist()))
    scaled = torch.where(totals > 0, sums * totals.clamp_min(1e-30).pow(1 / p - 1), 0.0)
    value = (scaled / p + (scaled * (1 - 1 / p)).detach()).sum()
    return (value / len(embeddings[-1])).expand_as(output)

"""The best items for some users: RecBole's functions, with the mask of this package's evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from recbole.data.interaction import Interaction

from ..data.dataset import SequenceDataset
from ..errors import UserError
from ..evaluation.ranking import Raised, best_items, top_items_by_blocks
from ..interfaces import Batch, Loader, Model, Settings
from ..model.memory import memory_of
from ..model.protocols import Counting, Factorised
from ..settings.rules import is_whole
from .asked import Asked, Users


class Recommender(Model, Protocol):
    """A model that scores single pairs, too."""

    def predict(self, interaction: Batch, /) -> torch.Tensor: ...


class EvalLoader(Loader, Protocol):
    """A loader with its settings, and what it does to each batch."""

    config: Settings
    transform: Callable[..., Interaction]


@torch.no_grad()
def full_sort_topk(
    uid_series: Users,
    model: Recommender,
    test_data: EvalLoader,
    k: int,
    device: torch.device | None = None,
    *,
    otherwise: Callable[..., tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """RecBole's function of this name, which here leaves out seen items and never holds all scores of all users.

    A row for each user asked for, in that order; equal scores in order of item ids, as in evaluation.

    Args:
        uid_series: [U] user numbers.
        test_data: what says what is known of the users: all before this loader's targets.
        otherwise: RecBole's own function, for its own data sets.

    Returns:
        [U, k] scores, best first, -inf where no more items are left, and [U, k] item ids, 0 there; fewer columns if
        there are fewer than k items.

    Raises:
        UserError: k is below 1, or as :class:`Asked`.
    """
    part = test_data._dataset
    if not isinstance(part, SequenceDataset):
        return otherwise(uid_series, model, test_data, k, device)
    if not is_whole(k, 1):
        raise UserError(f"k is {k!r}; it has to be a whole number of at least 1")
    k = min(k, part.item_num - 1)
    if not isinstance(model, Factorised):
        return best_items(_scores(uid_series, model, test_data, device), k)
    asked = Asked(uid_series, part)
    model.eval()
    states, items = model.factors(_batch(asked, test_data, device))
    row, item = _seen(asked, test_data)
    seen, raised = (row.to(items.device), item.to(items.device)), _raised(asked, model, items.device)
    return top_items_by_blocks(states, items, k, seen, raised=raised)


@torch.no_grad()
def full_sort_scores(
    uid_series: Users,
    model: Recommender,
    test_data: EvalLoader,
    device: torch.device | None = None,
    *,
    otherwise: Callable[..., torch.Tensor],
) -> torch.Tensor:
    """RecBole's function of this name, which here leaves out seen items, as evaluation does.

    Args:
        uid_series: [U] user numbers.
        test_data: what says what is known of the users: all before this loader's targets.
        otherwise: RecBole's own function, for its own data sets.

    Returns:
        [U, I + 1] scores, -inf for padding and for items that are left out.

    Raises:
        UserError: as :class:`Asked`.
    """
    part = test_data._dataset
    if not isinstance(part, SequenceDataset):
        return otherwise(uid_series, model, test_data, device)
    return _scores(uid_series, model, test_data, device)


def _scores(
    users: Users, model: Recommender, loader: EvalLoader, device: torch.device | None
) -> torch.Tensor:
    """[U, I + 1] scores, -inf for padding and for items that are left out."""
    part = loader._dataset
    asked = Asked(users, part)
    if isinstance(model, Counting):  # it knows more when testing than when validating
        model.count(part)
    model.eval()
    scores = _scores_of_all(model, _batch(asked, loader, device), part)
    raised = _raised(asked, model, scores.device)
    if raised is not None:
        rows, items, values = raised
        scores[rows, items] += values.to(scores.dtype)
    scores[:, 0] = -np.inf
    scores[_seen(asked, loader)] = -np.inf
    return scores


def _batch(asked: Asked, loader: EvalLoader, device: torch.device | None) -> Interaction:
    """What a model reads of the users, as in the loader's own batches."""
    return loader.transform(asked.part, asked.interaction()).to(device or torch.device("cpu"))


def _seen(asked: Asked, loader: EvalLoader) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and items to leave out, none without ``mask_seen``."""
    if loader.config["mask_seen"]:
        return asked.seen()
    return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)


def _raised(asked: Asked, model: Recommender, device: torch.device) -> Raised | None:
    """What the model's memory adds to the scores, if it has one."""
    memory = memory_of(model)
    if memory is None:
        return None
    histories = asked.begin, asked.end, asked.users
    return memory.after(*histories, history_left_out=memory.mask_seen).to(device)


def _scores_of_all(model: Recommender, batch: Interaction, part: SequenceDataset) -> torch.Tensor:
    """[U, I + 1] scores; of a model that knows no way to score all items, item by item."""
    try:
        scores = model.full_sort_predict(batch)
    except NotImplementedError:
        users, items = len(batch), part.get_item_feature().to(batch[part.uid_field].device)
        pairs = batch.repeat_interleave(part.item_num)
        pairs.update(items.repeat(users))
        scores = model.predict(pairs)
    return scores.view(-1, part.item_num)

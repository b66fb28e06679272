"""The best items for some users, by RecBole's names and with the mask of this package's evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..data.dataset import SequenceDataset
from ..data.loader import MaskedEvalLoader
from ..evaluation.ranking import top_items_by_blocks
from ..model.memory import memory_of
from ..model.protocols import Counting, Factorised


@torch.no_grad()
def full_sort_topk(
    uid_series: Any,
    model: Any,
    test_data: Any,
    k: int,
    device: Any = None,
    *,
    otherwise: Callable[..., Any],
) -> Any:
    """RecBole's function of this name, so that not all scores of all users exist at once.

    Args:
        otherwise: RecBole's own, for loaders of others and models without factors.

    Returns:
        [U, k] scores, best first, and [U, k] item ids.
    """
    if not (isinstance(test_data, MaskedEvalLoader) and isinstance(model, Factorised)):
        return otherwise(uid_series, model, test_data, k, device)
    index = _RowsOfUsers(test_data._dataset, test_data.uid_field).of(uid_series)
    states, items = model.eval().factors(test_data._dataset[index].to(device or torch.device("cpu")))  # type: ignore[attr-defined]
    seen = test_data.seen_index(index)
    if seen is not None:
        seen = seen[0].to(items.device), seen[1].to(items.device)
    memory, raised = memory_of(model), None
    if memory is not None:
        raised = tuple(part.to(items.device) for part in memory.bonus(test_data._dataset[index]))
    return top_items_by_blocks(states, items, k, seen, raised=raised)  # type: ignore[arg-type]


def full_sort_scores(
    uid_series: Any, model: Any, test_data: Any, device: Any = None, *, otherwise: Callable[..., Any]
) -> torch.Tensor:
    """RecBole's function of this name, with seen items left out as in evaluation.

    Args:
        otherwise: RecBole's own, which this one calls.

    Returns:
        [U, I + 1] scores, -inf for padding and what is left out.
    """
    if not isinstance(test_data, MaskedEvalLoader):
        return otherwise(uid_series, model, test_data, device)
    if isinstance(model, Counting):  # it knows more when testing than when validating
        model.count(test_data._dataset)
    # RecBole asks a loader of general models for histories of its own making; a sample is a row for all here.
    rows = _RowsOfUsers(test_data._dataset, test_data.uid_field)
    scores = otherwise(uid_series, model, rows, device)
    memory = memory_of(model)
    if memory is not None:
        scores = memory.add(scores, test_data._dataset[rows.of(uid_series)])
    seen = test_data.seen_index(rows.of(uid_series))
    if seen is not None:
        scores[seen] = -np.inf
    return scores


class _RowsOfUsers:
    """What RecBole's functions read of a loader, for any model: the samples of some users, without a mask."""

    is_sequential = True

    def __init__(self, dataset: SequenceDataset, uid_field: str) -> None:
        self.dataset, self.uid_field = dataset, uid_field

    def of(self, users: Any) -> np.ndarray:
        """The samples of users, one user after another."""
        own = self.dataset.inter_feat[self.uid_field] == torch.as_tensor(users)[:, None]
        return own.nonzero(as_tuple=True)[1].numpy()

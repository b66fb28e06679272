"""The best items for some users: RecBole's functions of ``utils.case_study``, with the mask of our evaluation."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..data.dataset import SequenceDataset
from ..errors import UserError
from ..settings.rules import is_whole
from .asked import Users, asked
from .scorer import Choice, EvalLoader, Scorer, ScoringModel


def full_sort_topk(
    uid_series: Users,
    model: ScoringModel,
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
        UserError: k is below 1, or as :func:`asked`.
    """
    part = test_data._dataset
    if not isinstance(part, SequenceDataset):
        return otherwise(uid_series, model, test_data, k, device)
    if not is_whole(k, 1):
        raise UserError(f"k is {k!r}; it has to be a whole number of at least 1")
    histories = asked(uid_series, part)
    return _scorer(model, test_data, device).best(histories, k, _as_evaluated(test_data), by_blocks=True)


def full_sort_scores(
    uid_series: Users,
    model: ScoringModel,
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
        UserError: as :func:`asked`.
    """
    part = test_data._dataset
    if not isinstance(part, SequenceDataset):
        return otherwise(uid_series, model, test_data, device)
    histories = asked(uid_series, part)
    return _scorer(model, test_data, device).scores(histories, _as_evaluated(test_data))


def _scorer(model: ScoringModel, loader: EvalLoader, device: torch.device | None) -> Scorer:
    return Scorer(model, loader, device=device or torch.device("cpu"))  # RecBole's default


def _as_evaluated(loader: EvalLoader) -> Choice:
    return Choice(exclude_seen=loader.config["mask_seen"])

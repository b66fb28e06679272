"""The users that somebody asks for, with what a model may know of them: one row each, in the order asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np
import torch

from ..data.dataset import SequenceDataset
from ..errors import UserError
from .histories import Histories

Users = Union[Sequence[int], np.ndarray, torch.Tensor]
"""[U] user ids, as RecBole numbers them."""
NAMED = 5
"""The most users that a message names."""


def asked(users: Users, part: SequenceDataset) -> Histories:
    """Histories of users: their actions before the first that this part predicts, or all that came before the part.

    So the test part knows training and validation; a user whom it does not test has all known actions as history.

    Args:
        users: their numbers; a user may come several times.
        part: the validation or test part.

    Raises:
        UserError: something that is no user's number, or a user without a history.
    """
    numbers = checked(users, part)
    own, rows = part.inter_feat[part.uid_field].numpy(), part.rows
    never = len(part.sequences.items)
    first = np.full(part.user_num, never)
    np.minimum.at(first, own, rows)
    end = np.where(first < never, first, part.known_end + 1)[numbers]
    unknown = np.unique(numbers[end == 0])
    if len(unknown):
        raise UserError(f"{_named(unknown, part)} no action to recommend from; leave them out")
    return Histories(part, part.sequences, part.sequences.offsets[numbers], end, numbers)


def checked(users: Users, part: SequenceDataset) -> np.ndarray:
    """[U] user numbers, checked."""
    given = users.cpu().numpy() if isinstance(users, torch.Tensor) else np.asarray(users)
    given = given.astype(np.int64) if given.size == 0 else given
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise UserError(
            f"users are asked for by a list of numbers, not {given.dtype} in {given.ndim} dimensions; "
            f"dataset.token2id('{part.uid_field}', names) gives the numbers"
        )
    wrong = given[(given < 1) | (given >= part.user_num)]
    if len(wrong):
        raise UserError(
            f"there is no user number {wrong[0]}; users have the numbers 1 to {part.user_num - 1}"
        )
    return given.astype(np.int64)


def _named(users: np.ndarray, part: SequenceDataset) -> str:
    """The subject of a sentence, and its verb: users by the names in the file."""
    names = [f"'{name}'" for name in part.id2token(part.uid_field, users[:NAMED])]
    more = [f"{len(users) - NAMED} others"] if len(users) > NAMED else []
    return f"user {names[0]} has" if len(users) == 1 else f"users {', '.join([*names, *more])} have"

"""The users that somebody asks for, with what a model may know of them: one row each, in the order asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np
import torch
from recbole.data.interaction import Interaction

from ..data.dataset import SequenceDataset
from ..data.sequences import flatten_spans
from ..errors import UserError

Users = Union[Sequence[int], np.ndarray, torch.Tensor]
"""[U] user ids, as RecBole numbers them."""
NAMED = 5
"""The most users that a message names."""


class Asked:
    """Histories of users: their actions before the first that this part predicts, or all that came before the part.

    So the test part knows training and validation; a user whom it does not test has all known actions as history.

    Args:
        users: their numbers; a user may come several times.
        part: the validation or test part.

    Raises:
        UserError: something that is no user's number, or a user without a history.
    """

    def __init__(self, users: Users, part: SequenceDataset) -> None:
        self.part, self.users = part, _numbers(users, part)
        own, rows = part.inter_feat[part.uid_field].numpy(), part.rows
        never = len(part.sequences.items)
        first = np.full(part.user_num, never)
        np.minimum.at(first, own, rows)
        end = np.where(first < never, first, part.known_end + 1)[self.users]
        unknown = np.unique(self.users[end == 0])
        if len(unknown):
            raise UserError(f"{_named(unknown, part)} no action to recommend from; leave them out")
        self.begin, self.end = part.sequences.offsets[self.users], end

    def interaction(self) -> Interaction:
        """A row for each user, without a target."""
        part = self.part
        fields = {part.uid_field: torch.from_numpy(self.users)}
        if part.is_sequential:
            inputs, lengths = part.sequences.padded(self.begin, self.end, part.max_item_list_len)
            fields[part.item_id_list_field] = torch.from_numpy(inputs)
            fields[part.item_list_length_field] = torch.from_numpy(lengths)
        return part.join(Interaction(fields))

    def seen(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and items of all actions in the histories."""
        flat, row = flatten_spans(self.begin, self.end)
        return torch.from_numpy(row), torch.from_numpy(self.part.sequences.items[flat])


def _numbers(users: Users, part: SequenceDataset) -> np.ndarray:
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

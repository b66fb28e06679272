"""What is known of the people who get recommendations: one history each."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from recbole.data.interaction import Interaction

from ..data.dataset import SequenceDataset
from ..data.sequences import Sequences, flatten_spans


@dataclass(frozen=True)
class Histories:
    """One row for each person.

    Args:
        part: whose fields the model reads; a part of the run's data.
        sequences: the flat items.
        begin, end: [B] the history of row b is ``sequences.items[begin[b]:end[b]]``, old to new.
        users: [B] their numbers; None for people whom the model was not trained on.
    """

    part: SequenceDataset
    sequences: Sequences
    begin: np.ndarray
    end: np.ndarray
    users: np.ndarray | None

    def __len__(self) -> int:
        return len(self.begin)

    def rows(self, index: slice | np.ndarray) -> Histories:
        """Some of the rows."""
        users = None if self.users is None else self.users[index]
        return replace(self, begin=self.begin[index], end=self.end[index], users=users)

    def interaction(self) -> Interaction:
        """What a model reads: a row for each person, without a target; without a user where there is no number."""
        part, fields = self.part, dict[str, torch.Tensor]()
        if self.users is not None:
            fields[part.uid_field] = torch.from_numpy(self.users)
        if part.is_sequential:
            inputs, lengths = self.sequences.padded(self.begin, self.end, part.max_item_list_len)
            fields[part.item_id_list_field] = torch.from_numpy(inputs)
            fields[part.item_list_length_field] = torch.from_numpy(lengths)
        return part.join(Interaction(fields))

    def seen(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and items of all actions in the histories."""
        row, items = self.actions()
        return torch.from_numpy(row), torch.from_numpy(items)

    def actions(self) -> tuple[np.ndarray, np.ndarray]:
        """[N] row and item of each action, row after row, old to new."""
        flat, row = flatten_spans(self.begin, self.end)
        return row, self.sequences.items[flat]

    def repeating(self) -> int:
        """How many people have an item twice."""
        row, items = self.actions()
        pairs = row * (int(items.max(initial=0)) + 1) + items
        _, first = np.unique(pairs, return_index=True)
        again = np.ones(len(pairs), dtype=bool)
        again[first] = False
        return len(np.unique(row[again]))


def knowing_all(part: SequenceDataset) -> SequenceDataset:
    """The same part, as if it were predicted after every known action."""
    whole, offsets = copy.copy(part), part.sequences.offsets
    whole.known_end = np.where(np.diff(offsets) > 0, offsets[1:] - 1, -1)
    return whole


def of_users(part: SequenceDataset, users: np.ndarray) -> Histories:
    """All actions of these users."""
    offsets = part.sequences.offsets
    return Histories(part, part.sequences, offsets[users], offsets[users + 1], users)


def of_samples(part: SequenceDataset) -> Histories:
    """What is known before each target of a part, in the order in which evaluation ranks them."""
    users = part.inter_feat[part.uid_field].numpy()
    begin, end = part.history(slice(None))
    return Histories(part, part.sequences, begin, end, users)


def of_sequences(part: SequenceDataset, sequences: Sequence[np.ndarray]) -> Histories:
    """These items, old to new, of people whom the model need not know."""
    lengths = np.array([len(one) for one in sequences], dtype=np.int64)
    items = np.concatenate([np.zeros(0, dtype=np.int64), *sequences]).astype(np.int64)
    if not len(items):
        items = np.zeros(1, dtype=np.int64)  # somewhere for an empty row to point to
    ends = np.cumsum(lengths)
    offsets = np.concatenate(([0], ends))
    return Histories(part, Sequences(items, offsets), ends - lengths, ends, None)

"""Which data a run was trained on: the ids of its users and items, and a fingerprint of all actions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import UserError
from .sequences import Sequences, flatten_spans

IDS = "ids.npz"
"""The file of a run's folder that says which data it was trained on."""
KEYS = ("recbole-mqsa-one", "recbole-mqsa-two")
"""Two keys of sixteen bytes, so that the sums of two independent hashes are compared."""


@dataclass(frozen=True)
class Ids:
    """The token of each number, padding first.

    Args:
        users: [U + 1].
        items: [I + 1].
    """

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]


def fingerprint(ids: Ids, sequences: Sequences) -> str:
    """A text that two data sets share if each user has the same items in the same order, whatever their numbers.

    It is made of sums over the actions, so that neither the order of the lines nor the numbers of users and items
    matter. A name is hashed with a key, an action is the mix of its user, its item and its place.
    """
    users, place, items = _actions(sequences)
    sizes = len(np.unique(users)), len(np.unique(items)), len(items)
    digest = hashlib.sha256(str(sizes).encode())
    for key in KEYS:
        of_user, of_item = (
            pd.util.hash_array(names.astype(object), hash_key=key, categorize=False)
            for names in (ids.users, ids.items)
        )
        mixed = _mix(of_user[users] * np.uint64(3) + _mix(of_item[items] + _mix(place.astype(np.uint64))))
        digest.update(mixed.sum(dtype=np.uint64).tobytes())
    return digest.hexdigest()


def _actions(
    sequences: Sequences,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[N] user, place within the user's sequence, and item of each action."""
    begin, end = sequences.offsets[:-1], sequences.offsets[1:]
    index, users = flatten_spans(begin, end)
    return users, index - begin[users], sequences.items[index]


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64: every bit of the result depends on every bit of x."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def numbers_in(known: npt.NDArray[np.str_], tokens: npt.NDArray[np.str_]) -> npt.NDArray[np.int64] | None:
    """[len(tokens)] the number that each token has among the known ones; None if there are others, or more or fewer."""
    numbers = pd.Index(known).get_indexer(tokens)
    return numbers if len(known) == len(tokens) and (numbers >= 0).all() else None


@dataclass(frozen=True)
class Identity:
    """What a run keeps of its data.

    Args:
        ids: the token of each number.
        fingerprint: of all actions, before they are split.
        actions: how many these are.
    """

    ids: Ids
    fingerprint: str
    actions: int

    @classmethod
    def of(cls, ids: Ids, sequences: Sequences) -> Identity:
        """The identity of these actions."""
        return cls(ids, fingerprint(ids, sequences), len(sequences.items))

    def save(self, file: Path) -> None:
        """Write it to an npz file: names as UTF-8 texts with a line each, since an id holds no line end."""
        texts = {
            "users": "\n".join(self.ids.users[1:].tolist()),
            "items": "\n".join(self.ids.items[1:].tolist()),
            "fingerprint": self.fingerprint,
        }
        users, items, digest = (np.frombuffer(text.encode(), dtype=np.uint8) for text in texts.values())
        with file.open("wb") as stream:
            np.savez_compressed(stream, users=users, items=items, fingerprint=digest, actions=self.actions)

    @classmethod
    def read(cls, file: Path) -> Identity:
        """What :meth:`save` wrote.

        Raises:
            UserError: the file is damaged.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                texts = {name: bytes(arrays[name]).decode() for name in ("users", "items", "fingerprint")}
                actions = int(arrays["actions"])
        except Exception as problem:  # a damaged archive raises anything
            raise UserError(f"{file} is damaged; restore it from a copy, or train anew") from problem
        users, items = (np.array(["[PAD]", *texts[name].split("\n")]) for name in ("users", "items"))
        return cls(Ids(users, items), texts["fingerprint"], actions)

    def check(self, dataset: Identified, folder: Path) -> None:
        """Refuse other data than those of a run.

        Raises:
            UserError: users, items, actions or their order are others.
        """
        found = dataset.identity()
        if found.fingerprint == self.fingerprint:
            return
        parts = (
            ("users", len(found.ids.users) - 1, len(self.ids.users) - 1),
            ("items", len(found.ids.items) - 1, len(self.ids.items) - 1),
            ("actions", found.actions, self.actions),
        )
        other = [f"{now:,} {name} instead of {then:,}" for name, now, then in parts if now != then]
        raise UserError(
            f"the data are not those that the run in {folder} was trained on ({', '.join(other) or 'other actions'}); "
            "set data_path to its data, or train anew in another folder"
        )


class Identified(Protocol):
    """A data set that knows which it is."""

    def identity(self) -> Identity:
        """Users, items and a fingerprint of all actions."""
        ...

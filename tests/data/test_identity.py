"""Which data a run was trained on: told apart by content, not by the order of lines or by numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_mqsa.data.identity import Identity, Ids, fingerprint, numbers_in
from recbole_mqsa.data.sequences import Sequences
from recbole_mqsa.errors import UserError

ACTIONS = {"ann": ["a", "b", "c"], "bob": ["b", "a"], "eve": ["c", "c", "a", "d"]}


def numbered(actions: dict[str, list[str]], seed: int = 0) -> tuple[Ids, Sequences]:
    """The same actions under random numbers."""
    random = np.random.default_rng(seed)
    users = random.permutation(list(actions))
    items = random.permutation(sorted({item for own in actions.values() for item in own}))
    number = {item: place + 1 for place, item in enumerate(items)}
    flat = [number[item] for user in users for item in actions[user]]
    offsets = np.cumsum([0, 0, *(len(actions[user]) for user in users)])
    ids = Ids(np.array(["[PAD]", *users]), np.array(["[PAD]", *items]))
    return ids, Sequences(np.array(flat, dtype=np.int64), offsets)


def test_numbers_do_not_matter() -> None:
    assert len({fingerprint(*numbered(ACTIONS, seed)) for seed in range(10)}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {**ACTIONS, "ann": ["b", "a", "c"]},
        {**ACTIONS, "ann": ["a", "b", "d"]},
        {**ACTIONS, "bob": ["b", "a", "a"]},
        {"ann": ACTIONS["bob"], "bob": ACTIONS["ann"], "eve": ACTIONS["eve"]},
        {("amy" if user == "ann" else user): items for user, items in ACTIONS.items()},
        {user: ["z" if item == "d" else item for item in items] for user, items in ACTIONS.items()},
    ],
    ids=["order", "item", "more", "users exchanged", "user renamed", "item renamed"],
)
def test_everything_else_does(other: dict[str, list[str]]) -> None:
    assert fingerprint(*numbered(other)) != fingerprint(*numbered(ACTIONS))


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    names = ["[PAD]", "NA", 'a"quote', "é", " blank ", "a\tb", ""]
    ids = Ids(np.array(names), np.array([*names, "x" * 1000]))
    Identity(ids, "f" * 64, 12).save(tmp_path / "ids.npz")
    back = Identity.read(tmp_path / "ids.npz")
    assert back.ids.users.tolist() == names
    assert back.ids.items.tolist() == [*names, "x" * 1000]
    assert (back.fingerprint, back.actions) == ("f" * 64, 12)


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ids.npz"
    Identity.of(*numbered(ACTIONS)).save(file)
    whole = file.read_bytes()
    for damaged in (whole[:-40], whole[:60] + bytes([whole[60] ^ 4]) + whole[61:], b"", b"PK"):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            Identity.read(file)


def test_numbers_in() -> None:
    known = np.array(["[PAD]", "a", "b", "c"])
    assert numbers_in(known, np.array(["[PAD]", "c", "a", "b"])).tolist() == [0, 3, 1, 2]  # type: ignore[union-attr]
    assert numbers_in(known, np.array(["[PAD]", "c", "a", "d"])) is None
    assert numbers_in(known, np.array(["[PAD]", "c", "a"])) is None

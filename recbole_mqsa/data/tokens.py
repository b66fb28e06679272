"""Filters users and items by their number of actions, and numbers tokens, on integer codes.

RecBole does both on strings, in Python loops; here a categorical column holds one code per action.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

import numpy as np
import pandas as pd

Within = Optional[Callable[[np.ndarray], np.ndarray]]
"""From counts [n] to whether each is allowed; None allows all."""
WIDEST = 1 << 28
"""Characters of 4 bytes that an array of tokens may hold."""


def core(users: np.ndarray, items: np.ndarray, user_within: Within, item_within: Within) -> np.ndarray:
    """Remove users and items whose counts are not allowed, until all are: which actions stay.

    As in RecBole, each round judges users and items by the same counts, which matters for an interval with an
    upper end.

    Args:
        users, items: [N] codes from 0.

    Returns:
        [N] True where an action stays.
    """
    kept = np.arange(len(users))
    while True:
        stay = np.ones(len(kept), dtype=bool)
        for codes, within in ((users, user_within), (items, item_within)):
            if within is not None:
                left = codes[kept]
                stay &= within(np.bincount(left))[left]
        if stay.all():
            break
        kept = kept[stay]
    mask = np.zeros(len(users), dtype=bool)
    mask[kept] = True
    return mask


def number(tokens: pd.Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Number the tokens from 1 in the order of their first appearance; a missing token is 0, the padding.

    Returns:
        ids [N] and the token of each id [tokens + 1], '[PAD]' first.
    """
    codes, appeared = pd.factorize(tokens.codes)
    missing = np.flatnonzero(appeared < 0)  # pandas gives it a code, but it is not a token
    if len(missing):
        codes = np.where(codes == missing[0], -1, codes - (codes > missing[0]))
        appeared = np.delete(appeared, missing)
    return codes.astype(np.int64, copy=False) + 1, token_array(tokens.categories[appeared])


def factorize(tokens: Iterable[Any]) -> tuple[np.ndarray, list[str]]:
    """Codes of tokens in the order of their first appearance, -1 where there is none, and the token of each code.

    pandas' own ends a text at a NUL, so that two ids may become one.
    """
    places: dict[str, int] = {}
    texts = (token if isinstance(token, str) else "" for token in tokens)
    codes = [places.setdefault(text, len(places)) if text else -1 for text in texts]
    return np.array(codes, dtype=np.int64), list(places)


def token_array(tokens: Sequence[str]) -> np.ndarray:
    """[tokens + 1] the token of each id, '[PAD]' first.

    As in RecBole, an array of texts of one width; of objects where that would cut a NUL off an end, or where one
    long token would make all of them long.
    """
    texts = ["[PAD]", *tokens]
    width = max(map(len, texts))
    if width * len(texts) <= WIDEST and not any(text.endswith("\0") for text in texts):
        return np.array(texts)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


class TokenIds(Mapping[str, int]):
    """The id of each token, as in RecBole's dictionary, which is only built when it is used.

    Args:
        tokens: [n] the token of each id.
    """

    def __init__(self, tokens: np.ndarray) -> None:
        self._tokens = tokens
        self._ids: dict[str, int] | None = None

    def _filled(self) -> dict[str, int]:
        if self._ids is None:
            self._ids = {token: number for number, token in enumerate(self._tokens.tolist())}
        return self._ids

    def __getitem__(self, token: str) -> int:
        return self._filled()[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())

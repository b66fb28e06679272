"""Users and items by the names of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Union

import numpy as np
import pandas as pd

from ..errors import UserError

Given = Union[Sequence[str], np.ndarray, pd.Series]
"""Names as a caller has them."""
SHOWN = 5
"""The most names in a message."""


class Names:
    """The names of all users, or of all items.

    Args:
        tokens: [n + 1] the name of each number, padding first.
        what: 'user' or 'item'.
        where: whose names these are, for messages.
    """

    def __init__(self, tokens: np.ndarray, what: str, where: object) -> None:
        self.tokens, self.what, self.where = tokens, what, where

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.tokens.astype(object))

    def places(self, names: Iterable[object]) -> np.ndarray:
        """[n] the number of each name, below 1 where it is unknown.

        Raises:
            UserError: a text in the place of a list.
        """
        if isinstance(names, str):
            raise UserError(f"{self.what}s are a list of names, not the text {names!r}; put it in a list")
        return np.asarray(self._index.get_indexer([str(name) for name in names]), dtype=np.int64)

    def known(self, names: Iterable[object]) -> np.ndarray:
        """The numbers of those names that are known, in order."""
        places = self.places(names)
        return places[places > 0]

    def numbers(self, names: Given) -> np.ndarray:
        """[n] the number of each name.

        Raises:
            UserError: a name is unknown.
        """
        places = self.places(names)
        unknown = [str(name) for name, place in zip(names, places) if place < 1]
        if unknown:
            raise UserError(
                f"{listed(unknown, self.what)} no action in the data of {self.where}; write {self.what}s as the data "
                "have them, or leave them out"
            )
        return places


def listed(names: Sequence[str], what: str) -> str:
    """The subject of a sentence, and its verb: some names, and how many more."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{what} {shown} has" if len(names) == 1 else f"{what}s {shown}{more} have"

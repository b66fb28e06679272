"""Replacing functions and modules of another library, and importing objects late."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]
"""A function or method of another library, or what replaces it."""


def replace_once(owner: object, name: str, wrap: Callable[[Function], Function]) -> None:
    """Replace ``owner.name`` by ``wrap(original)``; a second call changes nothing."""
    original = getattr(owner, name)
    if not hasattr(original, "replaced_by_recbole_mqsa"):
        replacement = functools.wraps(original)(wrap(original))
        replacement.replaced_by_recbole_mqsa = True  # type: ignore[attr-defined]
        setattr(owner, name, replacement)


def resolve(path: str) -> Any:
    """The object at 'package.module:name', imported now."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


class StandIn(types.ModuleType):
    """A module with some attributes of its own; all others are looked up when they are used."""

    def __init__(self, name: str, look_up: Callable[[str], Any], **own: object) -> None:
        super().__init__(name)
        vars(self).update(own, _look_up=look_up)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system and inspect only probe for these
            raise AttributeError(name)
        return self._look_up(name)

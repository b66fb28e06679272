"""The two ways in which a name of another library is replaced."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any


def replace_once(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put ``wrap(original)`` in the place of ``owner.name``; a second call changes nothing."""
    original = getattr(owner, name)
    if not hasattr(original, "replaced_by_recbole_mqsa"):
        replacement = functools.wraps(original)(wrap(original))
        replacement.replaced_by_recbole_mqsa = True  # type: ignore[attr-defined]
        setattr(owner, name, replacement)


def resolve(path: str) -> Any:
    """The object at 'package.module:name', imported now."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)

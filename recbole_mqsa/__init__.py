"""MQSA-TED for RecBole.

``import recbole_mqsa``, and RecBole has one more sequential recommender and works on today's Python stack. Nothing
of RecBole is imported by that: it is changed once somebody imports it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .plugin.imports import when_imported

if TYPE_CHECKING:
    from .api import load, train
    from .settings.config import Config
    from .training.run import Run

__version__ = "0.1.0"
__all__ = ["Config", "Run", "UserError", "__version__", "load", "register", "train"]

_LAZY = {"Config": "settings.config", "Run": "training.run", "load": "api", "train": "api"}


def register() -> None:
    """Make RecBole know this package's models now, rather than when it is first imported; once is enough."""
    importlib.import_module("recbole")


def _install() -> None:
    importlib.import_module(".plugin.table", __name__).install()


def __getattr__(name: str) -> Any:  # PEP 562: what needs torch and RecBole is imported when it is asked for
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


when_imported("recbole", _install)

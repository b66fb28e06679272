"""MQSA-TED for RecBole.

After ``import recbole_mqsa``, RecBole has one more sequential recommender and works with current versions of Python's
packages. The import itself loads nothing of RecBole, which is changed when it is first imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .plugin.imports import when_imported
from .version import __version__

if TYPE_CHECKING:
    from .api import Run, load, train, tune
    from .recommend.recommender import Recommender
    from .settings.config import Config

__all__ = ["Config", "Recommender", "Run", "UserError", "__version__", "load", "register", "train", "tune"]

_LAZY = {
    **{"Config": "settings.config", "Recommender": "recommend.recommender"},
    **{"Run": "api", "load": "api", "train": "api", "tune": "api"},
}


def register() -> None:
    """Register this package's models with RecBole now, rather than when RecBole is first imported; once is enough."""
    importlib.import_module("recbole")


def _install() -> None:
    importlib.import_module(".plugin.table", __name__).install()


def __getattr__(name: str) -> Any:  # PEP 562: what needs torch and RecBole is imported when it is used
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


when_imported("recbole", _install)

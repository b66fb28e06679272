"""MQSA-TED for RecBole: ``import recbole_mqsa`` and RecBole has one more sequential recommender."""

from __future__ import annotations

from . import compat

__version__ = "0.1.0"

compat.apply()

from .registry import register  # noqa: E402  (RecBole imports only after the work-arounds)

register()

__all__ = ["__version__", "register"]

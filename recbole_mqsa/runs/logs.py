"""Where RecBole's messages and its tensorboard events go while a run lasts."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LOG = "run.log"
NOWHERE = Path(os.devnull)
tensorboard_folder: ContextVar[Path | None] = ContextVar("tensorboard_folder", default=None)
"""Where trainers made in this context write their tensorboard events, or ``NOWHERE``; None leaves it to RecBole."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _PlainFormatter(logging.Formatter):
    """Without the colours that RecBole writes for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return _COLOUR.sub("", super().format(record))


@contextmanager
def logging_to(folder: Path, level: str = "INFO") -> Iterator[logging.Logger]:
    """RecBole's messages to ``run.log`` and the terminal, its tensorboard events below ``folder``.

    Handlers that the calling program has set up stay, and are back in charge afterwards.
    """
    logger = logging.getLogger()
    before = logger.level
    file, screen = (
        logging.FileHandler(folder / LOG, encoding="utf-8"),
        logging.StreamHandler(sys.stderr),
    )
    file.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    screen.setFormatter((logging.Formatter if sys.stderr.isatty() else _PlainFormatter)("%(message)s"))
    screen.setLevel(level.upper())
    token = tensorboard_folder.set(folder / "tensorboard")
    logger.setLevel(level.upper())
    logger.addHandler(file)
    logger.addHandler(screen)
    try:
        yield logger
    finally:
        tensorboard_folder.reset(token)
        logger.setLevel(before)
        for handler in (file, screen):
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def logging_nowhere() -> Iterator[logging.Logger]:
    """For a process that is not the main one of its run: only errors are told, and nothing is written."""
    logger = logging.getLogger()
    before = logger.level
    token = tensorboard_folder.set(NOWHERE)
    logger.setLevel(logging.ERROR)
    try:
        yield logger
    finally:
        tensorboard_folder.reset(token)
        logger.setLevel(before)

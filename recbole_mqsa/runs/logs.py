"""Where RecBole's messages and its tensorboard events go during a run."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LOG = "run.log"
NOWHERE = Path(os.devnull)
tensorboard_folder: ContextVar[Path | None] = ContextVar("tensorboard_folder", default=None)
"""Where trainers created in this context write tensorboard events, or ``NOWHERE``; None leaves it to RecBole."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _ColourlessFormatter(logging.Formatter):
    """Removes the colours that RecBole adds for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return _COLOUR.sub("", super().format(record))


@contextmanager
def logging_to(folder: Path, level: str = "INFO") -> Iterator[logging.Logger]:
    """Within, send RecBole's messages to ``run.log`` and the terminal, its tensorboard events below ``folder``.

    The handlers of the calling program stay, and the logger is as before afterwards.
    """
    logger = logging.getLogger()
    before = logger.level
    file, screen = (
        logging.FileHandler(folder / LOG, encoding="utf-8"),
        logging.StreamHandler(sys.stderr),
    )
    file.setFormatter(_ColourlessFormatter("%(asctime)s %(levelname)s %(message)s"))
    screen.setFormatter((logging.Formatter if sys.stderr.isatty() else _ColourlessFormatter)("%(message)s"))
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
    """Within, log errors only and write no files: for a process that is not the main one of its run."""
    logger = logging.getLogger()
    before = logger.level
    token = tensorboard_folder.set(NOWHERE)
    logger.setLevel(logging.ERROR)
    try:
        yield logger
    finally:
        tensorboard_folder.reset(token)
        logger.setLevel(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, hide the warnings that RecBole's own code causes about future versions of other libraries.

    ``setup.py`` allows only versions with which that code works. Afterwards the caller's filters apply again.
    """
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning):
            for module in (r"recbole\.", r"numpy\._core\.fromnumeric"):
                warnings.filterwarnings("ignore", category=category, module=module)
        yield


@contextmanager
def events_nowhere() -> Iterator[None]:
    """Within, trainers are made that write no tensorboard events."""
    token = tensorboard_folder.set(NOWHERE)
    try:
        yield
    finally:
        tensorboard_folder.reset(token)

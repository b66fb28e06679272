"""What goes wrong inside a run: one sentence where a user can mend it, else a traceback that run.log has, too."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import FrameSummary

import torch

from ..errors import PeerLost, UserError
from ..interfaces import Settings
from ..runs.logs import LOG
from ..settings import locations

_RECBOLE = f"{locations.recbole_folder()}{os.sep}"
_LIBRARIES = tuple(
    {f"{sysconfig.get_path(kind)}{os.sep}" for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_OWN = f"{locations.PACKAGE}{os.sep}"
_OF_SETTINGS = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NotImplementedError),
    *(RuntimeError, TypeError, ValueError),
)
"""What RecBole's code raises where a setting does not suit it; others, such as a tuner's, are not its own."""
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "Unable to allocate")
_LOWER = {
    "evaluate": "eval_batch_size",
    "_valid_epoch": "eval_batch_size",
    "_train_epoch": "train_batch_size",
}
"""What to lower when memory ends in a function of RecBole's trainers."""


@contextmanager
def explained(config: Settings, folder: Path | None = None) -> Iterator[None]:
    """Within, an error becomes a sentence if memory, the disk or RecBole's code with these settings is the reason.

    Args:
        config: the settings.
        folder: where run.log gets the traceback of any such error; nowhere by default.

    Raises:
        UserError: the sentence; any other error passes.
    """
    try:
        yield
    except (UserError, PeerLost):
        raise
    except Exception as error:
        if folder is not None:
            _note(folder)
        sentence = _sentence(error, config)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _note(folder: Path) -> None:
    """Append the traceback of the error at hand to the log, unless that is what fails."""
    with suppress(OSError), (folder / LOG).open("a", encoding="utf-8") as log:
        traceback.print_exc(file=log)


def _sentence(error: Exception, config: Settings) -> str | None:
    frames = traceback.extract_tb(error.__traceback__)
    if _is_memory(error):
        names = [frame.name for frame in frames]
        lower = next((_LOWER[name] for name in names if name in _LOWER), None)
        what = f"{lower} ({config[lower]})" if lower else "the model's sizes, or MAX_ITEM_LIST_LENGTH"
        return f"memory does not suffice for {config.model} on '{config.dataset}' ({_short(error)}); lower {what}"
    if isinstance(error, OSError):
        return written_sentence(error)
    place = _of_recbole(frames) if isinstance(error, _OF_SETTINGS) else None
    if place is None:
        return None
    return (
        f"RecBole's code fails for model '{config.model}' on data set '{config.dataset}' with these settings: "
        f"{_short(error)} ({Path(place.filename).name}, line {place.lineno}); change the settings that it reads there "
        "(--debug shows the traceback)"
    )


def _is_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def written_sentence(error: OSError) -> str | None:
    """What to say of a file that cannot be read or written; None if the error names none."""
    if error.filename is None or error.strerror is None:
        return None
    return (
        f"{os.fsdecode(error.filename)}: {error.strerror}; make room there, correct its path or its rights, and start "
        "again (train goes on with --resume)"
    )


def _of_recbole(frames: list[FrameSummary]) -> FrameSummary | None:
    """The line that failed, if RecBole's: it called nothing but libraries, no callback, no other model."""
    for frame in reversed(frames):
        if frame.filename.startswith(_RECBOLE):
            return frame
        if frame.filename.startswith(_OWN) or not frame.filename.startswith(_LIBRARIES):
            return None
    return None


def _short(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said[:200]}" if said else type(error).__name__

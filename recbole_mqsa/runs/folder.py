"""The folder of a run, outside which it writes nothing.

``result.json`` holds the figures and all settings, ``run.log`` what was printed, ``checkpoint.pth`` the best epoch,
``epochs.csv`` losses and metrics by epoch, ``epochs.png`` their plot, ``ranks.npz`` the rank of each test item.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..interfaces import Json
from .atomic import locked, write_text
from .logs import LOG

CHECKPOINT, RESULT, CHECKSUM = "checkpoint.pth", "result.json", "checksum"
STATE, FORMER = "state.pth", "state.former.pth"
"""Where a run goes on: its last state and the one before."""
FORMER_RESULT = "result.former.json"
"""The result of a finished run while it goes on with more epochs."""
WRITTEN = (
    CHECKPOINT,
    RESULT,
    FORMER_RESULT,
    STATE,
    FORMER,
    "ids.npz",
    "epochs.csv",
    "epochs.png",
    "ranks.npz",
)
"""The files of a run, besides its log."""


def new_folder(model: str, dataset: str) -> Path:
    """A folder below ``runs/`` with a name that no other run takes; it is not created."""
    return Path("runs") / f"{model}-{dataset}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"


@contextmanager
def claimed(
    model: str, dataset: str, output_dir: str | os.PathLike[str] | None = None, resume: bool = False
) -> Iterator[Path]:
    """Create the folder of one run and keep all other runs out of it.

    Without ``output_dir`` it is a new one below ``runs/``. If the run ends in a :class:`UserError` before its first
    checkpoint or state, a folder created here is removed again. With ``resume`` the folder may hold an unfinished run,
    unless another process is writing it.

    Raises:
        UserError: ``output_dir`` holds a run, finished or not, or cannot be created.
    """
    folder = Path(output_dir) if output_dir is not None else new_folder(model, dataset)
    new = not folder.exists()
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(folder)
            if not resume:
                (folder / LOG).open("x").close()  # if two runs start at once, one fails here
            held.enter_context(locked(folder, "another run"))
        except FileExistsError as problem:
            raise UserError(_taken(folder)) from problem
        except OSError as problem:
            raise UserError(
                f"output_dir {folder} cannot be created ({problem.strerror}); name another folder"
            ) from problem
        try:
            yield folder
        except UserError:
            if not any((folder / name).exists() for name in (CHECKPOINT, STATE, FORMER)):
                shutil.rmtree(folder, ignore_errors=True) if new else (folder / LOG).unlink(missing_ok=True)
            raise


def _refuse_foreign(folder: Path) -> None:
    """Somebody's own files of our names are not overwritten.

    Raises:
        UserError: there are some, in a folder that no run has made.
    """
    foreign = [name for name in WRITTEN if (folder / name).exists()]
    if foreign and not (folder / LOG).exists():
        raise UserError(f"output_dir {folder} holds {foreign[0]}, which is not of a run; name another folder")


def _taken(folder: Path) -> str:
    if not folder.is_dir():
        return f"output_dir {folder} is a file; name a folder"
    state = "a finished" if (folder / RESULT).exists() else "an unfinished"
    return f"output_dir {folder} already holds {state} run; name another folder or move it away"


def read_result(folder: Path) -> Json | None:
    """The content of ``result.json``; None while the run is not finished.

    Raises:
        UserError: the file is damaged, or was changed after the run.
    """
    file = folder / RESULT
    if not file.exists():
        return None
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{file} cannot be read ({problem.strerror}); correct its rights") from problem
    except ValueError as problem:
        raise UserError(f"{file} is damaged ({problem}); restore it from a copy, or train anew") from problem
    if not isinstance(result, dict) or not {"settings", "test"} <= result.keys():
        raise UserError(f"{file} is damaged (it holds no result); restore it from a copy, or train anew")
    if result.get(CHECKSUM, checksum(result)) != checksum(result):
        raise UserError(f"{file} is not what the run wrote; restore it from a copy, or train anew")
    result.pop(CHECKSUM, None)
    return result


def write_ranks(folder: Path, users: torch.Tensor, ranks: torch.Tensor, frequency: np.ndarray) -> None:
    """Write ``ranks.npz``: ``users``, ``ranks`` and ``frequency``, [S] each, one entry per test sample.

    A rank is -1 where no list holds the item; the frequency is that of the test item's transition in training.
    """
    limited = ranks.where(ranks < np.iinfo(np.int32).max, -1)
    np.savez_compressed(
        folder / "ranks.npz",
        users=users.numpy().astype(np.int32),
        ranks=limited.numpy().astype(np.int32),
        frequency=frequency.astype(np.int32),
    )


def write_result(folder: Path, result: Json) -> None:
    """Write ``result.json``, whole or not at all: its presence means that the run is finished."""
    whole = {**result, CHECKSUM: checksum(result)}
    write_text(folder / RESULT, json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    (folder / FORMER_RESULT).unlink(missing_ok=True)


def set_result_aside(folder: Path) -> None:
    """Make a finished run that goes on an unfinished one, as its checkpoint may soon be of a later epoch."""
    if (folder / RESULT).exists():
        os.replace(folder / RESULT, folder / FORMER_RESULT)


def checksum(result: Json) -> str:
    """A text that changes with any number or word of a result."""
    text = json.dumps({key: value for key, value in result.items() if key != CHECKSUM}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_epochs(folder: Path, history: list[Json]) -> None:
    """Write ``epochs.csv``, a row per epoch; metrics are empty where an epoch was not evaluated."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    with open(folder / "epochs.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(history)

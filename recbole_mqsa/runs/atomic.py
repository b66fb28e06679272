"""Files written whole or not at all, and folders that one process writes at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from filelock import FileLock, Timeout

from ..errors import UserError

LOCK = ".lock"
PATIENCE = 60.0
"""Seconds to wait for a process that is still writing a folder, as after a kill of its parent alone."""


def write_whole(file: Path, write: Callable[[Path], object], former: Path | None = None) -> None:
    """Replace ``file`` by what ``write`` writes to a draft beside it: readers see the old file or the new one.

    The draft is on the disk before it takes the file's place, so that no crash leaves an empty file. If ``write``
    fails, nothing is left of it.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    draft = file.with_name(f"{file.name}.part")
    try:
        write(draft)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        if former is not None and file.exists():
            os.replace(file, former)
        os.replace(draft, file)
    except BaseException as problem:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if not isinstance(problem, OSError) and _TORCH_WRITES not in str(problem):
            raise
        why = getattr(problem, "strerror", None) or "the disk may be full"
        raise UserError(
            f"{file} cannot be written ({why}); make room there or correct the folder's rights, and start again "
            "(train goes on with --resume)"
        ) from problem


_TORCH_WRITES = "inline_container"
"""The file of torch's that names itself when it cannot write."""


def write_text(file: Path, text: str) -> None:
    """Replace ``file`` by ``text`` in UTF-8, whole or not at all."""
    write_whole(file, lambda draft: draft.write_text(text, encoding="utf-8"))


@contextmanager
def locked(folder: Path, who: str) -> Iterator[None]:
    """Keep other processes out of an existing folder; the lock ends with this process, however it ends.

    Its file stays, as removing it could let two processes each hold a file of that name.

    Args:
        who: what to call another holder, such as 'another run'.

    Raises:
        UserError: another process holds the folder.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as problem:
        raise UserError(
            f"output_dir {folder} is being written by {who}; wait for it, or name another folder"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def wait_until_free(folder: Path) -> None:
    """Wait until no other process writes a folder: one whose parent was killed ends within a second or two.

    Raises:
        UserError: it does not end.
    """
    deadline = time.monotonic() + PATIENCE
    while folder.exists() and not _is_free(folder):
        if time.monotonic() > deadline:
            raise UserError(f"{folder} is still being written by another process; end that one")
        time.sleep(0.2)


def _is_free(folder: Path) -> bool:
    try:
        with locked(folder, "another process"):
            return True
    except UserError:
        return False

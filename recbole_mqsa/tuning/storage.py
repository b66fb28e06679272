"""Where a search is kept: a journal in its folder, which no kill -9 can lock or break, or a server."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock

from ..errors import UserError
from .address import is_address, open_address, parted, shown

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.storages.journal._file import BaseJournalFileLock

JOURNAL, NAME = "study.journal", "search"
INSTALL = 'tuning needs Optuna, which is not installed: pip install ".[tune]"'


def require_optuna() -> None:
    """See that Optuna is there, without the time that its import takes.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError(INSTALL)


def open_storage(place: str) -> BaseStorage:
    """The storage at an address, or at a path of a journal.

    Raises:
        UserError: Optuna is not installed, the storage does not answer, or the journal cannot be read.
    """
    require_optuna()
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if is_address(place):
        return open_address(parted(place)[0])
    journal = Path(place).absolute()
    lock = _JournalLock(journal)
    try:
        lock.acquire()  # trims what a killed process left
        lock.release()
        return JournalStorage(JournalFileBackend(str(journal), lock_obj=cast("BaseJournalFileLock", lock)))
    except OSError as error:
        raise UserError(f"{place} cannot be opened ({error.strerror}); name another output_dir") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{place} is damaged ({error}); restore it, or name another output_dir") from error


def open_study(place: str, bigger: bool | None = None) -> Study:
    """The study of a storage; it is created there if there is none and it is known whether more is better.

    Raises:
        UserError: there is none.
    """
    storage = open_storage(place)
    import optuna

    name = parted(place)[1] if is_address(place) else NAME
    if bigger is not None:
        direction = optuna.study.StudyDirection.MAXIMIZE if bigger else optuna.study.StudyDirection.MINIMIZE
        return optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    try:
        return optuna.load_study(storage=storage, study_name=name)
    except KeyError as error:
        raise UserError(f"{shown(place)} holds no search") from error


def create(place: str, bigger: bool) -> bool:
    """Make the study of a storage; whether it was this process that did, as one alone can.

    Raises:
        UserError: the storage does not answer.
    """
    storage = open_storage(place)
    import optuna

    direction = optuna.study.StudyDirection.MAXIMIZE if bigger else optuna.study.StudyDirection.MINIMIZE
    try:
        optuna.create_study(storage=storage, study_name=parted(place)[1], direction=direction)
    except optuna.exceptions.DuplicatedStudyError:
        return False
    return True


class _JournalLock:
    """A lock that ends with its process, and a journal that ends with a whole line whenever it is held.

    Optuna's own locks outlive a killed process, and where that one left half a line, the next line written would
    make the whole journal unreadable.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.lock = FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock, and cut off half a line at the journal's end."""
        self.lock.acquire()
        try:
            self._trim()
        except BaseException:
            self.lock.release()
            raise
        return True

    def release(self) -> None:
        """Let others write."""
        self.lock.release()

    def _trim(self) -> None:
        if not self.journal.exists():
            return
        with self.journal.open("rb+") as file:
            end = file.seek(0, 2)
            if end == 0:
                return
            file.seek(end - 1)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)

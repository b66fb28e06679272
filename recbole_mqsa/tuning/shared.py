"""A search by any number of machines: each runs the same command, joins, leaves or dies as it likes.

A worker begins trials as long as some are missing, sees to those of silent workers while it waits, and ends when all
have ended. One worker then tests the best settings, and writes the page about the search.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..errors import UserError
from ..experiments.report.formatting import plural
from ..experiments.schedule import POLL_SECONDS, Queue, Running
from ..runs.atomic import locked
from ..runs.folder import FORMER, STATE, WRITTEN
from ..runs.logs import LOG
from .address import Unreachable, check_address, handed_over, hidden, open_address, placed, shown, steadily
from .claim import Claim
from .data import fingerprint
from .record import folder_of
from .search import Search, Slot
from .shared_engine import SharedEngine
from .silence import Watcher
from .storage import JOURNAL
from .worker import LEFT

MARK = "shared.json"
LOOK_SECONDS = 5.0
"""How often a worker reads the study, to see who is silent and what is left."""


class _SharedTrials(Queue[Slot]):
    """The trials of this worker; which there will be is known when each begins."""

    def __init__(self, search: SharedSearch, say: Callable[[str], None]) -> None:
        super().__init__([], search.jobs, say, self._words)
        self.search, self.engine = search, search.engine
        self.watcher = Watcher(search.silent_after)
        self.looked, self.over = float("-inf"), False

    def work(self, watch: Callable[[str], None] | None = None) -> None:
        """Run trials until as many have ended as were asked for, by whatever worker."""
        watched = time.monotonic()
        try:
            while not self.over or self.running:
                self._fill()
                time.sleep(POLL_SECONDS)
                if watch is not None and time.monotonic() - watched >= 1:
                    watch(self.progress())
                    watched = time.monotonic()
                self.collect()
        finally:
            self._leave()

    def _fill(self) -> None:
        """Begin what is missing, as far as there are cores; after a while look again, and always after an end."""
        if time.monotonic() - self.looked < self.search.look_seconds:
            return
        self._look()
        while self.free and not self.over:
            tried = steadily(self.engine.begin, self.engine.place)
            if tried is None:
                break
            slot = Slot(self.search, tried)
            self._take_over(slot)
            self.trials = [*self.trials, slot]
            self.waiting.append(slot)
            self.begin()

    def _look(self) -> None:
        """Read the study, give up trials of silent workers, and stop those that others have taken over."""
        self.looked = time.monotonic()
        trials = self.engine.all()
        own = [one.trial.number for one in self.running if isinstance(one.trial, Slot)]
        for trial in self.watcher.silent(trials, own):
            if self.engine.revive(trial.number):
                self.say(f"trial {trial.number} is silent; another goes on in its place")
        for chain in self.engine.chains():
            if chain.orphaned:
                self.engine.revive(chain.tip.number, silent=False)
        self.search.note()
        self.over = self.search.ended >= self.engine.wanted
        for one in self.running:
            assert isinstance(one.trial, Slot)
            if self.engine.is_given_up(one.trial.number):
                one.process.terminate()
            else:
                self.engine.starting(one.trial.number)

    def _take_over(self, slot: Slot) -> None:
        """Let a trial go on from the state of the one whose place it takes, if its folder can be reached."""
        for former in self.engine.ancestors(slot.number):
            if take_over(folder_of(self.search.folder, former), slot.folder):
                self.engine.inherit(slot.number, former)
                return

    def _words(self, slot: Slot) -> list[str]:
        return [*self.search.worker, handed_over(self.engine.place), str(slot.number), str(slot.folder)]

    def end(self, one: Running) -> str | None:
        slot = one.trial
        assert isinstance(slot, Slot)
        self.looked = float("-inf")
        slot.tried = self.engine.trial(slot.number)
        reason = super().end(one)
        if self.engine.is_given_up(slot.number):
            return "another worker has taken its place"
        if one.process.returncode == LEFT:
            self.engine.revive(slot.number, silent=False)
            raise Unreachable(reason or f"{shown(self.engine.place)} does not answer")
        if reason is not None:
            self.engine.end(slot.number, "failed", reason=reason)
            slot.tried = self.engine.trial(slot.number)
        self.search.note()
        self.search.tell(slot.tried)
        return reason

    def _leave(self) -> None:
        """Stop what runs here, and let others go on with it."""
        self.stop()
        for slot in self.trials:
            with suppress(Unreachable):
                if self.engine.trial(slot.number).state == "running":
                    self.engine.revive(slot.number, silent=False)

    def _left(self) -> str:
        return f"{self.search.ended} of {self.engine.wanted} ended"

    def _say(self, trial: object, text: str) -> None:
        assert isinstance(trial, Slot)
        self.say(f"{trial.title}  {text}")


@dataclass
class SharedSearch(Search):
    """A search in a storage that other machines reach too.

    Args:
        storage: its address.
        study: its name there; by default model and data set.
        silent_after: after how many seconds without a sign of life a worker counts as gone; None takes several epochs.
        look_seconds: how often the study is read.
    """

    storage: str = field(default="", repr=False)
    study: str | None = None
    silent_after: float | None = None
    look_seconds: float = LOOK_SECONDS

    @property
    def place(self) -> str:
        """Where the study is: address and name."""
        return placed(self.storage, self.study or f"{self.plan.model}-{self.plan.dataset}")

    @cached_property
    def engine(self) -> SharedEngine:
        """The study, made or joined when it is first needed."""
        return SharedEngine(
            self.place, self.plan, self.max_trials, fingerprint(self.plan.dataset, self.plan.settings)
        )

    @property
    def ended(self) -> int:
        """How many of the trials asked for have ended, whoever ran them."""
        return sum(one.state != "running" for one in self.trials)

    def note(self) -> None:
        """Read the trials from the study again, and write their record unless another worker is writing it."""
        self._trials = self.engine.trials()
        with suppress(UserError), locked(self._record_folder, "another worker"):
            self.write()

    @property
    def _record_folder(self) -> Path:
        folder = self.folder / "trials"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check(self) -> None:
        """See that the search can begin here.

        Raises:
            UserError: the folder is none or of another search, or the storage does not answer.
        """
        if (self.folder / JOURNAL).exists():
            raise UserError(
                f"output_dir {self.folder} holds a search of this machine alone; name another folder"
            )
        super().check()
        check_address(self.storage)
        open_address(self.storage)

    def run(self, say: Callable[[str], None] = print, watch: Callable[[str], None] | None = None) -> bool:
        """Run trials until all have ended, and test the best settings unless another worker does.

        Raises:
            UserError: the storage does not answer or holds another search, or no trial is finished.
        """
        self.check()
        self._mark()
        self.note()
        say(f"{shown(self.place)}: {self.ended} of {plural(self.engine.wanted, 'trial')} ended")
        try:
            self.work(say, watch)
            return self._concluded(say, watch)
        except KeyboardInterrupt as stop:
            stop.args = ("interrupted; others go on, and the same command joins again",)
            raise

    def work(self, say: Callable[[str], None], watch: Callable[[str], None] | None) -> None:
        """Run trials until as many have ended as were asked for, by whatever worker."""
        _SharedTrials(self, say).work(watch)

    def _mark(self) -> None:
        """Leave in the folder whose it is.

        Raises:
            UserError: it is another search's.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / MARK
        if not file.exists():
            draft = file.with_name(f"{MARK}.{uuid.uuid4().hex}")  # others may mark the folder at this moment
            mark = {"study": self.engine.identity, "storage": hidden(self.place)}
            draft.write_text(json.dumps(mark) + "\n", encoding="utf-8")
            os.replace(draft, file)
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["study"] != self.engine.identity:
            raise UserError(
                f"output_dir {self.folder} is that of another search ({kept['storage']}); name another folder"
            )

    def _concluded(self, say: Callable[[str], None], watch: Callable[[str], None] | None) -> bool:
        """Test the best settings and write the page, if no other worker does or has done it."""
        best = self.best
        metric, score = self.plan.metric.upper(), f"{best.value:.4f}"
        say(f"trial {best.number} is the best: {metric} {score} on validation")
        what = f"trial {best.number}, {plural(self.seeds, 'seed')}"
        claim = Claim(self.place, what, socket.gethostname(), str(self.folder.absolute()))
        claim.patience = claim.patience if self.silent_after is None else self.silent_after
        with claim.held(say) as mine:
            if not mine:
                return True
            try:
                claim.settled = self._test(say, claim.watched(watch))
            finally:
                self._report(say)
        return claim.settled


def take_over(former: Path, folder: Path) -> bool:
    """Copy the state of a trial into the folder of the one that takes its place; whether there is one.

    It is a copy, as the former worker may be slow rather than dead, and still write.
    """
    if folder.exists() or not any((former / name).exists() for name in (STATE, FORMER)):
        return False
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in (*WRITTEN, LOG):
        with suppress(FileNotFoundError):  # while it is copied, a new state may become the former one
            shutil.copyfile(former / name, draft / name)
    draft.rename(folder)
    return True

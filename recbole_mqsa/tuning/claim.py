"""Which of several workers does what is to be done once, at the end of a search.

A claim is a trial of a study beside that of the search. The first claim that its worker has not given up holds; a
worker that falls silent loses it to the next one that asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .address import parted, placed, steadily
from .chains import BEAT
from .silence import LEAST_SECONDS
from .storage import create, open_study

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

WHAT, HOST, FOLDER = "what", "host", "folder"
BEAT_SECONDS = 5.0


@dataclass
class Claim:
    """A worker's wish to do something once.

    Args:
        place: the study of the search.
        what: what is to be done; claims of something else do not count.
        host, folder: who does it, and where, for the others to read.
        patience: seconds without a sign of life after which another's claim is void.

    Attributes:
        settled: whether it is done; the holder sets it.
    """

    place: str
    what: str
    host: str
    folder: str
    patience: float = LEAST_SECONDS
    pause: float = 1.0
    settled: bool = False
    number: int | None = None
    _signs: int = 0
    _beaten: float = float("-inf")

    @cached_property
    def study(self) -> Study:
        """The study of claims, made when it is first needed."""
        url, name = parted(self.place)
        place = placed(url, f"{name} (end)")
        create(place, bigger=True)
        return open_study(place)

    @contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[bool]:
        """Whether this worker is to do it; another may, if this one does not settle it."""
        refusal = self._taken()
        if refusal is not None:
            say(refusal)
            yield False
            return
        try:
            yield True
        finally:
            self._set(self.number, "COMPLETE" if self.settled else "FAIL")

    def watched(self, watch: Callable[[str], None] | None) -> Callable[[str], None]:
        """A function to be called while the work goes on: it gives signs of life."""

        def both(line: str) -> None:
            if time.monotonic() - self._beaten >= BEAT_SECONDS:
                self.beat()
            if watch is not None:
                watch(line)

        return both

    def beat(self) -> None:
        """Give a sign of life."""
        assert self.number is not None
        self._beaten, self._signs = time.monotonic(), self._signs + 1
        identity = self._trials()[self.number]._trial_id
        steadily(lambda: self.study._storage.set_trial_user_attr(identity, BEAT, self._signs), self.place)

    def _taken(self) -> str | None:
        """Put in a claim, unless another holds or has settled it; what is said of that one."""
        seen: dict[int, tuple[object, float]] = {}
        while True:
            holder = next((one for one in self._trials() if self._holds(one)), None)
            if holder is None:
                self._put_in()
            elif holder.number == self.number:
                return None
            else:
                who, where = holder.user_attrs[HOST], holder.user_attrs[FOLDER]
                if holder.state.name == "COMPLETE":
                    return self._withdrawn(f"{who} has ended the search; its report is in {where}")
                sign, now = holder.user_attrs.get(BEAT), time.monotonic()
                before, since = seen.setdefault(holder.number, (sign, now))
                if sign != before:
                    return self._withdrawn(f"{who} ends the search; its report will be in {where}")
                if now - since > self.patience:
                    self._set(holder.number, "FAIL")
                time.sleep(self.pause)

    def _holds(self, one: FrozenTrial) -> bool:
        return one.state.name != "FAIL" and one.user_attrs.get(WHAT) == self.what

    def _put_in(self) -> None:
        from optuna.trial import TrialState, create_trial

        attributes = {WHAT: self.what, HOST: self.host, FOLDER: self.folder}
        template = create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        identity = self.study._storage.create_new_trial(self.study._study_id, template)
        self.number = self.study._storage.get_trial(identity).number

    def _withdrawn(self, why: str) -> str:
        if self.number is not None:
            self._set(self.number, "FAIL")
        return why

    def _set(self, number: int | None, state: str) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        assert number is not None
        values = [0.0] if state == "COMPLETE" else None
        with suppress(UpdateFinishedTrialError):
            identity = self._trials()[number]._trial_id
            self.study._storage.set_trial_state_values(identity, TrialState[state], values)

    def _trials(self) -> list[FrozenTrial]:
        return steadily(lambda: self.study.get_trials(deepcopy=False), self.place)

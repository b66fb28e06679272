"""Signs of life of trials on other machines, and when their absence means that a worker is gone.

Clocks of machines differ, so that no time of another's is read: a watcher sees with its own clock how long ago a sign
of life has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .chains import BEAT

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LEAST_SECONDS, EPOCHS_OF_SILENCE, UNKNOWN_SECONDS = 60.0, 5, 1800.0
"""A trial is silent after so many times its longest epoch, but not before the least; the last is for a trial of which,
as of all others, no epoch has been measured."""


@dataclass
class Beating:
    """What a trial says of itself: how many signs it gave, and the longest time between two, in seconds.

    Args:
        write: records both with the trial.
    """

    write: Callable[[tuple[int, float]], None]
    clock: Callable[[], float] = time.monotonic
    count: int = 0
    longest: float = 0.0
    last: float | None = None

    def beat(self) -> None:
        """Give a sign of life."""
        now = self.clock()
        if self.last is not None:
            self.longest = max(self.longest, now - self.last)
        self.count, self.last = self.count + 1, now
        self.write((self.count, round(self.longest, 3)))


@dataclass
class Watcher:
    """Sees which trials have been silent for too long.

    Args:
        silent_after: seconds; None takes several epochs of the trial itself.
        own: numbers of trials that run here, which are seen directly.
    """

    silent_after: float | None = None
    clock: Callable[[], float] = time.monotonic
    _seen: dict[int, tuple[object, float]] = field(default_factory=dict)

    def silent(self, trials: Sequence[FrozenTrial], own: Sequence[int] = ()) -> list[FrozenTrial]:
        """The running trials of others that have not given a sign of life for too long."""
        running = [one for one in trials if one.state.name == "RUNNING" and one.number not in own]
        now = self.clock()
        return [one for one in running if now - self._since(one, now) > self.patience(one, trials)]

    def patience(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> float:
        """After how many seconds without a sign of life a trial counts as silent."""
        if self.silent_after is not None:
            return self.silent_after
        longest = _longest_epoch(trial) or max(map(_longest_epoch, trials), default=0.0)
        return max(LEAST_SECONDS, EPOCHS_OF_SILENCE * longest) if longest else UNKNOWN_SECONDS

    def _since(self, trial: FrozenTrial, now: float) -> float:
        """Since when a trial is as it is."""
        sign = (trial.user_attrs.get(BEAT), len(trial.intermediate_values), len(trial.params))
        before, since = self._seen.get(trial.number, (None, now))
        if before != sign:
            since = now
        self._seen[trial.number] = (sign, since)
        return since


def _longest_epoch(trial: FrozenTrial) -> float:
    """Seconds; 0 where none was measured."""
    count, longest, *_ = trial.user_attrs.get(BEAT, (0, 0.0))
    return float(longest) if count > 1 else 0.0

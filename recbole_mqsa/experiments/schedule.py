"""Runs the trials of a benchmark, each in a process of its own, so that none can harm another.

What a trial did is in its folder. A finished trial is never run again, an interrupted one continues from its state, and
a failed one says why in ``failed.txt`` and is tried again next time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from ..errors import SPEAKER
from ..interfaces import Json
from ..parallel.launch import PARENT
from ..settings.locations import PACKAGE
from .report.formatting import duration, plural
from .trials import FAILED, Trial, Variant

ERRORS = "errors.txt"
TRACEBACK = "Traceback (most recent call last):"
POLL_SECONDS, STOP_SECONDS = 0.2, 20.0


class Job(Protocol):
    """What runs in a process of its own: a benchmark's trial, or another program's that is like one.

    Attributes:
        finished: whether it has done what it was to do.
        outcome, seconds: what a finished one found, and how long it took.
        title, name: how a line begins that is about it, and what it is called within one.
    """

    @property
    def folder(self) -> Path: ...
    @property
    def dataset(self) -> str: ...
    @property
    def variant(self) -> Variant: ...
    @property
    def title(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def finished(self) -> bool: ...
    @property
    def outcome(self) -> str: ...
    @property
    def seconds(self) -> float: ...


@dataclass
class Running:
    """A trial that runs, on its cores; the times are those of ``time.monotonic``."""

    trial: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    cores: list[int]
    start: float


def estimate(trial: Job, trials: Sequence[Job]) -> float | None:
    """Seconds that a trial will take: the mean over the finished ones of its variant and data set.

    If there are none, the mean over those of its variant on other data sets; None if there are none of these either.
    """
    finished = [other for other in trials if other.finished and other.variant == trial.variant]
    same = [other for other in finished if other.dataset == trial.dataset] or finished
    return sum(other.seconds for other in same) / len(same) if same else None


def rest(
    ahead: Sequence[Job], trials: Sequence[Job], jobs: int, elapsed: Mapping[int, float] | None = None
) -> str:
    """How long the trials ``ahead`` will take, in words, estimated from the finished ones.

    Args:
        ahead: the trials that wait or run.
        trials: all trials of the benchmark.
        jobs: how many run at once.
        elapsed: seconds that the running trials have run, by their ``id``.
    """
    guesses: list[float | None] = []
    for trial in ahead:
        guess = estimate(trial, trials)
        guesses.append(None if guess is None else max(0.0, guess - (elapsed or {}).get(id(trial), 0.0)))
    known = [guess for guess in guesses if guess is not None]
    if not guesses:
        return "nothing left"
    if not known:
        return f"{len(guesses)} left, time unknown"
    unknown = len(guesses) - len(known)
    more = f" and {unknown} of unknown time" if unknown else ""
    longest = max(max(known), sum(known) / jobs)  # a trial cannot be divided among jobs
    return f"{len(guesses)} left, about {duration(longest)}{more}"


def run_trials(
    trials: Sequence[Trial],
    settings: Json,
    jobs: int = 1,
    say: Callable[[str], None] = print,
    watch: Callable[[str], None] | None = None,
    command: Callable[[Trial, Json], list[str]] | None = None,
) -> bool:
    """Run the trials that are not finished, and return whether all are finished now.

    Args:
        trials: all trials of the benchmark, also the finished ones, from which times are estimated.
        settings: those of every trial; its variant's override them.
        jobs: how many run at once, with the cores divided among them.
        say: gets one line when a trial begins and one when it ends.
        watch: gets one line every second on all that is running.
        command: the command line of a trial; by default that of this package.
    """
    words = command or train_command
    queue = Queue(
        trials, jobs, say, lambda trial: words(trial, settings), processes=int(settings.get("nproc", 1))
    )
    queue.work(watch)
    return all(trial.finished for trial in trials)


J = TypeVar("J", bound=Job)


class Queue(Generic[J]):
    """The trials that wait and those that run.

    Args:
        trials: all trials, also the finished ones.
        jobs: how many run at once.
        say: gets one line when a trial begins and one when it ends.
        command: the command line of a trial.
        processes: in how many processes a trial trains.

    Attributes:
        free: sets of cores on which nothing runs.
    """

    def __init__(
        self,
        trials: Sequence[J],
        jobs: int,
        say: Callable[[str], None],
        command: Callable[[J], list[str]],
        processes: int = 1,
    ) -> None:
        self.trials, self.jobs, self.say = trials, jobs, say
        self.command, self.processes = command, processes
        self.waiting: list[J] = [trial for trial in trials if not trial.finished]
        self.running: list[Running] = []
        self.free = divided_cores(jobs)

    def work(self, watch: Callable[[str], None] | None = None) -> None:
        """Run what waits, until nothing does; ``watch`` gets one line every second on all that is running."""
        watched = time.monotonic()
        try:
            while self.waiting or self.running:
                while self.waiting and self.free:
                    self.begin()
                time.sleep(POLL_SECONDS)
                if watch is not None and time.monotonic() - watched >= 1:
                    watch(self.progress())
                    watched = time.monotonic()
                self.collect()
        finally:
            self.stop()

    def stop(self) -> None:
        """After an interrupt: stop what runs; its state stays."""
        for one in self.running:
            _stop(one)

    def begin(self) -> None:
        """Start the next trial."""
        trial = self.waiting.pop(0)
        words = self.command(trial)
        guess = estimate(trial, self.trials)
        self._say(trial, "running" + (f", about {duration(guess)}" if guess is not None else ""))
        self.running.append(_start(trial, words, self.free.pop(), self.processes))

    def collect(self) -> None:
        """Report the trials that have ended, and free their cores."""
        for one in [one for one in self.running if one.process.poll() is not None]:
            self.running.remove(one)
            self.free.append(one.cores)
            failure, took = self.end(one), duration(time.monotonic() - one.start)
            ended = f"FAILED after {took}: {failure}" if failure else f"done in {took}, {one.trial.outcome}"
            self._say(one.trial, f"{ended}; {self._left()}")

    def end(self, one: Running) -> str | None:
        """Clear away what a trial printed; why it failed, if it did."""
        return _end(one)

    def progress(self) -> str:
        """One line on what is left and what runs."""
        return f"{self._left()}; {'; '.join(map(_progress, self.running))}"

    def _left(self) -> str:
        elapsed = {id(one.trial): time.monotonic() - one.start for one in self.running}
        ahead: list[Job] = [*self.waiting, *(one.trial for one in self.running)]
        return rest(ahead, self.trials, self.jobs, elapsed)

    def _say(self, trial: Job, text: str) -> None:
        count = len(self.trials)
        number = next(place for place, other in enumerate(self.trials, start=1) if other is trial)
        self.say(f"[{number:>{len(str(count))}}/{count}] {trial.title}  {text}")


def train_command(trial: Trial, settings: Json, flags: Iterable[str] = ()) -> list[str]:
    """The command line that runs a trial, as its ``result.json`` records it."""
    given = {**settings, **trial.settings}
    words = command_of(trial.variant.model, trial.dataset, trial.folder, given, flags)
    return [sys.executable, "-m", PACKAGE.name, *words, "--show_progress=False"]


def command_of(
    model: str, dataset: str, folder: Path, settings: Json, flags: Iterable[str] = ()
) -> list[str]:
    """What follows the program's name to begin or continue a run."""
    options = {"model": model, "dataset": dataset, "output_dir": str(folder)}
    return [
        *("train", "--resume"),
        *(f"--{flag}" for flag in flags),
        *(f"--{key}={value}" for key, value in options.items()),
        *(f"--{key}={value!r}" for key, value in settings.items()),
    ]


def divided_cores(jobs: int) -> list[list[int]]:
    """This process's cores in ``jobs`` parts of similar size; with more jobs than cores, some get the same core."""
    cores = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    return [cores[job::jobs] for job in range(jobs)]


def _threads(cores: int) -> int:
    """As many as a trial's process has cores, but no more than the user allows by OMP_NUM_THREADS."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(allowed)) if allowed.isdigit() else cores)


def _start(trial: Job, command: list[str], cores: list[int], processes: int) -> Running:
    """Run a trial on some cores, divided among its ``processes``; it ends with this process."""
    trial.folder.mkdir(parents=True, exist_ok=True)
    for former in (FAILED, ERRORS):  # not just emptied: an earlier attempt may still run and write
        (trial.folder / former).unlink(missing_ok=True)
    errors = (trial.folder / ERRORS).open("wb")
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    own = {"OMP_NUM_THREADS": _threads(len(cores) // processes), PARENT: os.getpid()}
    environment = {**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in own.items()}}
    before = _pin(cores)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment
        )
    finally:
        _pin(before)
    return Running(trial, process, errors, cores, time.monotonic())


def _pin(cores: Iterable[int]) -> Iterable[int]:
    """Bind this process and those that it starts to some cores, if the system can; return the former cores."""
    if not hasattr(os, "sched_setaffinity"):
        return cores
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    return before


def _progress(one: Running) -> str:
    """The name of a trial, its epochs so far, and how long it has run."""
    trial, took = one.trial, duration(time.monotonic() - one.start)
    file = trial.folder / "epochs.csv"
    epochs = max(0, len(file.read_text(encoding="utf-8").splitlines()) - 1) if file.exists() else 0
    return f"{trial.name}: {plural(epochs, 'epoch')}, {took}"


def _stop(one: Running) -> None:
    one.process.terminate()
    try:
        one.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        one.process.kill()
        one.process.wait()
    one.errors.close()


def _end(one: Running) -> str | None:
    """Clear away what a trial printed; why it failed, if it did."""
    one.errors.close()
    folder = one.trial.folder
    file = folder / ERRORS
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
    file.unlink(missing_ok=True)
    if one.trial.finished:
        return None
    code = one.process.returncode
    reason = _reason(text) or f"exit code {code}, without a message"
    if code < 0:
        name = signal.Signals(-code).name
        reason = f"ended by signal {-code} ({name})"
        if -code == signal.SIGKILL:
            reason += "; the machine may have run out of memory"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILED).write_text(f"{reason}\n\n{text}\n", encoding="utf-8")
    return reason


def _reason(text: str) -> str:
    """The line of a program's errors that says why it ended, or else the last line."""
    lines = text.splitlines()
    said = [line for line in lines if line.startswith(SPEAKER)]
    if said:
        return said[-1].removeprefix(SPEAKER).strip()
    if TRACEBACK in lines:
        # The error is the first line after it without indentation; its message may have more lines.
        after = lines[len(lines) - lines[::-1].index(TRACEBACK) :]
        return next((line for line in after if line and not line[0].isspace()), lines[-1])
    return lines[-1] if lines else ""

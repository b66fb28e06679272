"""Runs the cells of a benchmark, each in a process of its own, so that none can harm another.

What a cell did is in its folder: a finished one is never run again, an interrupted one goes on from its
state, a failed one says why in ``failed.txt`` and is tried again next time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from ..errors import SPEAKER
from ..parallel.launch import PARENT
from ..settings.locations import PACKAGE
from .cells import FAILED, Cell
from .report.formatting import duration, plural

ERRORS = "errors.txt"
TRACEBACK = "Traceback (most recent call last):"
POLL_SECONDS, STOP_SECONDS = 0.2, 20.0


@dataclass
class _Running:
    cell: Cell
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    cores: list[int]
    start: float


def seconds_of(result: dict[str, Any]) -> float:
    """How long a finished cell took."""
    return float(sum(result["seconds"].values()))


def estimate(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Seconds that a cell will take: the mean of the finished ones of its row and data set.

    Without one, those of its row on another data set; None if there is none of these either.
    """
    finished = [other for other in cells if other.finished and other.row == cell.row]
    same = [other for other in finished if other.dataset == cell.dataset] or finished
    return sum(seconds_of(other.result) for other in same) / len(same) if same else None


def rest(
    ahead: Sequence[Cell], cells: Sequence[Cell], jobs: int, elapsed: Mapping[int, float] | None = None
) -> str:
    """How long the cells ``ahead`` will take, as words, as far as those that are finished tell.

    Args:
        ahead: those that wait or run.
        cells: all of the benchmark.
        jobs: how many run at once.
        elapsed: seconds that those that run have run, by their ``id``.
    """
    guesses: list[float | None] = []
    for cell in ahead:
        guess = estimate(cell, cells)
        guesses.append(None if guess is None else max(0.0, guess - (elapsed or {}).get(id(cell), 0.0)))
    known = [guess for guess in guesses if guess is not None]
    if not guesses:
        return "nothing left"
    if not known:
        return f"{len(guesses)} left, time unknown"
    unknown = len(guesses) - len(known)
    more = f" and {unknown} of unknown time" if unknown else ""
    longest = max(max(known), sum(known) / jobs)  # a cell is not divided
    return f"{len(guesses)} left, about {duration(longest)}{more}"


def run_cells(
    cells: Sequence[Cell],
    settings: dict[str, Any],
    jobs: int = 1,
    say: Callable[[str], None] = print,
    watch: Callable[[str], None] | None = None,
    command: Callable[[Cell, dict[str, Any]], list[str]] | None = None,
) -> bool:
    """Runs what is not finished yet and returns whether all cells are now.

    Args:
        cells: all of the benchmark, also the finished ones, from which times are estimated.
        settings: those of every cell, besides its row's.
        jobs: how many run at once, the cores divided among them.
        say: gets one line when a cell begins and one when it ends.
        watch: gets, every second, one line on all that is running.
        command: the command line of a cell; that of this package by default.
    """
    waiting = [cell for cell in cells if not cell.finished]
    numbers = {id(cell): number for number, cell in enumerate(cells, start=1)}
    shares = divided_cores(jobs)
    running: list[_Running] = []
    watched = time.monotonic()

    def line(cell: Cell, text: str) -> None:
        place = f"[{numbers[id(cell)]:>{len(str(len(cells)))}}/{len(cells)}]"
        say(f"{place} {cell.dataset}  {cell.row.name}  seed {cell.seed}  {text}")

    def left() -> str:
        elapsed = {id(one.cell): time.monotonic() - one.start for one in running}
        return rest([*waiting, *(one.cell for one in running)], cells, jobs, elapsed)

    try:
        while waiting or running:
            while waiting and shares:
                cell = waiting.pop(0)
                guess = estimate(cell, cells)
                line(cell, "running" + (f", about {duration(guess)}" if guess is not None else ""))
                words = (command or train_command)(cell, settings)
                running.append(_start(cell, words, shares.pop(), processes=int(settings.get("nproc", 1))))
            time.sleep(POLL_SECONDS)
            if watch is not None and time.monotonic() - watched >= 1:
                watch(f"{left()}; {'; '.join(map(_progress, running))}")
                watched = time.monotonic()
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                shares.append(one.cores)
                failure = _end(one)
                took = duration(time.monotonic() - one.start)
                ended = (
                    f"FAILED after {took}: {failure}" if failure else f"done in {took}, {_score(one.cell)}"
                )
                line(one.cell, f"{ended}; {left()}")
    finally:  # interrupted: what runs is stopped, its state stays
        for one in running:
            _stop(one)
    return all(cell.finished for cell in cells)


def train_command(cell: Cell, settings: dict[str, Any], flags: Iterable[str] = ()) -> list[str]:
    """The command line that trains one cell, as its ``result.json`` records it."""
    given = {**settings, **cell.row.settings, "seed": cell.seed}
    options = {"model": cell.row.model, "dataset": cell.dataset, "output_dir": str(cell.folder)}
    return [
        *(sys.executable, "-m", PACKAGE.name, "train", "--resume"),
        *(f"--{flag}" for flag in flags),
        *(f"--{key}={value}" for key, value in options.items()),
        *(f"--{key}={value!r}" for key, value in given.items()),
        "--show_progress=False",
    ]


def divided_cores(jobs: int) -> list[list[int]]:
    """The cores of this process in ``jobs`` parts of about the same size; with more jobs than cores some share."""
    cores = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    return [cores[job::jobs] for job in range(jobs)]


def _start(cell: Cell, command: list[str], cores: list[int], processes: int) -> _Running:
    """Runs a cell on its cores, which its ``processes`` share; it ends with this process."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    for former in (FAILED, ERRORS):  # not just emptied: a former attempt may not have ended, and writes on
        (cell.folder / former).unlink(missing_ok=True)
    errors = (cell.folder / ERRORS).open("wb")
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    own = {"OMP_NUM_THREADS": max(1, len(cores) // processes), PARENT: os.getpid()}
    environment = {**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in own.items()}}
    before = _pin(cores)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment
        )
    finally:
        _pin(before)
    return _Running(cell, process, errors, cores, time.monotonic())


def _pin(cores: Iterable[int]) -> Iterable[int]:
    """Binds this process, and those that it starts, to some cores, where the system can; the former ones."""
    if not hasattr(os, "sched_setaffinity"):
        return cores
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    return before


def _progress(one: _Running) -> str:
    """Which cell it is, its epochs so far and how long it has run."""
    file = one.cell.folder / "epochs.csv"
    epochs = max(0, len(file.read_text(encoding="utf-8").splitlines()) - 1) if file.exists() else 0
    cell, took = one.cell, duration(time.monotonic() - one.start)
    return f"{cell.row.name} on {cell.dataset}, seed {cell.seed}: {plural(epochs, 'epoch')}, {took}"


def _stop(one: _Running) -> None:
    one.process.terminate()
    try:
        one.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        one.process.kill()
        one.process.wait()
    one.errors.close()


def _end(one: _Running) -> str | None:
    """Puts away what a cell printed; why it failed, if it did."""
    one.errors.close()
    file, folder = one.cell.folder / ERRORS, one.cell.folder
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
    file.unlink(missing_ok=True)
    if one.cell.finished:
        return None
    code = one.process.returncode
    reason = _reason(text) or f"exit code {code}, without a word"
    if code < 0:
        reason = f"ended by signal {-code} ({signal.Signals(-code).name}); was there memory enough?"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILED).write_text(f"{reason}\n\n{text}\n", encoding="utf-8")
    return reason


def _reason(text: str) -> str:
    """The sentence of a program's errors that says why it ended, and its last line if none does."""
    lines = text.splitlines()
    said = [line for line in lines if line.startswith(SPEAKER)]
    if said:
        return said[-1].removeprefix(SPEAKER).strip()
    if TRACEBACK in lines:
        # The error is the first line after it that is not indented; its own text may have more lines.
        after = lines[len(lines) - lines[::-1].index(TRACEBACK) :]
        return next((line for line in after if line and not line[0].isspace()), lines[-1])
    return lines[-1] if lines else ""


def _score(cell: Cell) -> str:
    metric = str(cell.result["settings"]["valid_metric"]).lower()
    score = (cell.result["test"] or {}).get(metric)
    return f"test {metric.upper()} {score:.4f}" if score is not None else "not tested"

"""One trial in a process of its own: a run whose validation scores go to the study after each epoch."""

from __future__ import annotations

import csv
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SPEAKER, UserError
from ..experiments.schedule import command_of
from ..interfaces import Json
from ..parallel.launch import end_with_parent
from ..runs.atomic import wait_until_free
from ..runs.folder import CHECKPOINT, FORMER, STATE
from ..settings.config import Config
from ..training.run import Run, run
from .address import Unreachable, taken_over
from .engine import Engine, GivenUp
from .plan import Plan
from .record import Tried

LEFT = 75
"""The exit code of a trial whose storage is away, so that it can record neither an end nor a failure."""


class Pruned(Exception):
    """The trial is ended early, as others are ahead of it."""


def work(place: str, number: int, folder: Path) -> None:
    """Begin or continue a trial of the study, unless it has ended."""
    engine = Engine(place)
    trial = engine.trial(number)
    if trial.state != "running":
        return
    wait_until_free(folder)
    try:
        report = engine.report(number)
    except GivenUp:
        return

    def callback(epoch: int, score: float) -> None:
        if report(epoch + 1, score):
            raise Pruned

    try:
        finished = run_of(engine.plan, trial, folder, callback)
    except Pruned:
        engine.end(number, "pruned", pruned_figures(engine, number, folder))
        drop_weights(folder)
    except GivenUp:
        return
    else:
        engine.end(number, "finished", figures(engine.plan, finished.result))


def run_of(plan: Plan, trial: Tried, folder: Path, callback: Callable[[int, float], None]) -> Run:
    """The trial as a run that never sees the test part."""
    settings = {**plan.settings, **trial.settings, "seed": plan.seed}
    config = Config(
        plan.model,
        plan.dataset,
        command_line={**settings, "show_progress": False},
        allow_unknown=plan.allow_unknown,
    )
    command = ["recbole-mqsa", *command_of(plan.model, plan.dataset, folder, settings)]
    interval = plan.settings.get("state_interval", 0)
    return run(config, folder, callback, resume=True, command=command, state_interval=interval, test=False)


def figures(plan: Plan, result: Json) -> dict[str, float | None]:
    """What a trial records of itself when its run is finished."""
    return {
        "value": float(result["valid"][plan.metric]),
        "best_epoch": result["best_epoch"],
        "epochs": result["epochs_run"],
        "seconds": float(sum(result["seconds"].values())),
    }


def pruned_figures(engine: Engine, number: int, folder: Path) -> dict[str, float | None]:
    """What a trial records of itself that was ended early."""
    curve = engine.trial(number).curve
    choose = max if engine.plan.bigger else min
    best = choose(curve, key=lambda epochs: curve[epochs])
    return {
        "value": curve[best],
        "best_epoch": best - 1,
        "epochs": max(curve),
        "seconds": sum(map(_seconds, _epochs(folder))),
    }


def drop_weights(folder: Path) -> None:
    """Remove the weights of a trial that was ended early, which are of no use any more."""
    for name in (CHECKPOINT, STATE, FORMER):
        (folder / name).unlink(missing_ok=True)


def _epochs(folder: Path) -> list[Json]:
    with (folder / "epochs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _seconds(row: Json) -> float:
    return sum(float(row.get(name) or 0.0) for name in ("train_seconds", "valid_seconds"))


def main(words: Sequence[str]) -> int:
    """Run the trial that a command line names by storage, number and folder."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    end_with_parent()
    try:
        work(taken_over(words[0]), int(words[1]), Path(words[2]))
    except Unreachable as error:
        print(SPEAKER, error, file=sys.stderr)
        return LEFT
    except UserError as error:
        print(SPEAKER, " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

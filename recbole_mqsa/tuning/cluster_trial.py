"""A trial on a cluster of Ray's: a run in the search's folder, with one report an epoch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..experiments.trials import FAILED
from ..interfaces import Json
from ..runs.atomic import wait_until_free, write_text
from .plan import Plan
from .record import Tried
from .worker import run_of

EPOCH, SCORE = "epoch", "score"
"""What a trial reports: how many epochs it has run, and its validation score after them."""


def cluster_trial(handed: Mapping[str, object], plan: Json) -> None:
    """Begin or continue a trial on whatever machine Ray has chosen.

    What fails by its settings is not tried again; its reason is left in the folder. Ray starts anew what dies.

    Args:
        handed: number, settings and folder of the trial.
        plan: the search's, as json.
    """
    tune: Any = importlib.import_module("ray.tune")
    made, folder = Plan.from_json(plan), Path(str(handed["folder"]))
    trial = Tried(int(str(handed["number"])), "running", dict(handed["settings"]))  # type: ignore[call-overload]
    last: Json = {}

    def callback(epoch: int, score: float) -> None:
        report = {EPOCH: epoch + 1, SCORE: score}
        if epoch + 1 < made.epochs:
            tune.report(report)
        else:  # once the run is whole, as a trial may be ended at a report
            last.update(report)

    try:
        wait_until_free(folder)
        run_of(made, trial, folder, callback)
    except UserError as error:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / FAILED, f"{error}\n")
        return
    if last:
        tune.report(last)

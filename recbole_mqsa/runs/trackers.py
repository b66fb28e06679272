"""Runs of MLflow's and of Weights & Biases', as far as this package speaks to them; neither is a dependency."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..interfaces import Json

PARAMETERS, LETTERS = 100, 500
"""How many settings MLflow takes at once, and how many letters all of its stores keep of each."""


@dataclass(frozen=True)
class About:
    """What a tracker is told of a run when it begins.

    Args:
        name: what lists show of the run.
        group: the runs that it belongs to: those in the same folder.
        project: the experiment or project.
        settings: all of them.
        folder: the run's own.
    """

    name: str
    group: str
    project: str
    settings: Json
    folder: Path


class Service(Protocol):
    """A tracker's run that has begun.

    Attributes:
        id: by which it goes on.
    """

    id: str

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Keep the numbers of an epoch."""

    def keep(self, summary: Mapping[str, float], files: Sequence[Path]) -> None:
        """Keep the result."""

    def end(self, finished: bool) -> None:
        """Close it."""


class MLflow:
    """A run of MLflow's, at the place that it finds in its own way (``MLFLOW_TRACKING_URI``)."""

    def __init__(self, about: About, known: str | None) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient()
        if known is not None:
            self.id = known
            self.client.update_run(known, status="RUNNING")
            return
        experiment = self.client.get_experiment_by_name(about.project)
        place = experiment.experiment_id if experiment else self.client.create_experiment(about.project)
        tags = {"group": about.group, "folder": str(about.folder)}
        self.id = self.client.create_run(place, run_name=about.name, tags=tags).info.run_id
        given = [Param(key, str(value)[:LETTERS]) for key, value in about.settings.items()]
        for first in range(0, len(given), PARAMETERS):
            self.client.log_batch(self.id, params=given[first : first + PARAMETERS])

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        # MLflow allows no @ in a name.
        found = [Metric(key.replace("@", "_at_"), value, now, epoch) for key, value in metrics.items()]
        self.client.log_batch(self.id, metrics=found)

    def keep(self, summary: Mapping[str, float], files: Sequence[Path]) -> None:
        self.log(summary, 0)
        for file in files:
            self.client.log_artifact(self.id, str(file))

    def end(self, finished: bool) -> None:
        self.client.set_terminated(self.id, "FINISHED" if finished else "FAILED")


class WandB:
    """A run of Weights & Biases', in the mode that it finds in its own way (``WANDB_MODE``)."""

    def __init__(self, about: About, known: str | None) -> None:
        import wandb

        self.run: Any = wandb.init(
            project=about.project,
            name=about.name,
            group=about.group,
            id=known,
            resume=None if known is None else "allow",
            config=about.settings,
            dir=about.folder,
            settings=wandb.Settings(silent=True, console="off"),
            reinit="create_new",
        )
        self.id = self.run.id

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        self.run.log(dict(metrics), step=epoch)

    def keep(self, summary: Mapping[str, float], files: Sequence[Path]) -> None:
        import wandb

        self.run.summary.update(dict(summary))
        artifact = wandb.Artifact(f"run-{self.id}", type="run")
        for file in files:
            artifact.add_file(str(file))
        self.run.log_artifact(artifact)

    def end(self, finished: bool) -> None:
        self.run.finish(exit_code=0 if finished else 1)


SERVICES: Mapping[str, Callable[[About, str | None], Service]] = {"mlflow": MLflow, "wandb": WandB}
"""To add one, write its class and a line here; its name, which is its package's, goes into ``TRACKERS``."""

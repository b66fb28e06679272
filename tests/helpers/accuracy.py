"""Runs on the chain of what tests of averages, schedules and memories share."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recbole.utils import init_seed

from recbole_mqsa.settings.config import Config
from recbole_mqsa.training import resume
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer
from recbole_mqsa.training.run import Run, run

SMALL = {
    "train_batch_size": 128, "show_progress": False, "state": "ERROR", "hidden_size": 16, "embedding_size": 16,
    "learning_rate": 0.01, "MAX_ITEM_LIST_LENGTH": 12, "topk": [5], "valid_metric": "NDCG@5",
    "metrics": ["Hit", "NDCG"], "metric_decimal_place": 12,
}  # fmt: skip


class Killed(Exception):
    """In the place of what ends a process."""


def config(home: Path, model: str = "MQSATED", **more: object) -> Config:
    """Settings on the chain in ``home``, of a size that trains in a second."""
    given = {**SMALL, "data_path": str(home), "checkpoint_dir": str(home), **more}
    return Config(model, "chain", config_dict=given, allow_unknown=True)


def built(home: Path, model: str = "MQSATED", **more: object) -> tuple[Any, tuple[Any, Any, Any]]:
    """Trainer and loaders of a model that has learnt nothing yet."""
    made = config(home, model, **more)
    init_seed(7, True)
    loaders = build_loaders(made, build_dataset(made))
    init_seed(7, True)
    trainer = build_trainer(made, build_model(made, loaders[0]._dataset))
    trainer.eval_collector.data_collect(loaders[0])
    return trainer, loaders


def broken_and_resumed(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, **more: object
) -> tuple[Run, Run]:
    """A whole run of six epochs, and one that is killed after its second and its fourth."""
    given = {"epochs": 6, "stopping_step": 6, **more}
    whole = run(config(home, model, **given), home / "whole")
    clock = itertools.count(0.0, 1000.0)  # so that every epoch's state is written
    monkeypatch.setattr(resume, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for last in (1, 3):

        def kill(epoch: int, _: float, last: int = last) -> None:
            if epoch == last:
                raise Killed

        with pytest.raises(Killed):
            run(config(home, model, **given), home / "broken", kill, resume=True)
    return whole, run(config(home, model, **given), home / "broken", resume=True)


def record(run: Run) -> dict[str, Any]:
    """What two runs that do the same have in common: all epochs but for their seconds, and the results."""
    rows = [line.split(",") for line in (run.folder / "epochs.csv").read_text().splitlines()]
    kept = [index for index, name in enumerate(rows[0]) if not name.endswith("seconds")]
    epochs = [[row[index] for index in kept] for row in rows]
    return {"epochs": epochs, **{key: run.result[key] for key in ("valid", "test", "best_epoch", "slices")}}

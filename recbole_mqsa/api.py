"""What ``import recbole_mqsa`` offers: train a model, and come back to a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from .errors import UserError
from .parallel import group
from .parallel.launch import spawn
from .runs.folder import new_folder
from .settings.config import Config
from .training.run import Run, read_run, run

MODEL, DATASET = "MQSATED", "ml-100k"
"""What is trained, and on what, where nobody names a model or a data set."""


def train(
    model: str | None = None,
    dataset: str | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    config_files: Sequence[str | os.PathLike[str]] = (),
    resume: bool = False,
    callback: Callable[[int, float], None] | None = None,
    allow_unknown: bool = False,
    command: Sequence[str] | None = None,
    **settings: Any,
) -> Run:
    """Train a model, choose its epoch on validation, and test it.

    >>> run = train(dataset="ml-100k", epochs=2, query_windows=[1, 4])  # doctest: +SKIP
    >>> run.result["test"]["ndcg@20"]  # doctest: +SKIP
    0.0553

    Args:
        model: a model of this package or of RecBole's; MQSATED where no config file names another.
        dataset: a data set below ``data_path``; RecBole's ml-100k where no config file names another.
        output_dir: the run's folder; by default a new one below ``runs/``.
        config_files: yaml files of settings, a later one overriding.
        resume: whether ``output_dir`` may hold this run already, finished or interrupted.
        callback: called after each evaluation with the epoch and its validation score; it may raise to end the run.
        allow_unknown: whether settings may pass that nothing here knows.
        command: what is recorded as the run's command; by default that of the process.
        settings: overriding the files; with ``nproc=2`` and more, so many processes train together.

    Returns:
        The finished run.

    Raises:
        UserError: bad data or settings, or ``output_dir`` holds another run: one sentence that says what to do.
    """
    config = Config(
        model,
        dataset,
        [Path(file) for file in config_files],
        command_line=settings,
        allow_unknown=allow_unknown,
        defaults={"model": MODEL, "dataset": DATASET},
    )
    if (config["nproc"] or 1) == 1 or group.place() is not None:
        return run(config, output_dir, callback, resume, command)
    if callback is not None:
        raise UserError(
            f"a callback runs in one process, but nproc is {config['nproc']}; leave one of them out"
        )
    folder = Path(output_dir or new_folder(config["model"], config["dataset"]))
    given = {"config_files": [os.fspath(file) for file in config_files], "resume": resume, "command": command}
    spawn(
        _member,
        config["nproc"],
        (model, dataset, folder),
        {**given, "allow_unknown": allow_unknown},
        settings,
    )
    return read_run(folder)


def _member(positional: tuple[Any, ...], options: dict[str, Any], settings: dict[str, Any]) -> None:
    """One of the processes of :func:`train`."""
    train(*positional, **options, **settings)


def load(folder: str | os.PathLike[str]) -> Run:
    """The finished run in a folder; its model and data are read when asked for.

    Raises:
        UserError: the folder holds no finished run.
    """
    return read_run(folder)

"""What ``import recbole_mqsa`` offers: train a model, load a finished run, search for the best settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from .errors import UserError
from .interfaces import Json
from .parallel import group
from .parallel.launch import spawn
from .recommend.recommender import Recommender
from .runs.folder import new_folder
from .settings.config import Config
from .settings.names import DATASET, MODEL
from .training import run as training
from .training.warm_start import chosen_epochs, eval_args_of, refuse_other_model, settings_of


class Run(training.Run):
    """A finished run, as :func:`train` and :func:`load` return it.

    Attributes:
        folder, result, data_path: see :class:`recbole_mqsa.training.run.Run`.
    """

    def recommender(self, split: str = "all") -> Recommender:
        """What recommends by this run: lists, similar items and explanations.

        Args:
            split: what is known of users; see :class:`recbole_mqsa.recommend.recommender.Recommender`.
        """
        return Recommender(self, split)

    def export(self, output: str | os.PathLike[str], form: str = "onnx") -> Json:
        """Write the model for other programs: 'onnx' or 'torch' (``torch.export``), with item names and weights.

        Args:
            output: a new folder.
            form: also 'weights', for nothing but weights and names.

        Returns:
            What ``export.json`` says; see :func:`recbole_mqsa.export.write.export`.

        Raises:
            UserError: a package is missing, the folder exists, or the model cannot be exported.
        """
        from .export.write import export

        return export(self, output, form)


def _offered(run: training.Run) -> Run:
    return Run(run.folder, run.result, run.data_path)


if TYPE_CHECKING:
    from .tuning.record import Tried
    from .tuning.search import Search


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
    split: str | None = None,
    epochs_from: str | os.PathLike[str] | None = None,
    init: str | os.PathLike[str] | None = None,
    **settings: object,
) -> Run:
    """Train a model, choose its epoch on validation, and test it.

    Examples:
        >>> run = train(dataset="ml-100k", epochs=2, query_windows=[1, 4])  # doctest: +SKIP
        >>> run.result["test"]["ndcg@20"]  # doctest: +SKIP
        0.0553

    Args:
        model: one of this package's models or of RecBole's; by default that of the config files, else MQSATED.
        dataset: a data set below ``data_path``; by default that of the config files, else RecBole's ml-100k.
        output_dir: the run's folder; by default a new one below ``runs/``.
        config_files: yaml files of settings; a later file overrides an earlier one.
        resume: whether to continue this run if ``output_dir`` holds it already, or return it if it is finished.
        callback: called after each evaluation with the epoch and its validation score; it may raise to end the run.
        allow_unknown: whether to accept settings that neither RecBole nor this package knows.
        command: the command to record for the run; by default that of the process.
        split: 'all' trains on all actions, for serving; nothing is left to validate or test. 'train+valid' trains on
            all but the test actions, once the number of epochs is known (``epochs_from``).
        epochs_from: the folder of a run whose settings and number of epochs to use.
        init: the folder of a run whose settings to use and whose weights to begin with; the data may be newer.
        settings: override those of the files; ``nproc`` above 1 trains in as many processes.

    Returns:
        The finished run.

    Raises:
        UserError: bad data or settings, or ``output_dir`` holds another run; the message says what to do.
    """
    if output_dir is not None and not os.fspath(output_dir):
        raise UserError("output_dir is empty; name a folder, or leave it out")
    config = Config(
        model,
        dataset,
        [Path(file) for file in config_files],
        command_line={**settings, **_of_split(split, settings)},
        allow_unknown=allow_unknown,
        defaults={"model": MODEL, "dataset": DATASET, **_of_runs(model, epochs_from, init, split)},
    )
    if "checkpoint_dir" in config.external_config_dict:
        raise UserError("checkpoint_dir is RecBole's; name a run's folder with output_dir")
    if (config["nproc"] or 1) == 1 or group.place() is not None:
        return _offered(
            training.run(
                config, output_dir, callback, resume, command, init=None if init is None else Path(init)
            )
        )
    if callback is not None:
        raise UserError(
            f"a callback runs in one process, but nproc is {config['nproc']}; leave one of them out"
        )
    folder = Path(output_dir or new_folder(config["model"], config["dataset"]))
    arguments = {
        **{"model": model, "dataset": dataset, "output_dir": folder, "resume": resume, "command": command},
        **{"config_files": [os.fspath(file) for file in config_files], "allow_unknown": allow_unknown},
        **{"split": split, "epochs_from": epochs_from, "init": init},
        **settings,
    }
    spawn(_member, config["nproc"], arguments)
    return _offered(training.read_run(folder))


def _of_split(split: str | None, settings: Json) -> Json:
    """The settings that ``split`` stands for.

    Raises:
        UserError: it is none, or the settings have a split of their own.
    """
    if split is None:
        return {}
    if "eval_args" in settings:
        raise UserError(f"split={split} and eval_args both say what is trained on; leave one of them out")
    return {"memory_fit": False, **settings, "eval_args": eval_args_of(split)}  # no validation part to fit on


def _of_runs(
    model: str | None,
    epochs_from: str | os.PathLike[str] | None,
    init: str | os.PathLike[str] | None,
    split: str | None,
) -> Json:
    """The settings of the runs that a run goes on from.

    Raises:
        UserError: there is no such run, it is of another model, or was tested otherwise than ``split`` tests.
    """
    found: Json = {}
    for option, folder in (("init", init), ("epochs_from", epochs_from)):
        if folder is not None:
            theirs = settings_of(Path(folder))
            found.update(theirs)
            refuse_other_model(option, Path(folder), found["model"], model or found["model"])
            if option == "epochs_from" and split == "train+valid" and "eval_args" in theirs:
                raise UserError(
                    f"epochs_from {folder} was tested by eval_args of its own, but split=train+valid tests each "
                    "user's last action among all items; name a run without eval_args"
                )
    if epochs_from is not None:
        found.update(epochs=chosen_epochs(Path(epochs_from)))
    return found


def _member(arguments: Json) -> None:
    """What each process of :func:`train` does."""
    train(**arguments)


def load(folder: str | os.PathLike[str], data_path: str | os.PathLike[str] | None = None) -> Run:
    """The finished run in a folder; its model and data are read when asked for.

    Args:
        folder: as ``train`` or the command line wrote it.
        data_path: the folder of data sets, if the run's data have moved.

    Raises:
        UserError: the folder holds no finished run, or what is there is damaged.
    """
    return _offered(training.read_run(folder, data_path))


def tune(
    model: str | None = None,
    dataset: str | None = None,
    space: str | os.PathLike[str] | Mapping[str, object] | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    max_trials: int = 40,
    jobs: int = 1,
    sampler: str = "tpe",
    pruner: str | None = None,
    seeds: int = 3,
    config_files: Sequence[str | os.PathLike[str]] = (),
    resume: bool = False,
    callback: Callable[[Tried], None] | None = None,
    allow_unknown: bool = False,
    storage: str | None = None,
    study: str | None = None,
    silent_after: float | None = None,
    engine: str = "optuna",
    address: str | None = None,
    say: Callable[[str], None] = print,
    **settings: object,
) -> Search:
    """Search for a model's best settings on the validation part, and test them with fresh seeds.

    Examples:
        >>> space = {"learning_rate": {"low": 1e-4, "high": 5e-3, "log": True}, "tau": [0.05, 0.1, 0.2]}
        >>> found = tune(dataset="ml-100k", space=space, max_trials=20, epochs=20)  # doctest: +SKIP
        >>> found.best.settings  # doctest: +SKIP
        {'learning_rate': 0.00213, 'tau': 0.1}

    Args:
        model, dataset, config_files, allow_unknown, settings: as in :func:`train`, of every trial.
        space: a yaml file, a file of RecBole's lines, or a dictionary like the yaml; by default the model's own.
        output_dir: the search's folder; by default a new one below ``runs/``.
        max_trials: how many trials are to end, those of earlier starts included.
        jobs: how many run at once, each in a process of its own, with the cores divided among them.
        sampler: how settings are drawn: tpe, random, grid, gp or cmaes.
        pruner: what ends a trial early: median (the default), hyperband, halving or off; ray has halving and off.
        seeds: with how many fresh seeds the best settings and the model's own are tested at the end; 0 for none.
        resume: whether to go on with this search if ``output_dir`` holds it already.
        callback: gets the record of each trial that ends; it may raise to end the search, which can be resumed.
        storage: the address at which several machines share the search; each calls this with the same arguments.
        study: the search's name there; by default model and data set.
        silent_after: seconds without a sign of life after which another machine's worker counts as gone; by default
            five epochs of its trial.
        engine: what runs the trials: optuna, or ray on a cluster of Ray's.
        address: the cluster's, HOST:PORT; by default that of which this machine is part.
        say: gets a line when a trial begins and when it ends.

    Returns:
        The search: ``best`` and ``trials`` are records, ``engine.study`` is Optuna's study, ``folder`` holds all.

    Raises:
        UserError: Optuna is not installed, a setting or the space is wrong, or no trial is finished.
    """
    from .tuning.start import prepared

    search = prepared(
        model,
        dataset,
        space,
        None if output_dir is None else Path(output_dir),
        config_files=config_files,
        settings=settings,
        sampler=sampler,
        pruner=pruner,
        allow_unknown=allow_unknown,
        max_trials=max_trials,
        jobs=jobs,
        seeds=seeds,
        resume=resume,
        callback=callback,
        storage=storage,
        study=study,
        silent_after=silent_after,
        engine=engine,
        address=address,
    )
    search.run(say)
    return search

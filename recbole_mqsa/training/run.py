"""The one path that builds, trains and evaluates a model; everything else calls it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable

from recbole.data.dataset import Dataset
from recbole.utils import init_seed

from ..data.dataset import SequenceDataset
from ..data.identity import IDS, Identity
from ..data.withheld import Withheld
from ..errors import UserError
from ..evaluation.masked import tell_of_masked
from ..interfaces import Json, Loader, Loaders, Model, Settings
from ..parallel import group
from ..runs import folder as run_folder
from ..runs import logs, provenance
from ..runs.atomic import write_whole
from ..runs.plain import plain
from ..runs.plots import plot_epochs
from ..runs.tracking import Tracker, tracked
from ..settings.compare import differing
from ..settings.config import Config
from ..settings.unable import refuse_unable
from . import record
from .build import build_dataset, build_loaders, build_model, build_trainer
from .faults import explained
from .fit_memory import fit_memory
from .load import Loaded, load_run
from .resume import SECONDS, Resume, refuse_other_cosine
from .trainer import RunTrainer
from .warm_start import take_weights


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything was written.
        result: the content of ``result.json``.
        data_path: where the run's data are now; by default where they were.
    """

    folder: Path
    result: Json

    data_path: str | os.PathLike[str] | None = None

    @cached_property
    def _loaded(self) -> Loaded:
        return load_run(self.folder, self.data_path)

    def evaluate(self) -> dict[str, float]:
        """Test the model of the best epoch again: the metrics of ``result['test']``, computed anew."""
        if not self.loaders[2]:
            raise UserError(
                f"{self.folder} was trained on all actions, so it has none to test; test another run"
            )
        with logs.events_nowhere():
            trainer = build_trainer(self.config, self.model)
        return dict(trainer.evaluate(self.loaders[2], load_best_model=False) or {})

    @property
    def config(self) -> Config:
        """The settings, read from the checkpoint."""
        return self._loaded.config

    @property
    def model(self) -> Model:
        """The model of the best epoch, on the run's device."""
        return self._loaded.model

    @property
    def dataset(self) -> Dataset:
        """The whole data set, loaded and filtered."""
        return self._loaded.dataset

    @property
    def loaders(self) -> Loaders:
        """The training, validation and test loaders."""
        return self._loaded.loaders


def read_run(folder: str | os.PathLike[str], data_path: str | os.PathLike[str] | None = None) -> Run:
    """The finished run in a folder; its model and data are loaded when first used.

    Raises:
        UserError: the folder holds no finished run.
    """
    result = run_folder.read_result(Path(folder))
    if result is None:
        raise UserError(f"{folder} holds no finished run; name a folder with a result.json")
    return Run(Path(folder), result, data_path)


def run(
    config: Settings,
    output_dir: str | os.PathLike[str] | None = None,
    callback: Callable[[int, float], None] | None = None,
    resume: bool = False,
    command: Sequence[str] | None = None,
    state_interval: float | None = None,
    test: bool = True,
    init: Path | None = None,
) -> Run:
    """Train ``config['model']`` on ``config['dataset']`` and test its best epoch.

    Each of several processes (see :mod:`recbole_mqsa.parallel.group`) calls it, and all get the result.

    Args:
        config: :class:`recbole_mqsa.Config`; only the folder of its checkpoints is changed.
        output_dir: the run's folder; by default a new one below ``runs/``.
        callback: called after each evaluation with the epoch and its validation score; it may raise to end the
            run, as a tuner does to prune it.
        resume: whether ``output_dir`` may hold this run already: a finished run is returned as it is, an
            interrupted one continues from its latest state.
        command: the command to record; by default that of the process.
        state_interval: the least number of seconds between two saved states; by default that of the settings.
        test: whether the test part is there; without it the best epoch is not tested, and whatever reads it fails.
        init: the folder of a run whose weights to begin with.

    Raises:
        UserError: bad data, a model that needs other data, or ``output_dir`` holds another run.
    """
    begun = time.perf_counter()
    refuse_unable(config)
    with ExitStack() as held:
        held.enter_context(logs.quiet())
        held.enter_context(group.joined(config))
        folder, logger, finished = held.enter_context(_kept(config, output_dir, resume))
        if finished is not None:
            return Run(folder, finished)
        held.enter_context(explained(config, folder if group.is_main() else None))
        started = provenance.environment(command)
        logger.info(config)
        tracker = held.enter_context(tracked(config, folder)) if group.is_main() else Tracker(folder)
        loaders, model, trainer = _built(config, folder, logger, init)
        if not test:
            loaders = (*loaders[:2], Withheld())
        train_data, valid_data, test_data = loaders
        trainer.saved_model_file = str(folder / run_folder.CHECKPOINT)
        interval = config["state_interval"] if state_interval is None else state_interval
        state = Resume(folder, config, started, SECONDS if interval is None else interval)
        state.load(trainer, train_data)
        if group.is_main():
            run_folder.set_result_aside(folder)
        trainer.before_epoch = lambda epoch: _keep(folder, state, trainer, train_data, tracker, epoch)
        prepared = time.perf_counter()
        valid, history = _fitted(trainer, loaders, state, callback)
        tracker.epochs(history)
        state.finish(trainer, train_data, len(history))
        fitted = fit_memory(trainer, train_data, valid_data)
        start = time.perf_counter()
        tested = trainer.evaluate(test_data, show_progress=config["show_progress"]) if test else None
        seconds = {"preparation": prepared - begun, "test": time.perf_counter() - start}
        if "memory" in fitted:
            seconds["memory_fit"] = fitted["memory"]["seconds"]
        trainer.tensorboard.close()

        result = {
            **{name: config[name] for name in ("model", "dataset", "seed")},
            "best_epoch": trainer.best_epoch,
            "epochs_run": len(history),
            "valid": plain(valid),
            "test": plain(tested),
            **plain(fitted),
            **(record.slices_of_test(trainer, train_data, test_data, folder) if test else {}),
            **record.users(config, {"valid": valid_data, **({"test": test_data} if test else {})}),
            "seconds": record.seconds(history, **seconds),
            "peak_memory_bytes": state.peak_memory_bytes(),
            **record.size(model, test_data if test else valid_data),
            **({"init": str(init)} if init is not None else {}),
            **provenance.from_start_to_end(state.started, provenance.environment(command)),
            "settings": provenance.portable(plain(config.final_config_dict)),
        }
        if group.is_main():
            plot_epochs(folder, history, trainer.valid_metric, trainer.best_epoch)
            run_folder.write_result(folder, result)
        tracker.finish(result)
    return Run(folder, result)


@contextmanager
def _kept(
    config: Settings, output_dir: str | os.PathLike[str] | None, resume: bool
) -> Iterator[tuple[Path, logging.Logger, Json | None]]:
    """The run's folder, log, and result if it is finished; of several processes, only the main one writes."""

    def before() -> Json | None:
        return run_folder.read_result(Path(output_dir)) if resume and output_dir is not None else None

    finished = group.from_main(before)
    if finished is not None and not _goes_on(finished, config, Path(output_dir or "")):
        yield Path(output_dir or ""), logging.getLogger(), finished
    elif group.is_main():
        claim = run_folder.claimed(config["model"], config["dataset"], output_dir, resume)
        with claim as folder, logs.logging_to(folder, config["state"] or "INFO") as logger:
            config["checkpoint_dir"] = str(folder)
            yield group.from_main(lambda: folder), logger, None
    else:
        config["checkpoint_dir"] = os.curdir  # RecBole would create any other folder
        for writing in ("log_wandb", "save_dataset", "show_progress"):
            config[writing] = False
        with logs.logging_nowhere() as logger:
            yield group.from_main(Path), logger, None


def _goes_on(finished: Json, config: Settings, folder: Path) -> bool:
    """Whether a finished run is to go on, with more epochs than it had.

    Raises:
        UserError: it was finished with other settings, or more epochs would change nothing.
    """
    other = differing(finished["settings"], plain(config.final_config_dict))
    if not other:
        return False
    refuse_other_cosine(folder, finished["settings"], other)
    if other != ["epochs"]:
        raise UserError(
            f"{folder} was finished with other settings ({', '.join(other)}); use those, or another folder"
        )
    before, now, ran = finished["settings"]["epochs"], config["epochs"], finished["epochs_run"]
    if now < before or ran < before:
        why = (
            f"stopped by itself after {ran} epochs" if ran < before else f"was finished with {before} epochs"
        )
        raise UserError(
            f"the run in {folder} {why}, so that epochs {now} changes nothing; leave epochs at {before}"
        )
    return True


def _built(
    config: Settings, folder: Path, logger: logging.Logger, init: Path | None
) -> tuple[Loaders, Model, RunTrainer]:
    """The loaders, the model and its trainer, each seeded for itself."""
    init_seed(config["seed"], config["reproducibility"])
    loaders = _load(config, folder, logger)
    init_seed(config["seed"], config["reproducibility"])
    model = build_model(config, loaders[0]._dataset)
    logger.info(model)
    if init is not None:
        logger.info(f"the weights are those of {init}: {take_weights(model, loaders[0]._dataset, init)}")
    trainer = build_trainer(config, model)
    if not group.is_main():  # all ranks build the same, but from here on each draws its own numbers
        init_seed(config["seed"] + group.rank(), config["reproducibility"])
    return loaders, model, trainer


def _fitted(
    trainer: RunTrainer, loaders: Loaders, state: Resume, callback: Callable[[int, float], None] | None
) -> tuple[dict[str, float], list[Json]]:
    """Train the model; the validation metrics of its best epoch, and the record of all epochs."""
    train_data, valid_data, _ = loaders
    show = trainer.config["show_progress"]
    try:
        _, valid = trainer.fit(train_data, valid_data, show_progress=show, callback_fn=callback)
    except KeyboardInterrupt as stop:
        stop.args = (state.how_to_go_on(),)
        raise
    finally:  # an interrupted run keeps its record
        history = [plain(row) for row in trainer.history]
        if group.is_main():
            run_folder.write_epochs(state.folder, history)
    return valid, history


def _load(config: Settings, folder: Path, logger: logging.Logger) -> Loaders:
    """The loaders of the three parts; RecBole's errors about bad data settings become a sentence."""
    try:
        file = folder / IDS
        before = group.from_main(lambda: Identity.read(file) if file.exists() else None)
        dataset = build_dataset(config, before.ids if before else None)
        logger.info(dataset)
        loaders = build_loaders(config, dataset)
        tell_of_masked(*loaders[1:])
        _identify(dataset, before, folder)
        return loaders
    except UserError:
        raise
    except (AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"RecBole cannot prepare data set '{config['dataset']}' with these settings: "
            f"{type(error).__name__}: {error} (--debug shows where)"
        ) from error


def _identify(dataset: Any, before: Identity | None, folder: Path) -> None:
    """Keep which data a run is trained on, or compare them with those that it began with.

    Raises:
        UserError: the run began with other data.
    """
    if before is not None:
        before.check(dataset, folder)
    elif group.is_main() and isinstance(dataset, SequenceDataset):
        write_whole(folder / IDS, dataset.identity().save)


def _keep(
    folder: Path, state: Resume, trainer: RunTrainer, train_data: Loader, tracker: Tracker, epoch: int
) -> None:
    """Save what is known before an epoch, for anyone who watches the run and for resuming it."""
    if group.is_main():
        history = [plain(row) for row in trainer.history]
        run_folder.write_epochs(folder, history)
        tracker.epochs(history)
    state.before_epoch(trainer, train_data, epoch)

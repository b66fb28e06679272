"""The one path that builds, trains and evaluates; everything else calls it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable

from recbole.utils import init_seed

from ..data.loader import MaskedEvalLoader
from ..errors import UserError
from ..evaluation import cost, slices
from ..parallel import group
from ..runs import folder as run_folder
from ..runs import logs, provenance
from ..runs.plain import plain
from ..runs.plots import plot_epochs
from .build import build_dataset, build_loaders, build_model, build_trainer
from .fit_memory import fit_memory
from .load import Loaded, load_run
from .resume import Resume


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything was written.
        result: what ``result.json`` holds.
    """

    folder: Path
    result: dict[str, Any]

    @cached_property
    def _loaded(self) -> Loaded:
        return load_run(self.folder)

    @property
    def config(self) -> Any:
        """The settings, read back from the checkpoint."""
        return self._loaded.config

    @property
    def model(self) -> Any:
        """The model of the best epoch, on the run's device."""
        return self._loaded.model

    @property
    def dataset(self) -> Any:
        """The whole data set, as loaded and filtered."""
        return self._loaded.dataset

    @property
    def loaders(self) -> tuple[Any, Any, Any]:
        """The training, validation and test loaders."""
        return self._loaded.loaders


def read_run(folder: str | os.PathLike[str]) -> Run:
    """The finished run in a folder; model and data are loaded when asked for.

    Raises:
        UserError: the folder holds no finished run.
    """
    result = run_folder.read_result(Path(folder))
    if result is None:
        raise UserError(f"{folder} holds no finished run; name a folder with a result.json")
    return Run(Path(folder), result)


def run(
    config: Any,
    output_dir: str | os.PathLike[str] | None = None,
    callback: Callable[[int, float], None] | None = None,
    resume: bool = False,
    command: Sequence[str] | None = None,
) -> Run:
    """Train ``config['model']`` on ``config['dataset']`` and test its best epoch.

    Several processes (see :mod:`recbole_mqsa.parallel.group`) call it alike; all get the result.

    Args:
        config: :class:`recbole_mqsa.Config`; changed only in where checkpoints go.
        output_dir: the run's folder; by default a new one below ``runs/``.
        callback: called after each evaluation with the epoch and its validation score; it may raise
            to end the run (a tuner's pruning).
        resume: whether ``output_dir`` may hold this run already: a finished one is returned as it is, an
            interrupted one goes on from its latest state.
        command: what is recorded as the command; by default that of the process.

    Raises:
        UserError: bad data, a model that needs other data, or ``output_dir`` holds a run.
    """
    begun = time.perf_counter()
    with group.joined(config), _kept(config, output_dir, resume) as (folder, logger, finished):
        if finished is not None:
            return Run(folder, finished)
        started = provenance.environment(command)
        logger.info(config)
        init_seed(config["seed"], config["reproducibility"])
        train_data, valid_data, test_data = _load(config, logger)

        init_seed(config["seed"], config["reproducibility"])
        model = build_model(config, train_data._dataset)
        logger.info(model)
        trainer = build_trainer(config, model)
        trainer.saved_model_file = str(folder / run_folder.CHECKPOINT)
        if not group.is_main():  # all build the same; what is drawn from here on is each one's own
            init_seed(config["seed"] + group.rank(), config["reproducibility"])
        state = Resume(folder, config, started)
        state.load(trainer, train_data)
        trainer.before_epoch = lambda epoch: _keep(folder, state, trainer, train_data, epoch)
        show, prepared = config["show_progress"], time.perf_counter()
        try:
            _, valid = trainer.fit(train_data, valid_data, show_progress=show, callback_fn=callback)
        finally:  # what an interrupted run has learnt is worth keeping
            history = [plain(row) for row in trainer.history]
            if group.is_main():
                run_folder.write_epochs(folder, history)
        fitted = fit_memory(trainer, train_data, valid_data)
        start = time.perf_counter()
        test = trainer.evaluate(test_data, show_progress=show)
        test_seconds = time.perf_counter() - start
        trainer.tensorboard.close()

        result = {
            "model": config["model"],
            "dataset": config["dataset"],
            "seed": config["seed"],
            "best_epoch": trainer.best_epoch,
            "epochs_run": len(history),
            "valid": plain(valid),
            "test": plain(test),
            **plain(fitted),
            **_by_sample(config, folder, train_data, test_data, trainer.eval_collector.ranks),
            "users": {"valid": _users(valid_data), "test": _users(test_data)},
            "seconds": {
                "preparation": prepared - begun,
                "training": sum(row["train_seconds"] for row in history),
                "validation": sum(row.get("valid_seconds", 0.0) for row in history),
                "test": test_seconds,
            },
            "peak_memory_bytes": state.peak_memory_bytes(),
            "parameters": cost.parameters(model),
            "flops": cost.scoring_flops(model, test_data),
            **provenance.from_start_to_end(state.started, provenance.environment(command)),
            "settings": provenance.portable(plain(config.final_config_dict)),
        }
        if group.is_main():
            plot_epochs(folder, history, trainer.valid_metric, trainer.best_epoch)
            run_folder.write_result(folder, result)
            state.finish()
    return Run(folder, result)


@contextmanager
def _kept(
    config: Any, output_dir: str | os.PathLike[str] | None, resume: bool
) -> Iterator[tuple[Path, logging.Logger, dict[str, Any] | None]]:
    """The run's folder, log, and result if it has one; of several processes, only the main one writes."""

    def before() -> dict[str, Any] | None:
        return run_folder.read_result(Path(output_dir)) if resume and output_dir is not None else None

    finished = group.from_main(before)
    if finished is not None:
        yield Path(output_dir or ""), logging.getLogger(), finished
    elif group.is_main():
        claim = run_folder.claimed(config["model"], config["dataset"], output_dir, resume)
        with claim as folder, logs.logging_to(folder, config["state"] or "INFO") as logger:
            config["checkpoint_dir"] = str(folder)
            yield group.from_main(lambda: folder), logger, None
    else:
        config["checkpoint_dir"] = os.curdir  # RecBole would make any other
        for writing in ("log_wandb", "save_dataset", "show_progress"):
            config[writing] = False
        with logs.logging_nowhere() as logger:
            yield group.from_main(Path), logger, None


def _load(config: Any, logger: logging.Logger) -> tuple[Any, Any, Any]:
    """The loaders of the three parts; what RecBole says of bad data settings becomes a sentence."""
    try:
        dataset = build_dataset(config)
        logger.info(dataset)
        return build_loaders(config, dataset)
    except UserError:
        raise
    except (AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"RecBole cannot prepare data set '{config['dataset']}' with these settings: "
            f"{type(error).__name__}: {error} (--debug shows where)"
        ) from error


def _keep(folder: Path, state: Resume, trainer: Any, train_data: Any, epoch: int) -> None:
    """What is known before an epoch, for those who look at the run and for resuming it."""
    if group.is_main():
        run_folder.write_epochs(folder, [plain(row) for row in trainer.history])
    state.before_epoch(trainer, train_data, epoch)


def _by_sample(config: Any, folder: Path, train_data: Any, test_data: Any, ranks: Any) -> dict[str, Any]:
    """Writes the rank of each test sample; their metrics by slice. Nothing where not all items are ranked."""
    test = test_data._dataset
    if not isinstance(test_data, MaskedEvalLoader) or len(ranks) != len(test):
        return {}
    counts = train_data._dataset.transition_counts(longest=slices.LONGEST)
    frequency = slices.transition_frequency(counts, test)
    if group.is_main():
        run_folder.write_ranks(folder, test.inter_feat[test.uid_field], ranks, frequency)
    return {"slices": plain(slices.by_transition_frequency(config, frequency, ranks))}


def _users(eval_data: Any) -> int:
    """How many users an evaluation counts."""
    return int(eval_data._dataset.inter_feat[eval_data._dataset.uid_field].unique().numel())

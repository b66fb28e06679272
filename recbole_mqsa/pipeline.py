"""The one path that builds, trains and evaluates; everything else calls it."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from . import run_folder
from .errors import UserError
from .plain_data import plain
from .registry import MODELS


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything was written.
        result: what ``result.json`` holds.
    """

    folder: Path
    result: dict[str, Any]


def run(
    config: Any,
    output_dir: str | os.PathLike[str] | None = None,
    callback: Callable[[int, float], None] | None = None,
) -> Run:
    """Trains ``config['model']`` on ``config['dataset']`` and tests its best epoch.

    Args:
        config: :class:`recbole_mqsa.config.Config`; changed only in where checkpoints go.
        output_dir: the run's folder; by default a new one below ``runs/``.
        callback: called after each evaluation with the epoch and its validation score; it may raise
            to end the run (a tuner's pruning).

    Raises:
        UserError: bad data, a model that is not of this package, or ``output_dir`` holds a run.
    """
    if config["model"] not in MODELS:
        raise UserError(
            f"model '{config['model']}' is RecBole's own, and this command runs {', '.join(MODELS)}; "
            "run it with recbole.quick_start.run_recbole after importing recbole_mqsa"
        )
    claim = run_folder.claimed(config["model"], config["dataset"], output_dir)
    with claim as folder, run_folder.logging_to(folder, config["state"] or "INFO") as logger:
        config["checkpoint_dir"] = str(folder)
        logger.info(config)
        init_seed(config["seed"], config["reproducibility"])
        train_data, valid_data, test_data = _load(config, logger)

        init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
        model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
        logger.info(model)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        trainer.saved_model_file = str(folder / run_folder.CHECKPOINT)
        show = config["show_progress"]
        try:
            trained = _timed(
                lambda: trainer.fit(train_data, valid_data, show_progress=show, callback_fn=callback)
            )
        finally:  # what an interrupted run has learnt is worth keeping
            history = [plain(row) for row in trainer.history]
            run_folder.write_epochs(folder, history)
        tested = _timed(lambda: trainer.evaluate(test_data, show_progress=show))
        trainer.tensorboard.close()

        result = {
            "model": config["model"],
            "dataset": config["dataset"],
            "seed": config["seed"],
            "best_epoch": trainer.best_epoch,
            "epochs_run": len(history),
            "valid": plain(trained.value[1]),
            "test": plain(tested.value),
            "users": {"valid": _users(valid_data), "test": _users(test_data)},
            "seconds": {
                "training": sum(row["train_seconds"] for row in history),
                "training_and_validation": trained.seconds,
                "test": tested.seconds,
            },
            "peak_memory_bytes": run_folder.peak_memory_bytes(),
            **run_folder.environment(),
            "settings": run_folder.portable(plain(config.final_config_dict)),
        }
        run_folder.plot_epochs(folder, history, trainer.valid_metric, trainer.best_epoch)
        run_folder.write_result(folder, result)
    return Run(folder, result)


def _load(config: Any, logger: logging.Logger) -> tuple[Any, Any, Any]:
    """The loaders of the three parts; what RecBole says of bad data settings becomes a sentence."""
    try:
        dataset = create_dataset(config)
        logger.info(dataset)
        return data_preparation(config, dataset)
    except UserError:
        raise
    except (AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"RecBole cannot prepare data set '{config['dataset']}' with these settings: "
            f"{type(error).__name__}: {error} (--debug shows where)"
        ) from error


@dataclass(frozen=True)
class _Timed:
    value: Any
    seconds: float


def _timed(work: Callable[[], Any]) -> _Timed:
    start = time.perf_counter()
    value = work()
    return _Timed(value, time.perf_counter() - start)


def _users(eval_data: Any) -> int:
    """How many users an evaluation counts."""
    return int(eval_data._dataset.inter_feat[eval_data._dataset.uid_field].unique().numel())

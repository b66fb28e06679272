"""RecBole's Trainer with its hooks filled; ``fit`` and ``evaluate`` stay RecBole's."""

from __future__ import annotations

import time
from typing import Any, Callable

import torch
from recbole.trainer import Trainer
from recbole.utils import ModelType, get_trainer

from .errors import UserError
from .evaluation import RankCollector


class RunTrainer(Trainer):
    """Trains and evaluates any model, and remembers what a run's report needs.

    Attributes:
        history: one dict an epoch: its number, losses, seconds, validation metrics where evaluated.
        before_epoch: called with the number of the epoch to come.
    """

    def __init__(self, config: Any, model: Any) -> None:
        super().__init__(config, model)
        self.eval_collector = RankCollector(config)
        self.history: list[dict[str, Any]] = []
        self.before_epoch: Callable[[int], None] | None = None

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, torch.optim.Adam):
            for group in optimizer.param_groups:
                group["fused"] = True  # one pass over each weight instead of a dozen
        return optimizer

    def _check_nan(self, loss: torch.Tensor) -> None:
        if torch.isnan(loss):
            raise UserError("the training loss became NaN; lower learning_rate, or raise tau if it is small")

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose checkpoint is tested: RecBole keeps the latest of equal scores."""
        metric = self.valid_metric
        scored = [row for row in self.history if metric in row]
        if not scored:
            return None
        best = (max if self.valid_metric_bigger else min)(row[metric] for row in scored)
        return [row["epoch"] for row in scored if row[metric] == best][-1]

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> Any:
        if self.before_epoch is not None:
            self.before_epoch(epoch_idx)
        start = time.perf_counter()
        losses = self._train_losses(train_data, epoch_idx, loss_func, show_progress)
        row = {"epoch": epoch_idx, "train_seconds": time.perf_counter() - start}
        self.history.append({**row, **{f"loss_{name}": value for name, value in losses.items()}})
        return tuple(losses.values())

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        """One epoch; the mean over its steps of each part of the loss."""
        total = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        parts = total if isinstance(total, tuple) else (total,)
        return {str(number): part / len(train_data) for number, part in enumerate(parts, start=1)}

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, Any]:
        start = time.perf_counter()
        score, result = super()._valid_epoch(valid_data, show_progress)
        if self.history:
            self.history[-1].update(valid_seconds=time.perf_counter() - start, **result)
        return score, result


def trainer_class(model_type: ModelType, model: str) -> type[RunTrainer]:
    """RecBole's trainer of a model (``get_trainer``) with :class:`RunTrainer` before it in the order of bases."""
    theirs = get_trainer(model_type, model)
    return (
        theirs if issubclass(theirs, RunTrainer) else type(f"Run{theirs.__name__}", (RunTrainer, theirs), {})
    )


class SequenceTrainer(RunTrainer):
    """Trains a model that names the parts of its loss (``losses``) on whole sequences."""

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        names: list[str] = []

        def parts(interaction: Any) -> tuple[torch.Tensor, ...]:
            losses = self.model.losses(interaction)
            names[:] = losses
            return tuple(losses.values())

        totals = super()._train_losses(train_data, epoch_idx, loss_func or parts, show_progress)
        return dict(zip(names, totals.values())) if loss_func is None else totals


class CountingTrainer(RunTrainer):
    """For models that count instead of learning: no steps, and new counts for each evaluation."""

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        return {"counting": 0.0}

    @torch.no_grad()
    def evaluate(self, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
        if eval_data:
            self.model.count(eval_data._dataset)
        return super().evaluate(eval_data, *args, **kwargs)

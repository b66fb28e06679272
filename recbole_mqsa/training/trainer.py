"""RecBole's Trainer with its hooks filled; ``fit`` and ``evaluate`` stay RecBole's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Callable

import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.trainer import Trainer
from torch.nn.utils import parametrize
from tqdm import tqdm

from ..errors import UserError
from ..evaluation.collector import RankCollector
from ..evaluation.ranking import BLOCK_USERS, FEW_USERS
from ..model.memory import attach_memory, memory_of
from ..model.protocols import Factorised
from ..parallel import group
from ..parallel.sharding import own_rows, own_samples, with_batches_of
from ..runs.checkpoints import safe_load
from .averaging import AveragedWeights
from .objective import Objective
from .row_adam import RowAdam
from .schedule import LearningRate
from .steps import use_tensorflow_epsilon


class RunTrainer(Trainer):
    """Trains and evaluates any model, and remembers what a run's report needs.

    Attributes:
        history: one dict an epoch: its number, losses, seconds, validation metrics where evaluated.
        before_epoch: called with the number of the epoch to come.
    """

    def __init__(self, config: Any, model: Any) -> None:
        self.averaging = AveragedWeights(model, config["ema_decay"] or 0.0)
        self.schedule = LearningRate(config)
        super().__init__(config, model)
        self.eval_collector = RankCollector(config)
        self.history: list[dict[str, Any]] = []
        self.before_epoch: Callable[[int], None] | None = None
        self._by_blocks, self._repeated = False, False
        self.objective = Objective(model, config, self._examples)
        _refuse_own_loops(type(self), self.objective, config)
        group.copy_from_main([*model.parameters(), *model.buffers()])

    # Several processes: each takes its own part of the data, and only the main one writes.

    def _examples(self, interaction: Any) -> int:
        """How many examples the loss of a batch is a mean over."""
        return len(interaction)

    def fit(self, train_data: Any, *args: Any, **kwargs: Any) -> Any:
        attach_memory(self.model, self.config, train_data._dataset)
        return super().fit(own_rows(train_data), *args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        if group.is_main():
            with self.averaging.applied():
                super()._save_checkpoint(*args, **kwargs)

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: Any = None,
        show_progress: bool = False,
    ) -> Any:
        if eval_data and load_best_model:
            self.averaging.restart()  # what is loaded is an average already
        if eval_data and group.size() > 1:
            if load_best_model:
                self._receive_best(model_file or self.saved_model_file)
            eval_data, load_best_model = own_samples(eval_data), False
        self._by_blocks = self._is_too_large(eval_data)
        if self._by_blocks:
            eval_data = with_batches_of(eval_data, min(BLOCK_USERS, self.config["eval_batch_size"]))
        with self.averaging.applied():
            return super().evaluate(eval_data, load_best_model, model_file, show_progress)

    def _receive_best(self, file: Any) -> None:
        """The main process's checkpoint for all: the others may be on machines that do not have the file."""

        def read() -> dict[str, Any]:
            checkpoint = safe_load(file, "cpu")
            return {name: checkpoint.get(name) for name in ("state_dict", "other_parameter")}

        best = group.from_main(read)
        self.model.load_state_dict(best["state_dict"])
        self.model.load_other_parameter(best["other_parameter"])

    # Everything else is for one process as for several.

    def _is_too_large(self, eval_data: Any) -> bool:
        """Whether to rank by blocks of items: the loader takes few users at once, as there are so many items."""
        possible = isinstance(self.model, Factorised) and self.eval_collector.blocks_suffice
        few = min(FEW_USERS, self.config["eval_batch_size"])
        return possible and isinstance(eval_data, FullSortEvalDataLoader) and eval_data.step < few

    def _full_sort_batch_eval(self, batched_data: Any) -> Any:
        """RecBole's scores of a batch; of a large catalogue what the metrics read of them."""
        with parametrize.cached():  # smoothed embeddings are smoothed once
            if self._by_blocks:
                return self._ranked(batched_data)
            interaction, scores, *positive = super()._full_sort_batch_eval(batched_data)
        memory = memory_of(self.model)
        if memory is not None:
            scores = memory.add(scores, batched_data[0], self._repeated)
        return interaction, scores, *positive

    def _ranked(self, batched_data: Any) -> Any:
        interaction, seen, positive_u, positive_i = batched_data
        interaction, target = interaction.to(self.device), positive_i.to(self.device)
        seen = seen if seen is None else tuple(index.to(self.device) for index in seen)
        states, items = self.model.factors(interaction)
        memory = memory_of(self.model)
        raised = None
        if memory is not None:
            raised = tuple(part.to(self.device) for part in memory.bonus(batched_data[0]))
        best = self.eval_collector.by_blocks(states, items, target, seen, raised)
        return interaction, best, positive_u, positive_i

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, torch.optim.Adam):
            for parameters in optimizer.param_groups:
                parameters["fused"] = True  # one pass over each weight instead of a dozen
        optimizer = self._adapted(optimizer)
        self.averaging.follow(optimizer)
        self.schedule.follow(optimizer)
        if self.config["adam_epsilon"] == "tensorflow":
            use_tensorflow_epsilon(optimizer)
        return optimizer

    def _adapted(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """RecBole's optimiser, or one of ours of the same settings in its place."""
        return optimizer

    def progress(self) -> dict[str, Any]:
        """What a resumed run needs besides weights, optimiser and counters."""
        return {"averaging": self.averaging.state_dict(), "schedule": self.schedule.state_dict()}

    def load_progress(self, progress: dict[str, Any]) -> None:
        """Goes on from what :meth:`progress` returned."""
        self.averaging.load_state_dict(progress["averaging"])
        self.schedule.load_state_dict(progress["schedule"])

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
        rate = self.schedule.of_epoch()
        self.history.append({**row, **{f"loss_{name}": value for name, value in losses.items()}, **rate})
        self.schedule.after_epoch()
        return tuple(losses.values())

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        """One epoch; the mean over its steps of each part of the loss."""
        loss = self.objective if loss_func is None else self.objective.around(loss_func)
        total = super()._train_epoch(train_data, epoch_idx, loss, show_progress)
        return self._means(total if isinstance(total, tuple) else (total,), train_data)

    def _means(self, totals: Sequence[float], train_data: Any) -> dict[str, float]:
        """The mean over an epoch's steps, and over all ranks, of each part of the loss."""
        names = self.objective.names
        if len(names) != len(totals):  # a trainer of RecBole's that ends an epoch in its own way
            names = [str(number) for number in range(1, len(totals) + 1)]
        sums = group.sum_over_ranks(totals)
        return {name: total / len(train_data) for name, total in zip(names, sums)}

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, Any]:
        start = time.perf_counter()
        self._repeated = True
        try:
            score, result = super()._valid_epoch(valid_data, show_progress)
        finally:
            self._repeated = False
        if self.history:
            self.history[-1].update(valid_seconds=time.perf_counter() - start, **result)
        self.schedule.after_evaluation(score)
        return score, result


def _refuse_own_loops(trainer: type, objective: Objective, config: Any) -> None:
    """Some of RecBole's trainers take their model's loss as it is, whatever they are given.

    Raises:
        UserError: more than the model's own loss is asked for from such a trainer.
    """
    loops = [
        base for base in trainer.__mro__ if "_train_epoch" in vars(base) and not issubclass(base, RunTrainer)
    ]
    if loops[0] is not Trainer and not objective.is_plain:
        raise UserError(
            f"RecBole trains {config['model']} in a loop of its own, which takes no other loss; leave out transition "
            "and nproc"
        )


class SequenceTrainer(RunTrainer):
    """Trains a model that names the parts of its loss (``losses``) on whole sequences."""

    def _adapted(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return RowAdam(optimizer.param_groups) if self.config["sparse_gradients"] else optimizer

    def _examples(self, interaction: Any) -> int:
        return int(interaction[self.model.ITEM_SEQ_LEN].sum())

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        waits = loss_func is not None or self.enable_scaler
        epoch = super()._train_losses if waits else self._without_waiting
        with self._fast_products():
            return epoch(train_data, epoch_idx, loss_func, show_progress)

    def _without_waiting(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        """RecBole's epoch, which asks for the loss at each step, so that a GPU never runs ahead of the program;
        here a GPU is asked at the end of the epoch."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        for interaction in tqdm(train_data, f"Train {epoch_idx:>5}", ncols=100, disable=not show_progress):
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, enabled=self.enable_amp):
                losses = torch.stack(self.objective(interaction.to(self.device)))
            if self.device.type == "cpu":
                self._check_nan(losses.sum())
            losses.sum().backward()
            if self.clip_grad_norm:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), **self.clip_grad_norm)
            self.optimizer.step()
            total = total + losses.detach().double()
        self._check_nan(total.sum())
        return self._means(total.tolist(), train_data)

    @contextmanager
    def _fast_products(self) -> Iterator[None]:
        """While a model trains, a GPU may round the factors of float32 products (TF32), unless asked not to."""
        before = torch.get_float32_matmul_precision()
        if self.device.type == "cuda" and self.config["softmax_precision"] != "float32":
            torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


class CountingTrainer(RunTrainer):
    """For models that count instead of learning: no steps, one epoch, and new counts for each evaluation."""

    def __init__(self, config: Any, model: Any) -> None:
        super().__init__(config, model)
        self.epochs = min(1, config["epochs"])  # a data set's file may name more

    def _train_losses(
        self, train_data: Any, epoch_idx: int, loss_func: Any, show_progress: bool
    ) -> dict[str, float]:
        return {"counting": 0.0}

    @torch.no_grad()
    def evaluate(self, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
        if eval_data:
            self.model.count(eval_data._dataset)
        return super().evaluate(eval_data, *args, **kwargs)

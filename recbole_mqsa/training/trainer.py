"""RecBole's Trainer with some of its hooks overridden; ``fit`` and ``evaluate`` do what RecBole's do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Callable, Union

import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.trainer import Trainer
from torch import Tensor
from torch.nn.utils import parametrize
from tqdm import tqdm

from ..errors import UserError
from ..evaluation.collector import BestOfBlocks, RankCollector
from ..evaluation.metrics import RunEvaluator
from ..evaluation.ranking import BLOCK_USERS, FEW_USERS, Seen
from ..interfaces import Batch, Json, Loader, Model, Settings
from ..model.memory import attach_memory, memory_of
from ..model.protocols import Factorised
from ..parallel import group
from ..parallel.sharding import own_rows, own_samples, with_batches_of
from ..runs.checkpoints import safe_load
from .averaging import AveragedWeights
from .objective import Loss, Objective, examples_in
from .row_adam import RowAdam
from .schedule import LearningRate
from .steps import use_tensorflow_epsilon

Scores = tuple[Batch, Union[Tensor, BestOfBlocks], Tensor, Tensor]
"""A batch, its scores, and rows and items of the targets."""


class RunTrainer(Trainer):
    """Trains and evaluates any model, and records what the run's report needs.

    Attributes:
        history: for each epoch its number, losses, seconds, and validation metrics if evaluated.
        before_epoch: called with the number of the next epoch.
    """

    def __init__(self, config: Settings, model: Model) -> None:
        self.averaging = AveragedWeights(model, config["ema_decay"] or 0.0)
        self.schedule = LearningRate(config)
        super().__init__(config, model)
        self.eval_collector, self.evaluator = RankCollector(config), RunEvaluator(config)
        self.history: list[Json] = []
        self.before_epoch: Callable[[int], None] | None = None
        self._by_blocks, self._repeated = False, False
        self._epoch, self._steps_before = 0, 0
        self.objective = Objective(model, config, self._examples)
        _refuse_own_loops(type(self), self.objective, config)
        group.copy_from_main([*model.parameters(), *model.buffers()])

    # Several processes: each takes its own shard of the data, and only the main one writes.

    def _examples(self, interaction: Batch) -> int:
        """The number of examples that the loss of a batch is a mean over."""
        return examples_in(interaction, self.config)

    def fit(self, train_data: Loader, *args: object, **kwargs: object) -> tuple[float, dict[str, float]]:
        attach_memory(self.model, self.config, train_data._dataset)
        if self._has_ended():
            return self.best_valid_score, self.best_valid_result
        return super().fit(own_rows(train_data), *args, **kwargs)

    def _has_ended(self) -> bool:
        """Whether this training, resumed, had ended before: RecBole would save its last weights as the best ones."""
        stopped = self.stopping_step is not None and self.cur_step > self.stopping_step
        return bool(self.history) and (self.start_epoch >= self.epochs or stopped)

    def _save_checkpoint(self, *args: object, **kwargs: object) -> None:
        if group.is_main():
            with self.averaging.applied():
                super()._save_checkpoint(*args, **kwargs)

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: Loader,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> dict[str, float] | None:
        if eval_data and load_best_model:
            self.averaging.restart()  # what is loaded is an average already
        if eval_data and group.size() > 1:
            if load_best_model:
                self._receive_best(model_file or self.saved_model_file)
            eval_data, load_best_model = own_samples(eval_data), False
        if eval_data:  # a loaded model is tested without a call of fit, which would count
            self.eval_collector.data_collect(eval_data)
        self._by_blocks = self._is_too_large(eval_data)
        if self._by_blocks:
            eval_data = with_batches_of(eval_data, min(BLOCK_USERS, self.config["eval_batch_size"]))
        with self.averaging.applied():
            return super().evaluate(eval_data, load_best_model, model_file, show_progress)

    def _receive_best(self, file: str) -> None:
        """Load the checkpoint of the main process on all ranks, as other machines may not have the file."""

        def read() -> Json:
            checkpoint = safe_load(file, "cpu")
            return {name: checkpoint.get(name) for name in ("state_dict", "other_parameter")}

        best = group.from_main(read)
        self.model.load_state_dict(best["state_dict"])
        self.model.load_other_parameter(best["other_parameter"])

    # Everything below is the same for one process and for several.

    def _is_too_large(self, eval_data: Loader) -> bool:
        """Whether to rank by blocks of items: with very many items the loader takes few users at once."""
        possible = isinstance(self.model, Factorised) and self.eval_collector.blocks_suffice
        few = min(FEW_USERS, self.config["eval_batch_size"])
        return possible and isinstance(eval_data, FullSortEvalDataLoader) and eval_data.step < few

    def _full_sort_batch_eval(self, batched_data: tuple[Batch, Seen | None, Tensor, Tensor]) -> Scores:
        """RecBole's scores of a batch; for a large catalogue only what the metrics need of them."""
        with parametrize.cached():  # so that embeddings are smoothed once
            if self._by_blocks:
                return self._ranked(*batched_data)
            interaction, scores, *positive = super()._full_sort_batch_eval(batched_data)
        memory = memory_of(self.model)
        if memory is not None:
            scores = memory.add(scores, batched_data[0], self._repeated)
        return interaction, scores, *positive

    def _ranked(
        self, interaction: Batch, seen: Seen | None, positive_u: Tensor, positive_i: Tensor
    ) -> Scores:
        memory = memory_of(self.model)
        raised = None if memory is None else memory.bonus(interaction).to(self.device)
        interaction, target = interaction.to(self.device), positive_i.to(self.device)
        seen = None if seen is None else (seen[0].to(self.device), seen[1].to(self.device))
        states, items = self.model.factors(interaction)
        best = self.eval_collector.by_blocks(states, items, target, seen, raised)
        return interaction, best, positive_u, positive_i

    def _build_optimizer(self, **kwargs: object) -> torch.optim.Optimizer:
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

    def progress(self) -> Json:
        """What a resumed run needs besides weights, optimiser and counters."""
        return {"averaging": self.averaging.state_dict(), "schedule": self.schedule.state_dict()}

    def load_progress(self, progress: Json) -> None:
        """Go on from what :meth:`progress` returned."""
        self.averaging.load_state_dict(progress["averaging"])
        self.schedule.load_state_dict(progress["schedule"])

    def _check_nan(self, loss: torch.Tensor) -> None:
        """Refuse to go on with a loss that is no number; RecBole asks at each step."""
        if not torch.isfinite(loss):
            raise UserError(self._diverged(f"the training loss became {loss.item()}"))

    def _check_weights(self) -> None:
        """Refuse weights that are no numbers: the last step of an epoch is followed by no loss that would tell."""
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise UserError(self._diverged(f"weights became NaN or infinite ({name})"))

    def _diverged(self, what: str) -> str:
        step, rate = self.objective.steps - self._steps_before, self.optimizer.param_groups[0]["lr"]
        where = f"{what} by step {step} of epoch {self._epoch} with learning_rate {rate:g}"
        best = self.best_epoch
        kept = "" if best is None else f"; {self.saved_model_file} keeps the best epoch, {best}"
        return f"{where}; train anew with a lower learning_rate, or a higher tau if it is small{kept}"

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose checkpoint is tested: of equal scores RecBole keeps the latest."""
        metric = self.valid_metric
        scored = [row for row in self.history if metric in row]
        if not scored:
            return None
        best = (max if self.valid_metric_bigger else min)(row[metric] for row in scored)
        return [row["epoch"] for row in scored if row[metric] == best][-1]

    def _train_epoch(
        self, train_data: Loader, epoch_idx: int, loss_func: Loss | None = None, show_progress: bool = False
    ) -> tuple[float, ...]:
        if self.before_epoch is not None:
            self.before_epoch(epoch_idx)
        self._epoch, self._steps_before = epoch_idx, self.objective.steps
        start = time.perf_counter()
        losses = self._train_losses(train_data, epoch_idx, loss_func, show_progress)
        self._check_weights()
        row = {"epoch": epoch_idx, "train_seconds": time.perf_counter() - start}
        rate = self.schedule.of_epoch()
        self.history.append({**row, **{f"loss_{name}": value for name, value in losses.items()}, **rate})
        self.schedule.after_epoch()
        return tuple(losses.values())

    def _train_losses(
        self, train_data: Loader, epoch_idx: int, loss_func: Loss | None, show_progress: bool
    ) -> dict[str, float]:
        """Train one epoch; the mean of each part of the loss over its steps."""
        loss = self.objective if loss_func is None else self.objective.around(loss_func)
        total = super()._train_epoch(train_data, epoch_idx, loss, show_progress)
        return self._means(total if isinstance(total, tuple) else (total,), train_data)

    def _means(self, totals: Sequence[float], train_data: Loader) -> dict[str, float]:
        """The mean of each part of the loss over the steps of an epoch, for all ranks together."""
        names = self.objective.names
        if len(names) != len(totals):  # RecBole's trainer of this model sums its losses in its own way
            names = [str(number) for number in range(1, len(totals) + 1)]
        sums = group.sum_over_ranks(totals)
        return {name: total / len(train_data) for name, total in zip(names, sums)}

    def _valid_epoch(self, valid_data: Loader, show_progress: bool = False) -> tuple[float, dict[str, float]]:
        start = time.perf_counter()
        self._repeated = True
        try:
            score, result = super()._valid_epoch(valid_data, show_progress)
        finally:
            self._repeated = False
        if self.history:
            self.history[-1].update(valid_seconds=time.perf_counter() - start, **result)
        for name, value in result.items():
            self.tensorboard.add_scalar(f"valid/{name}", value, self._epoch)
        self.schedule.after_evaluation(score)
        return score, result


def _refuse_own_loops(trainer: type, objective: Objective, config: Settings) -> None:
    """Refuse a trainer of RecBole's that ignores the loss that it is given, if that is not the model's own.

    Raises:
        UserError: the settings ask such a trainer for more than the model's own loss.
    """
    loops = [
        base for base in trainer.__mro__ if "_train_epoch" in vars(base) and not issubclass(base, RunTrainer)
    ]
    if loops[0] is not Trainer and not objective.is_models_own:
        raise UserError(
            f"RecBole trains {config['model']} in a loop of its own, which takes no other loss; leave out transition "
            "and nproc"
        )


class SequenceTrainer(RunTrainer):
    """Trains a model that names the parts of its loss (``losses``) on whole sequences."""

    def _adapted(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return RowAdam(optimizer.param_groups) if self.config["sparse_gradients"] else optimizer

    def _examples(self, interaction: Batch) -> int:
        return int(interaction[self.model.ITEM_SEQ_LEN].sum())

    def _train_losses(
        self, train_data: Loader, epoch_idx: int, loss_func: Loss | None, show_progress: bool
    ) -> dict[str, float]:
        recboles = loss_func is not None or self.enable_scaler
        epoch = super()._train_losses if recboles else self._without_synchronising
        with fast_products(self.device, self.config["softmax_precision"]):
            return epoch(train_data, epoch_idx, loss_func, show_progress)

    def _without_synchronising(
        self, train_data: Loader, epoch_idx: int, loss_func: Loss | None, show_progress: bool
    ) -> dict[str, float]:
        """RecBole's epoch, but reading the loss only at its end.

        RecBole reads it at each step, which synchronises with a GPU every time.
        """
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
def fast_products(device: torch.device, softmax_precision: str) -> Iterator[None]:
    """Within, let a GPU round the factors of float32 products (TF32), unless the settings ask for float32."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and softmax_precision != "float32":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class CountingTrainer(RunTrainer):
    """Trains models that count instead of learning: no steps, one epoch, and new counts for each evaluation.

    Of a model with ``count_validation`` False, all evaluations see the counts of the training part.
    """

    def __init__(self, config: Settings, model: Model) -> None:
        super().__init__(config, model)
        self.epochs = min(1, config["epochs"])  # a data set's file may ask for more

    def _train_losses(
        self, train_data: Loader, epoch_idx: int, loss_func: Loss | None, show_progress: bool
    ) -> dict[str, float]:
        return {"counting": 0.0}

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: Loader,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> dict[str, float] | None:
        if eval_data and getattr(self.model, "count_validation", True):
            self.model.count(eval_data._dataset)
        return super().evaluate(eval_data, load_best_model, model_file, show_progress)

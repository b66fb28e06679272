"""The numbers of a transition memory, chosen on the validation part once a model is trained (``memory_fit``)."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Union

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..data.dataset import SequenceDataset
from ..errors import UserError
from ..evaluation import memory_fit
from ..evaluation.collector import metrics_of_ranks
from ..evaluation.memory_fit import GRID, BatchOfCandidates, Histories
from ..evaluation.ranking import BLOCK_USERS, Seen, best_items, top_items_by_blocks
from ..interfaces import Batch, Json, Loader
from ..model.memory import Memory, MemoryNumbers
from ..parallel import group
from ..parallel.sharding import own_samples, with_batches_of
from ..runs.atomic import write_whole
from ..runs.checkpoints import safe_load
from .trainer import RunTrainer

EvalBatch = tuple[Batch, Union[Seen, None], Tensor, Tensor]
"""Samples, the scores to leave out, rows and items of the targets."""
ScoresAt = Callable[[Tensor, Tensor], Tensor]
"""Scores without a memory at rows and items [N]."""
START = 0.5
"""The strength from which a memory is looked for that training had none of."""
KEPT_SOURCES = 8
"""Counts of different spans and decays that are held at once."""


@torch.no_grad()
def fit_memory(trainer: RunTrainer, train_data: Loader, valid_data: Loader) -> Json:
    """Give the best epoch's model the memory that is best on validation, and its checkpoint the same numbers.

    Every process of a run calls it. Nothing of the test part is read.

    Returns:
        What ``result.json`` says in place of the training's: ``memory`` (what was tried and chosen) and ``valid`` (the
        metrics with what was chosen); nothing without ``memory_fit``.

    Raises:
        UserError: there is no validation part.
    """
    config, begun = trainer.config, time.perf_counter()
    if not config["memory_fit"]:
        return {}
    if not valid_data:
        raise UserError(
            f"memory_fit chooses on the validation part, and eval_args {config['eval_args']} leaves none; use split "
            "LS: valid_and_test, or set memory_fit to False"
        )
    trained = trainer.evaluate(valid_data) or {}  # the best epoch's weights
    given, metric = MemoryNumbers.of(config), trainer.valid_metric
    start = given if given.strength else replace(given, strength=START)
    fit = _Fit(trainer, train_data._dataset, valid_data, start)
    sign = 1 if trainer.valid_metric_bigger else -1
    chosen, tried = memory_fit.climb(start, lambda numbers: sign * fit.metric(numbers))
    trainer.model.scoring_memory = Memory(train_data._dataset, chosen, config["mask_seen"])
    if group.is_main():
        _write_into(Path(trainer.saved_model_file), chosen)
    valid = trainer.evaluate(valid_data) or {}
    record = {
        "metric": metric,
        "given": given.settings(),
        "chosen": chosen.settings(),
        "valid": {"given": float(trained[metric]), "chosen": float(valid[metric])},
        "samples": fit.samples,
        "tried": [{**numbers.settings(), metric: sign * score} for numbers, score in tried.items()],
        "seconds": time.perf_counter() - begun,
    }
    return {"valid": {name: float(value) for name, value in valid.items()}, "memory": record}


def _write_into(file: Path, numbers: MemoryNumbers) -> None:
    """A checkpoint's settings with the chosen numbers, so that whoever loads it has the same scores."""
    checkpoint = safe_load(file)
    checkpoint["config"].update(numbers.settings())
    write_whole(file, lambda draft: torch.save(checkpoint, draft))


class _Fit:
    """The validation samples of this process, and the joint metric of any memory's numbers.

    Args:
        trainer: its model has the weights that are to be tested.
        dataset: the training part.
        valid_data: the validation loader.
        start: the numbers from which the search begins.
    """

    @torch.no_grad()
    def __init__(
        self, trainer: RunTrainer, dataset: SequenceDataset, valid_data: Loader, start: MemoryNumbers
    ) -> None:
        self.trainer, self.dataset, self.config = trainer, dataset, trainer.config
        self.longest = max(self.config["topk"])
        self._source = functools.lru_cache(KEPT_SOURCES)(dataset.transition_memory)
        self.newest, self.span = start.items, max(*map(int, GRID["span"]), start.span)
        trainer.model.scoring_memory = None
        self.batches = list(self._batches(valid_data))
        self.samples = sum(group.gather_objects(sum(len(batch.target) for batch in self.batches)))

    def metric(self, numbers: MemoryNumbers) -> float:
        """The validation metric with a memory of these numbers."""
        ranks = memory_fit.ranks_with(self.batches, self._evidence, numbers, self.longest)
        joint = group.gather_in_order(torch.from_numpy(ranks))
        return float(metrics_of_ranks(self.config, joint)[self.trainer.valid_metric])

    def _evidence(self, histories: Histories, numbers: MemoryNumbers) -> sparse.csr_matrix:
        source, asked = self._source(numbers.span, numbers.decay), (numbers.items, numbers.recency)
        return source.evidence(*histories, *asked, history_left_out=self.config["mask_seen"])

    def _widest(self, histories: Histories) -> sparse.csr_matrix:
        """Evidence of which that of all other numbers is a part, as even the users' own pairs stay in it."""
        source = self._source(self.span, 1.0)
        return source.evidence(*histories, self.newest, 1.0, history_left_out=True)

    def _batches(self, valid_data: Loader) -> Iterator[BatchOfCandidates]:
        loader = own_samples(valid_data)
        large = self.trainer._is_too_large(loader)
        if large:
            loader = with_batches_of(loader, min(BLOCK_USERS, self.config["eval_batch_size"]))
        first = self._widest(self.dataset.histories_of(next(iter(loader))[0]))
        step = max(group.gather_objects(-(-first.nnz * len(loader) // memory_fit.CANDIDATES)))
        for batch in islice(loader, 0, None, max(1, step)):
            yield (self._by_blocks if large else self._at_once)(batch)

    def _at_once(self, batch: EvalBatch) -> BatchOfCandidates:
        self.trainer._by_blocks = False
        _, scores, _, target = self.trainer._full_sort_batch_eval(batch)
        assert isinstance(scores, Tensor)  # as it is told not to rank by blocks
        best = best_items(scores, self.longest)
        own = scores.gather(1, target.to(scores.device)[:, None]).squeeze(1)
        return self._kept(batch, own, best, lambda rows, items: scores[rows, items])

    def _by_blocks(self, batch: EvalBatch) -> BatchOfCandidates:
        samples, seen, _, target = batch
        states, items = self.trainer.model.factors(samples.to(self.trainer.device))
        seen = None if seen is None else (seen[0].to(states.device), seen[1].to(states.device))
        best = top_items_by_blocks(states, items, self.longest, seen)
        hidden = np.empty(0, dtype=np.int64)
        if seen is not None:
            hidden = (seen[0] * len(items) + seen[1]).cpu().numpy()

        def scores_at(rows: Tensor, columns: Tensor) -> Tensor:
            scores = (states[rows] * items[columns]).sum(1)
            left_out = np.isin((rows * len(items) + columns).cpu().numpy(), hidden)
            return scores.masked_fill(torch.from_numpy(left_out).to(scores.device), -torch.inf)

        rows = torch.arange(len(target), device=states.device)
        return self._kept(batch, scores_at(rows, target.to(states.device)), best, scores_at)

    def _kept(
        self, batch: EvalBatch, own: Tensor, best: tuple[Tensor, Tensor], scores_at: ScoresAt
    ) -> BatchOfCandidates:
        histories = self.dataset.histories_of(batch[0])

        def of(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
            at = (torch.from_numpy(index.astype(np.int64)).to(own.device) for index in (rows, items))
            return scores_at(*at).cpu().numpy()

        widest = self._widest(histories)
        lists = best[0].cpu().numpy(), best[1].cpu().numpy()
        return BatchOfCandidates.of(histories, batch[3].numpy(), own.cpu().numpy(), lists, widest, of)

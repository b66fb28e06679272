"""Batches for whole-sequence training and for evaluation over all items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction

from .dataset import SequenceDataset
from .sequences import flatten_spans

SCORE_CELLS = 1 << 21
"""Scores held at once in evaluation: 8 MB in float32, which a processor's cache holds;"""
GPU_SCORE_CELLS = 1 << 27
"""on a GPU 512 MB."""


class SequenceBatch(Interaction):
    """A batch of sequences whose lengths the CPU knows.

    The shapes of a step depend on the lengths. A GPU that is asked for them finishes all its work first, so that
    it would stand still once a step; a plain ``Interaction`` has no room for what stays on the CPU.

    Args:
        fields: by name; each holds a row a sequence.
        known_lengths: [B] the length of each input list, on the CPU; None if unknown.
    """

    def __init__(self, fields: dict[str, torch.Tensor], known_lengths: torch.Tensor | None) -> None:
        super().__init__(fields)
        self.known_lengths = known_lengths

    def to(self, device: Any, selected_field: Any = None) -> SequenceBatch:
        """The same on another device, but for what the CPU knows."""
        return SequenceBatch(super().to(device, selected_field).interaction, self.known_lengths)


class SequenceTrainLoader(AbstractDataLoader):
    """Batches of random whole sequences, each once an epoch, made on the device where the actions are.

    A batch is an ordinary RecBole interaction (input list, its length, the item that follows), one
    row a sequence. The model itself takes every position of the input as a training example.

    Attributes:
        users: [rows] whose each sequence is, on that device.
        lengths: [rows] of its inputs, on the CPU, as shapes depend on them.
    """

    def __init__(self, config: Any, dataset: SequenceDataset, sampler: Any, shuffle: bool = False) -> None:
        begin, end = dataset.training_sequences()
        users = np.searchsorted(dataset.sequences.offsets, begin, side="right") - 1
        self.lengths = torch.from_numpy(end - begin)
        self.items, self.begin, self.end, self.users = (
            torch.from_numpy(array).to(config["device"])
            for array in (dataset.sequences.items, begin, end, users)
        )
        self.sample_size = len(begin)
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def _init_batch_size_and_step(self) -> None:
        self.step = self.config["train_batch_size"]
        self.set_batch_size(self.step)

    def __iter__(self) -> Iterator[Interaction]:
        # torch's own iterator draws a number before the order. So does this one, for the order that a seed gives, and
        # with it every committed result, to be that of RecBole's loaders: half a microsecond an epoch.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        batches = [torch.tensor(rows) for rows in self.batch_sampler]
        there = torch.cat(batches).to(self.begin.device).split([len(rows) for rows in batches])
        return map(self._batch, batches, there)

    def collate_fn(self, index: list[int]) -> Interaction:
        rows = torch.tensor(index)
        return self._batch(rows, rows.to(self.begin.device))

    def _batch(self, rows: torch.Tensor, there: torch.Tensor) -> Interaction:
        """The sequences ``rows`` [B], which are given on the CPU and where the actions are."""
        data, begin, end = self._dataset, self.begin[there], self.end[there]
        lengths = self.lengths[rows]
        place = begin[:, None] + torch.arange(int(lengths.max()), device=begin.device)
        real = place < end[:, None]
        fields = {
            data.uid_field: self.users[there],
            data.item_id_list_field: self.items[place.where(real, 0)] * real,
            data.item_list_length_field: end - begin,
            data.iid_field: self.items[end],
        }
        lengths_stay = self.config["transform"] is None
        return self.transform(data, SequenceBatch(fields, lengths if lengths_stay else None))


class MaskedEvalLoader(FullSortEvalDataLoader):
    """One row a sample, with what the user has already interacted with, to be left out of the ranking.

    RecBole gives sequential models no history and general models one that spares the target; here
    every model gets all actions before the target (training items; at test also the validation
    item), the target itself not spared. ``mask_seen: False`` turns it off.
    """

    def __init__(self, config: Any, dataset: SequenceDataset, sampler: Any, shuffle: bool = False) -> None:
        # RecBole's constructor groups the samples of general models by user; here a sample is a row for all.
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.sample_size = len(dataset)
        AbstractDataLoader.__init__(self, config, dataset, sampler, shuffle=False)

    def _init_batch_size_and_step(self) -> None:
        cells = SCORE_CELLS if self.config["device"].type == "cpu" else GPU_SCORE_CELLS
        self.step = max(1, min(self.config["eval_batch_size"], cells // self._dataset.item_num))
        self.set_batch_size(self.step)

    def seen_index(self, index: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Row and item of every score to leave out, for the samples ``index``; None without a mask."""
        if not self.config["mask_seen"]:
            return None
        flat, row = flatten_spans(*self._dataset.history(index))
        return torch.from_numpy(row), torch.from_numpy(self._dataset.sequences.items[flat])

    def collate_fn(self, index: list[int]) -> tuple[Interaction, Any, torch.Tensor, torch.Tensor]:
        samples = self.transform(self._dataset, self._dataset[index])
        return samples, self.seen_index(np.array(index)), torch.arange(len(samples)), samples[self.iid_field]

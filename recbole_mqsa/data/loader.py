"""Batches for training on whole sequences and for evaluation over all items."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction

from ..interfaces import Settings
from .dataset import Index, SequenceDataset
from .sequences import flatten_spans

SCORE_CELLS = 1 << 21
"""Scores held at once in evaluation on a CPU: 8 MB in float32, which fits its cache."""
GPU_SCORE_CELLS = 1 << 27
"""Scores held at once in evaluation on a GPU: 512 MB in float32."""


Pairs = tuple[torch.Tensor, torch.Tensor]
"""Rows and items of some scores."""


class SequenceBatch(Interaction):
    """A batch of sequences whose lengths the CPU knows.

    The shapes of a step depend on the lengths. Reading these from a GPU would synchronise with it at every step, and
    an ``Interaction`` has no place for what stays on the CPU.

    Args:
        fields: tensors by name, with one row per sequence.
        known_lengths: [B] the length of each input list, on the CPU; None if unknown.
    """

    def __init__(self, fields: dict[str, torch.Tensor], known_lengths: torch.Tensor | None) -> None:
        super().__init__(fields)
        self.known_lengths = known_lengths

    def to(self, device: torch.device, selected_field: str | None = None) -> SequenceBatch:
        """The batch on another device; the lengths stay on the CPU."""
        return SequenceBatch(super().to(device, selected_field).interaction, self.known_lengths)


class SequenceTrainLoader(AbstractDataLoader):
    """Batches of whole sequences in random order, each once per epoch, built on the device that holds the actions.

    A batch is a RecBole interaction (input list, its length, the item that follows) with one row per sequence. The
    model itself takes every position of the input as a training example.

    Attributes:
        users: [rows] the user of each sequence, on that device.
        lengths: [rows] the length of each input, on the CPU, as shapes depend on it.
    """

    def __init__(
        self, config: Settings, dataset: SequenceDataset, sampler: object, shuffle: bool = False
    ) -> None:
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
        # torch's own iterator draws a number before the order. So does this one: then a seed gives the same order as
        # with RecBole's loaders, on which every committed result depends. It costs half a microsecond per epoch.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        batches = [torch.tensor(rows) for rows in self.batch_sampler]
        there = torch.cat(batches).to(self.begin.device).split([len(rows) for rows in batches])
        return map(self._batch, batches, there)

    def collate_fn(self, index: list[int]) -> Interaction:
        rows = torch.tensor(index)
        return self._batch(rows, rows.to(self.begin.device))

    def _batch(self, rows: torch.Tensor, there: torch.Tensor) -> Interaction:
        """The sequences ``rows`` [B]; ``there`` are the same numbers on the device of the actions."""
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


def users_at_once(config: Settings, n_items: int) -> int:
    """How many users are scored together, all items of each."""
    cells = SCORE_CELLS if config["device"].type == "cpu" else GPU_SCORE_CELLS
    return max(1, min(int(config["eval_batch_size"]), cells // n_items))


class MaskedEvalLoader(FullSortEvalDataLoader):
    """One row per sample, with the items that the user has already interacted with, to leave out of the ranking.

    RecBole gives sequential models no history, and general models one that never contains the target. Here every
    model gets all actions before the target (training items; when testing also the validation item), even if the
    target is among them. ``mask_seen: False`` turns this off.
    """

    def __init__(
        self, config: Settings, dataset: SequenceDataset, sampler: object, shuffle: bool = False
    ) -> None:
        # RecBole's constructor groups the samples of general models by user; here every sample is a row.
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.sample_size = len(dataset)
        AbstractDataLoader.__init__(self, config, dataset, sampler, shuffle=False)

    def _init_batch_size_and_step(self) -> None:
        self.step = users_at_once(self.config, self._dataset.item_num)
        self.set_batch_size(self.step)

    def seen_index(self, index: Index) -> Pairs | None:
        """Rows and items of the scores to leave out, for the samples ``index``; None without a mask."""
        if not self.config["mask_seen"]:
            return None
        flat, row = flatten_spans(*self._dataset.history(index))
        return torch.from_numpy(row), torch.from_numpy(self._dataset.sequences.items[flat])

    def collate_fn(self, index: list[int]) -> tuple[Interaction, Pairs | None, torch.Tensor, torch.Tensor]:
        samples = self.transform(self._dataset, self._dataset[index])
        return samples, self.seen_index(np.array(index)), torch.arange(len(samples)), samples[self.iid_field]

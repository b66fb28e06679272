"""Batches for whole-sequence training and for evaluation over all items."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction

from .dataset import SequenceDataset
from .sequences import flatten_spans

SCORE_CELLS = 1 << 21
"""Scores held at once in evaluation: 8 MB in float32, which a processor's cache holds."""


class SequenceTrainLoader(AbstractDataLoader):
    """Batches of random whole sequences, each once an epoch.

    A batch is an ordinary RecBole interaction (input list, its length, the item that follows), one
    row a sequence. The model itself takes every position of the input as a training example.
    """

    def __init__(self, config: Any, dataset: SequenceDataset, sampler: Any, shuffle: bool = False) -> None:
        self.begin, self.end = dataset.training_sequences()
        self.users = np.searchsorted(dataset.sequences.offsets, self.begin, side="right") - 1
        self.sample_size = len(self.begin)
        super().__init__(config, dataset, sampler, shuffle=shuffle)

    def _init_batch_size_and_step(self) -> None:
        self.step = self.config["train_batch_size"]
        self.set_batch_size(self.step)

    def collate_fn(self, index: list[int]) -> Interaction:
        data = self._dataset
        begin, end = self.begin[index], self.end[index]
        inputs, lengths = data.sequences.padded(begin, end, int((end - begin).max()))
        batch = Interaction(
            {
                data.uid_field: torch.from_numpy(self.users[index]),
                data.item_id_list_field: torch.from_numpy(inputs),
                data.item_list_length_field: torch.from_numpy(lengths),
                data.iid_field: torch.from_numpy(data.sequences.items[end]),
            }
        )
        return self.transform(data, batch)


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
        self.step = max(1, min(self.config["eval_batch_size"], SCORE_CELLS // self._dataset.item_num))
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


def where(
    served: Callable[[Any], bool], whole_sequences: Callable[[Any], bool]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps RecBole's ``get_dataloader``: our loaders for the configs that are ``served``, RecBole's for others.

    Models that do not train on ``whole_sequences`` train on RecBole's own batches; sampled evaluation
    (``uni100``, ``pop100``) stays RecBole's for all.
    """

    def wrap(get_dataloader: Callable[..., Any]) -> Callable[..., Any]:
        def get(config: Any, phase: str) -> Any:
            if served(config):
                if phase == "train":
                    if whole_sequences(config):
                        return SequenceTrainLoader
                elif config["eval_args"]["mode"]["valid" if phase == "valid" else "test"] == "full":
                    return MaskedEvalLoader
            return get_dataloader(config, phase)

        return get

    return wrap


def masking_seen_items(full_sort_scores: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps RecBole's case study, so that what it recommends leaves out seen items as evaluation does."""

    def masked_scores(uid_series: Any, model: Any, test_data: Any, device: Any = None) -> torch.Tensor:
        masked = isinstance(test_data, MaskedEvalLoader)
        if masked and hasattr(model, "count"):  # it knows more when testing than when validating
            model.count(test_data._dataset)
        scores = full_sort_scores(uid_series, model, test_data, device)
        if masked:
            users = test_data._dataset.inter_feat[test_data.uid_field]
            _, index = (users == torch.as_tensor(uid_series)[:, None]).nonzero(as_tuple=True)
            seen = test_data.seen_index(index.numpy())
            if seen is not None:
                scores[seen] = -np.inf
        return scores

    return masked_scores

"""Batches for evaluation where candidates are sampled: ranked among each other, or judged one by one."""

from __future__ import annotations

import numpy as np
import torch
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction

from ..interfaces import Settings
from .candidates import Candidates
from .dataset import SequenceDataset
from .loader import MaskedEvalLoader

FEWEST_USERS = 64
"""Users ranked at once, however many items there are."""


def _candidates(config: Settings, part: SequenceDataset, phase: str) -> Candidates:
    """Those of ``eval_args`` in a phase, 'valid' or 'test'."""
    drawn = config[f"{phase}_neg_sample_args"]
    return Candidates(part, drawn["distribution"], drawn["sample_num"], config["mask_seen"])


class CandidateEvalLoader(MaskedEvalLoader):
    """Leaves out of the ranking of each sample all but its target and its negatives (``uni100``, ``pop100``).

    The rule is the same for every model, and that of :class:`MaskedEvalLoader`: with ``mask_seen`` no seen item is a
    negative, and a target that is seen itself ranks nowhere. With as many negatives as there are items this is
    the ranking of all.

    Args:
        phase: 'valid' or 'test'.
    """

    def __init__(
        self,
        config: Settings,
        dataset: SequenceDataset,
        sampler: object,
        shuffle: bool = False,
        *,
        phase: str,
    ) -> None:
        self.candidates = _candidates(config, dataset, phase)
        super().__init__(config, dataset, sampler, shuffle)

    def _init_batch_size_and_step(self) -> None:
        super()._init_batch_size_and_step()
        # Not so few that the trainer would rank by blocks of items, which know seen items but no candidates.
        self.step = max(self.step, min(FEWEST_USERS, self.config["eval_batch_size"]))
        self.set_batch_size(self.step)

    def collate_fn(  # type: ignore[override]  # a mask in place of an index
        self, index: list[int]
    ) -> tuple[Interaction, torch.Tensor, torch.Tensor, torch.Tensor]:
        samples, seen, rows, target = super().collate_fn(index)
        left_out = torch.ones(len(rows), self._dataset.item_num, dtype=torch.bool)
        left_out[rows[:, None], torch.from_numpy(self.candidates.of(np.array(index)))] = False
        left_out[rows, target] = False
        if seen is not None:
            left_out[seen] = True
        return samples, left_out, rows, target


class PairEvalLoader(AbstractDataLoader):
    """One row for each pair of user and candidate, with label 1 for the target and 0 for negatives.

    For metrics by value, which judge single pairs: nothing is ranked, so that a target counts even if it was seen.

    Args:
        phase: 'valid' or 'test'.
    """

    def __init__(
        self,
        config: Settings,
        dataset: SequenceDataset,
        sampler: object,
        shuffle: bool = False,
        *,
        phase: str,
    ) -> None:
        self.candidates = _candidates(config, dataset, phase)
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.sample_size = len(dataset)
        super().__init__(config, dataset, sampler, shuffle=False)

    def _init_batch_size_and_step(self) -> None:
        pairs = 1 + self.candidates.negatives.count
        self.step = max(1, self.config["eval_batch_size"] // pairs)
        self.set_batch_size(self.step * pairs)

    def collate_fn(self, index: list[int]) -> tuple[Interaction, torch.Tensor, torch.Tensor, torch.Tensor]:
        samples = self.transform(self._dataset, self._dataset[index])
        target = samples[self.iid_field]
        items = torch.cat([target[:, None], torch.from_numpy(self.candidates.of(np.array(index)))], 1)
        row, place = torch.nonzero(items, as_tuple=True)
        pairs = samples[row]
        pairs.update(Interaction({self.iid_field: items[row, place]}))
        pairs = self._dataset.join(pairs)  # with the features of the candidates
        pairs.update(Interaction({self.config["LABEL_FIELD"]: (place == 0).float()}))
        return pairs, row, torch.arange(len(target)), target

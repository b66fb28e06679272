"""BERT4Rec (Sun et al., CIKM 2019, arXiv 1904.06690) on whole sequences, beside RecBole's class."""

from __future__ import annotations

import torch
from recbole.model.sequential_recommender.bert4rec import BERT4Rec
from torch import Tensor, nn

from ..interfaces import Batch, Settings
from ..parallel import group
from ..settings.rules import NETWORK, WITHOUT_SAMPLES, number, whole
from ..settings.spec import ModelSpec, Rule
from .ragged import halved_groups
from .softmax import recommendation_loss, softmax_options

RULES: tuple[Rule, ...] = (
    *WITHOUT_SAMPLES,
    *NETWORK,
    *whole(1, "attention_groups"),
    *number("above 0 and below 1", lambda value: 0 < value < 1, "mask_ratio"),
    *number("from 0 to 1", lambda value: 0 <= value <= 1, "ft_ratio"),
    ("nproc", lambda nproc, _: group.is_alone(nproc), "1, as each process would mask items of its own"),
)


class BERT4RecWhole(BERT4Rec):
    """BERT4Rec that learns every training item and sees every item of its input.

    The network is that of RecBole's BERT4Rec, which masks items of the input alone, so that it never learns a user's
    last training item, and drops the oldest item at test even where there is room for the mask. Here a sequence is the
    input with the item after it, and only an input of full length loses its oldest item to the mask.

    Args:
        config: the settings of ``properties/model/BERT4RecWhole.yaml``.
        dataset: gives the number of items.
    """

    spec = ModelSpec(training="sequences", rules=RULES, variants={"BERT4Rec-whole": {}})

    def __init__(self, config: Settings, dataset: object) -> None:
        super().__init__(config, dataset)
        self.ft_ratio, self.groups = config["ft_ratio"], config["attention_groups"]
        self.softmax = softmax_options(config["softmax_block"], config["softmax_precision"], self.device)
        nn.init.zeros_(self.item_embedding.weight[0].detach())  # RecBole's class makes it random

    def calculate_loss(self, interaction: Batch) -> Tensor:
        """Cross-entropy of the masked items over all items, a mean over all that the batch masks."""
        sequences, lengths = self._followed_by(interaction[self.POS_ITEM_ID], interaction)
        masked = self._drawn(lengths, sequences.size(1))
        inputs = sequences.masked_fill(masked, self.mask_token)
        states = self._states(inputs, lengths, masked)
        return recommendation_loss(self._with_one(states), sequences[masked], self._items(), **self.softmax)

    def _states(self, inputs: Tensor, lengths: Tensor, places: Tensor) -> Tensor:
        """[P, D] the states of ``inputs`` [B, W] at the P ``places`` [B, W], row by row, in groups of like length."""
        number_of = halved_groups(lengths, inputs.size(1), self.groups)
        place = torch.arange(places.numel(), device=places.device).view_as(places)
        states, at = [], []
        for one in number_of.unique():
            rows = number_of == one
            longest = int(lengths[rows].max())
            chosen = places[rows, :longest]
            states.append(self.forward(inputs[rows, :longest])[chosen])
            at.append(place[rows, :longest][chosen])
        return torch.cat(states)[torch.cat(at).argsort()]

    def _followed_by(self, items: Tensor, interaction: Batch) -> tuple[Tensor, Tensor]:
        """[B, W] the inputs, each with one of ``items`` [B] after its newest item, and [B] their lengths."""
        inputs, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        longer = torch.cat([inputs, torch.zeros_like(inputs[:, :1])], 1)
        longer = longer.scatter(1, lengths[:, None], items[:, None])
        if longer.size(1) <= self.max_seq_length:
            return longer, lengths + 1
        full = lengths == self.max_seq_length
        return torch.where(full[:, None], longer[:, 1:], longer[:, :-1]), lengths + 1 - full.long()

    def _drawn(self, lengths: Tensor, width: int) -> Tensor:
        """[B, W] which items are masked: each by chance, or in a part ``ft_ratio`` of the rows the newest alone."""
        column, drawn = torch.arange(width, device=lengths.device), torch.rand(2, len(lengths), width)
        drawn = drawn.to(lengths.device)
        masked = (drawn[0] < self.mask_ratio) & (column < lengths[:, None])
        newest_alone = (drawn[1, :, :1] < self.ft_ratio) | ~masked.any(1, keepdim=True)
        return torch.where(newest_alone, column == lengths[:, None] - 1, masked)

    def factors(self, interaction: Batch) -> tuple[Tensor, Tensor]:
        """[B, D + 1] and [I + 1, D + 1], whose products are the scores of all items, padding first."""
        masks = torch.full_like(interaction[self.ITEM_SEQ_LEN], self.mask_token)
        sequences, lengths = self._followed_by(masks, interaction)
        newest = torch.arange(sequences.size(1), device=lengths.device) == lengths[:, None] - 1
        return self._with_one(self._states(sequences, lengths, newest)), self._items()

    def _items(self) -> Tensor:
        """[I + 1, D + 1] the embeddings without that of the mask, each with its bias."""
        return torch.cat([self.item_embedding.weight[: self.n_items], self.output_bias[:, None]], 1)

    @staticmethod
    def _with_one(states: Tensor) -> Tensor:
        return torch.cat([states, torch.ones_like(states[:, :1])], 1)

    def predict(self, interaction: Batch) -> Tensor:
        """[B] the score of each row's item."""
        states, items = self.factors(interaction)
        return (states * items[interaction[self.ITEM_ID]]).sum(1)

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """[B, I + 1] the scores of all items, padding first."""
        states, items = self.factors(interaction)
        return states @ items.T

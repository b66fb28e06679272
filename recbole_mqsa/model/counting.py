"""Models that only count: what the others have to beat, and a proof of the protocol."""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from ..settings.rules import WITHOUT_SAMPLES
from ..settings.spec import ModelSpec


class CountingModel(SequentialRecommender):
    """Scores from counts over what is known before an evaluation.

    That is the training part when validating, and training and validation when testing.

    Args:
        config: RecBole's settings.
        dataset: the part whose known actions are counted first; ``count`` takes another.
    """

    spec = ModelSpec(training="counts", rules=WITHOUT_SAMPLES)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.nothing = nn.Parameter(torch.zeros(0))  # RecBole builds an optimiser for every model
        self.count(dataset)

    def count(self, dataset: Any) -> None:
        """Counts anew, from what is known before the targets of ``dataset``."""
        raise NotImplementedError

    def calculate_loss(self, interaction: Any) -> Tensor:
        """0: there is nothing to learn."""
        return self.nothing.sum() * 0

    def predict(self, interaction: Any) -> Tensor:
        """[B] the score of each row's item."""
        scores = self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None])
        return scores.squeeze(1).float()


class Pop(CountingModel):
    """Popularity: how often each item occurs, every occurrence counted."""

    def count(self, dataset: Any) -> None:
        self.popularity = torch.from_numpy(dataset.item_counts()).float().to(self.device)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """[B, I + 1] the same counts for everyone."""
        return self.popularity.repeat(len(interaction), 1)


class ItemTransition(CountingModel):
    """How often each item followed the user's last one (the paper's "Item Trans.", its table 1).

    Items that never did, and equal counts, are ordered by popularity.
    """

    def count(self, dataset: Any) -> None:
        self.transitions = dataset.transition_counts()
        popularity = torch.from_numpy(dataset.item_counts()).double().to(self.device)
        self.tie_break = popularity / (popularity.max() + 1)  # below 1, the least difference of counts

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """[B, I + 1] transitions from the last item, in float64 so that no tie-break is lost."""
        item_seq = interaction[self.ITEM_SEQ]
        newest = (item_seq != 0).int() * torch.arange(1, item_seq.size(1) + 1, device=item_seq.device)
        last = item_seq.gather(1, newest.argmax(1, keepdim=True)).squeeze(1)
        followed = torch.from_numpy(self.transitions[last.cpu().numpy()].toarray())
        return followed.to(self.tie_break) + self.tie_break

"""Models that only count: baselines for the others, and a check of the evaluation protocol."""

from __future__ import annotations

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from ..interfaces import Batch, Settings
from ..settings.rules import WITHOUT_SAMPLES, switch
from ..settings.spec import ModelSpec
from .protocols import CountsActions

RULES = (*WITHOUT_SAMPLES, *switch("count_validation"))


class CountingModel(SequentialRecommender):
    """Scores from counts of the actions that are known before an evaluation.

    These are the training actions when validating, and also the validation actions when testing, unless
    ``count_validation`` is False.

    Args:
        config: RecBole's settings.
        dataset: the part of the data to count first; ``count`` takes another.
    """

    spec = ModelSpec(training="counts", rules=RULES)

    def __init__(self, config: Settings, dataset: CountsActions) -> None:
        super().__init__(config, dataset)
        self.count_validation = bool(config["count_validation"])
        self.nothing = nn.Parameter(torch.zeros(0))  # RecBole builds an optimiser for every model
        self.count(dataset)

    def count(self, dataset: CountsActions) -> None:
        """Count again, from what is known before the targets of ``dataset``."""
        raise NotImplementedError

    def calculate_loss(self, interaction: Batch) -> Tensor:
        """Zero: there is nothing to learn."""
        return self.nothing.sum() * 0

    def predict(self, interaction: Batch) -> Tensor:
        """[B] the score of each row's item."""
        scores = self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None])
        return scores.squeeze(1).float()


class Pop(CountingModel):
    """Popularity: how often each item occurs, every occurrence counted."""

    def count(self, dataset: CountsActions) -> None:
        self.popularity = torch.from_numpy(dataset.item_counts()).float().to(self.device)

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """[B, I + 1] the same counts for everyone."""
        return self.popularity.repeat(len(interaction), 1)


class ItemTransition(CountingModel):
    """How often each item followed the user's last item (the paper's "Item Trans.", its table 1).

    Popularity breaks ties, also among the items that never followed it.
    """

    spec = ModelSpec(
        training="counts", rules=RULES, variants={"ItemTransition-train": {"count_validation": False}}
    )

    def count(self, dataset: CountsActions) -> None:
        self.transitions = dataset.transition_counts()
        popularity = torch.from_numpy(dataset.item_counts()).double().to(self.device)
        # Below 1, the smallest difference between two counts.
        self.tie_break = popularity / (popularity.max() + 1)

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """[B, I + 1] transitions from the last item, in float64 so that rounding loses no tie-break."""
        item_seq = interaction[self.ITEM_SEQ]
        newest = (item_seq != 0).int() * torch.arange(1, item_seq.size(1) + 1, device=item_seq.device)
        last = item_seq.gather(1, newest.argmax(1, keepdim=True)).squeeze(1)
        followed = torch.from_numpy(self.transitions[last.cpu().numpy()].toarray())
        return followed.to(self.tie_break) + self.tie_break

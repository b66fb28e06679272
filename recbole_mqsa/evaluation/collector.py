"""The rank of each target among all items, for RecBole's own metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.register import metrics_dict
from torch import Tensor

from ..errors import UserError
from ..interfaces import Batch, Loader, Lookup, Settings
from ..parallel import group
from . import metrics
from .ranking import (
    Raised,
    Seen,
    best_items,
    pairs_won,
    pairs_won_by_blocks,
    target_ranks,
    target_ranks_by_blocks,
    top_items_by_blocks,
)


def rank_table(ranks: Tensor, longest: int) -> Tensor:
    """RecBole's ``rec.topk``: [S, longest + 1], 1 at the target's place; the last column counts the targets, 1."""
    places = ranks[:, None] == torch.arange(longest)
    return torch.cat([places, torch.ones(len(places), 1)], 1).int()


def metrics_of_ranks(config: Lookup, ranks: Tensor) -> dict[str, float]:
    """Those of ``config['metrics']`` that depend on the targets' ranks alone, by RecBole's Evaluator.

    Args:
        config: settings with metrics, topk and metric_decimal_place.
        ranks: [S], from 0.
    """
    by_rank = [name for name in config["metrics"] if metrics_dict[name.lower()].metric_need == ["rec.topk"]]
    chosen = {key: config[key] for key in ("topk", "metric_decimal_place")}
    struct = DataStruct()
    struct.set("rec.topk", rank_table(ranks, max(config["topk"])))
    return dict(Evaluator({**chosen, "metrics": by_rank}).evaluate(struct))


NEVER = torch.iinfo(torch.long).max
"""The rank of a target that is in no list, however long the list."""


@dataclass(frozen=True)
class BestOfBlocks:
    """What metrics need of a batch's scores, which need not have existed all at once.

    Args:
        ranks: [B] the targets' ranks, if a metric needs them.
        items: [B, k] the best items, if a metric needs them, 0 where no more are left.
        pairs: [B, 2] of the other items, how many the target is ahead of, and how many they are, if needed.
    """

    ranks: Tensor | None = None
    items: Tensor | None = None
    pairs: Tensor | None = None


_NEEDS = {"rec.topk": "ranks", "rec.items": "items", "rec.meanrank": "pairs"}
"""What RecBole's metrics by rank say they need, and our name of it."""


class RankCollector(Collector):
    """RecBole's collector, with everything computed from comparisons with the target instead of by sorting.

    RecBole's metrics need, for each user, the place of the target among the first k. Comparing all scores with the
    target's gives it; sorting all items is slower and breaks ties arbitrarily. Here ties go by item id, in ranks and
    in lists, and an item that is left out is in no list.

    Each of several processes collects a shard of the samples, and all get the whole.

    Attributes:
        ranks: [samples] of the last evaluation, in the order of its data.
        blocks_suffice: whether scores are only ranked, so that they need not exist all at once.
    """

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        # A list, not a set: all ranks have to gather in the same order.
        self._needs = [ours for theirs, ours in _NEEDS.items() if self.register.need(theirs)]
        self._by_value = [name for name in ("rec.score", "data.label") if self.register.need(name)]
        self.blocks_suffice = bool(self._needs) and not self._by_value
        self._collected: dict[str, list[Tensor]] = {}
        self.ranks = torch.empty(0, dtype=torch.long)

    def data_collect(self, train_data: Loader) -> None:
        """Count the items and their training actions, if a metric needs them; any part's loader knows both."""
        part = train_data._dataset
        if self.register.need(metrics.N_ITEMS):
            self.data_struct.set(metrics.N_ITEMS, part.item_num - 1)
        if self.register.need(metrics.COUNTS):
            self.data_struct.set(metrics.COUNTS, metrics.training_counts(part))

    def eval_batch_collect(
        self, scores_tensor: Tensor | BestOfBlocks, interaction: Batch, positive_u: Tensor, positive_i: Tensor
    ) -> None:
        if self._by_value and isinstance(scores_tensor, Tensor):
            self._add("rec.score", scores_tensor)
            self._add("data.label", interaction[self.config["LABEL_FIELD"]])
            return
        if isinstance(scores_tensor, Tensor):
            if len(positive_u) != len(scores_tensor):
                raise UserError(
                    "eval_args: sampled evaluation needs one target per user, so use split LS with it, or mode full"
                )
            scores_tensor = self._best(scores_tensor, positive_i.to(scores_tensor.device))
        for name in self._needs:
            self._add(name, getattr(scores_tensor, name))

    def _add(self, name: str, rows: Tensor) -> None:
        self._collected.setdefault(name, []).append(rows.detach().cpu())

    def _best(self, scores: Tensor, target: Tensor) -> BestOfBlocks:
        return self._made(
            scores.size(1),
            ranks=lambda: target_ranks(scores, target),
            items=lambda: best_items(scores, max(self.topk))[1],
            pairs=lambda: pairs_won(scores, target),
        )

    def by_blocks(
        self, states: Tensor, items: Tensor, target: Tensor, seen: Seen | None, raised: Raised | None = None
    ) -> BestOfBlocks:
        """What :meth:`eval_batch_collect` accepts in place of the scores ``states @ items.T``, some ``raised``."""
        return self._made(
            len(items),
            ranks=lambda: target_ranks_by_blocks(states, items, target, seen, raised=raised),
            items=lambda: top_items_by_blocks(states, items, max(self.topk), seen, raised=raised)[1],
            pairs=lambda: pairs_won_by_blocks(states, items, target, seen, raised=raised),
        )

    def _made(self, n_scores: int, **makers: Callable[[], Tensor]) -> BestOfBlocks:
        """What is needed, made; ranks that are none marked, lists filled up to the longest cut-off."""
        made = {name: make() for name, make in makers.items() if name in self._needs}
        if "ranks" in made:
            made["ranks"] = made["ranks"].masked_fill(made["ranks"] >= n_scores, NEVER)
        if "items" in made:
            made["items"] = F.pad(made["items"], (0, max(self.topk) - made["items"].size(1)))
        return BestOfBlocks(**made)

    def get_data_struct(self) -> DataStruct:
        """What metrics read of the evaluation that ends here, of all processes."""
        struct = DataStruct()
        for name in (metrics.N_ITEMS, metrics.COUNTS):
            if name in self.data_struct:
                struct.set(name, self.data_struct.get(name))
        found = {name: group.gather_in_order(torch.cat(rows)) for name, rows in self._collected.items()}
        self._collected = {}
        if "ranks" in found:
            self.ranks = found.pop("ranks")
            struct.set("rec.topk", rank_table(self.ranks, max(self.topk)))
        for name, rows in found.items():
            struct.set({"items": metrics.LISTS, "pairs": metrics.PAIRS}.get(name, name), rows)
        return struct

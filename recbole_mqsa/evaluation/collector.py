"""Ranking the target among all items, for RecBole's own metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.register import metrics_dict
from torch import Tensor

from ..errors import UserError
from ..parallel import group
from .ranking import target_ranks, target_ranks_by_blocks, top_items_by_blocks


def rank_table(ranks: Tensor, longest: int) -> Tensor:
    """RecBole's ``rec.topk``: [S, longest + 1], 1 where the target is, then the number of targets (1)."""
    places = ranks[:, None] == torch.arange(longest)
    return torch.cat([places, torch.ones(len(places), 1)], 1).int()


def metrics_of_ranks(config: Any, ranks: Tensor) -> dict[str, float]:
    """Those of ``config['metrics']`` that the targets' ranks tell, by RecBole's Evaluator.

    Args:
        config: a mapping with metrics, topk and metric_decimal_place.
        ranks: [S], from 0.
    """
    by_rank = [name for name in config["metrics"] if metrics_dict[name.lower()].metric_need == ["rec.topk"]]
    chosen = {key: config[key] for key in ("topk", "metric_decimal_place")}
    struct = DataStruct()
    struct.set("rec.topk", rank_table(ranks, max(config["topk"])))
    return dict(Evaluator({**chosen, "metrics": by_rank}).evaluate(struct))


NEVER = torch.iinfo(torch.long).max
"""The rank of a target that no list holds, however long the list and few the items."""


@dataclass(frozen=True)
class BestOfBlocks:
    """What metrics read of a batch's scores, which never were there at once.

    Args:
        ranks: [B] of the targets.
        items: [B, k] the best items, if a metric reads them.
    """

    ranks: Tensor
    items: Tensor | None


class RankCollector(Collector):
    """RecBole's collector, with the top k found from the target's rank instead of by sorting.

    RecBole's metrics read, for each user, at which of the first k places the target is. One
    comparison with the target's score tells it; sorting all items does the same more slowly and
    breaks ties by chance. Other resources that a metric may need are collected as RecBole does.

    Several processes collect a part of the samples each, and all get the whole.

    Attributes:
        ranks: [samples] of the last evaluation, in the order of its data.
        blocks_suffice: whether no metric reads more than the targets' ranks and the best items.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.need_topk = self.register.need("rec.topk")
        if self.need_topk:
            setattr(self.register, "rec.topk", False)  # so that super() leaves it to us
        needed = ("rec.items", "rec.meanrank", "rec.score", "data.label")
        self._by_sample = [name for name in needed if self.register.need(name)]
        reads = {*self._by_sample, *(["rec.topk"] if self.need_topk else [])}
        self.blocks_suffice = bool(reads) and reads <= {"rec.topk", "rec.items"}
        self._ranks: list[Tensor] = []
        self.ranks = torch.empty(0, dtype=torch.long)

    def eval_batch_collect(
        self, scores_tensor: Tensor | BestOfBlocks, interaction: Any, positive_u: Tensor, positive_i: Tensor
    ) -> None:
        if isinstance(scores_tensor, BestOfBlocks):
            self._ranks.append(scores_tensor.ranks.cpu())
            if scores_tensor.items is not None:
                self.data_struct.update_tensor("rec.items", scores_tensor.items)
            return
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        if self.need_topk:
            if len(positive_u) != len(scores_tensor):
                raise UserError(
                    "eval_args: sampled evaluation needs one target a user, so use split LS with it, or mode full"
                )
            ranks = target_ranks(scores_tensor, positive_i.to(scores_tensor.device))
            self._ranks.append(ranks.masked_fill(ranks >= scores_tensor.size(1), NEVER).cpu())

    def by_blocks(
        self, states: Tensor, items: Tensor, target: Tensor, seen: Any, raised: Any = None
    ) -> BestOfBlocks:
        """What :meth:`eval_batch_collect` takes in place of the scores ``states @ items.T``, where it suffices."""
        ranks = target_ranks_by_blocks(states, items, target, seen, raised=raised)
        best = None
        if "rec.items" in self._by_sample:
            _, best = top_items_by_blocks(states, items, max(self.topk), seen, raised=raised)
        return BestOfBlocks(ranks.masked_fill(ranks >= len(items), NEVER), best)

    def get_data_struct(self) -> Any:
        for name in filter(self.data_struct.__contains__, self._by_sample):
            self.data_struct.set(name, group.gather_in_order(self.data_struct.get(name)))
        if self._ranks:
            self.ranks = group.gather_in_order(torch.cat(self._ranks))
            self._ranks = []
            self.data_struct.set("rec.topk", rank_table(self.ranks, max(self.topk)))
        return super().get_data_struct()

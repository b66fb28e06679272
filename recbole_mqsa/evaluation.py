"""Ranking the target among all items, for RecBole's own metrics."""

from __future__ import annotations

from typing import Any

import torch
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.register import metrics_dict
from torch import Tensor

from . import distributed
from .errors import UserError

BLOCK_USERS, BLOCK_CELLS = 256, 1 << 20
"""Users ranked together where a catalogue is too large to score it for many at once, and scores held at a time."""
FEW_USERS = 64
"""Fewer users at once than this read the item embeddings more often than the products take."""


def target_ranks(scores: Tensor, target: Tensor) -> Tensor:
    """How many items rank before the target; ties go by item id.

    A target that is itself left out (score -inf, as a seen item's) or NaN ranks last, and a NaN
    score ranks before the target, so that a broken model never looks good.

    Args:
        scores: [B, I] with -inf where an item is left out.
        target: [B] item ids.

    Returns:
        [B] ranks from 0.
    """
    own = scores.gather(1, target[:, None])
    ranks = _before(scores, own, target, among=1)
    return ranks.masked_fill(torch.isneginf(own.squeeze(1)), scores.size(1))


def target_ranks_by_blocks(
    states: Tensor,
    items: Tensor,
    target: Tensor,
    seen: tuple[Tensor, Tensor] | None,
    cells: int = BLOCK_CELLS,
) -> Tensor:
    """:func:`target_ranks` of the scores ``states @ items.T``, of which a block of items exists at a time.

    Args:
        states: [B, D].
        items: [I, D]; row 0 is padding and never ranked.
        target: [B] item ids.
        seen: rows and items [N] of the scores to leave out.
        cells: scores that a block may hold.

    Returns:
        [B] ranks from 0; I where the target is left out or has no score.
    """
    own = (states * items[target]).sum(1, keepdim=True)
    row, item = seen or (target.new_zeros(0), target.new_zeros(0))
    # The target is counted apart, so that its score has not to come out of a block to the last bit.
    row, item = torch.cat([row, torch.arange(len(target), device=row.device)]), torch.cat([item, target])
    item, order = item.sort()
    row = row[order]
    width = max(1, cells // max(1, len(states)))
    firsts = list(range(1, len(items), width))
    bounds = torch.searchsorted(item, torch.tensor([*firsts, len(items)], device=item.device)).tolist()
    ranks = torch.zeros_like(target)
    for first, begin, end in zip(firsts, bounds, bounds[1:]):
        scores = states @ items[first : first + width].T
        scores[row[begin:end], item[begin:end] - first] = -torch.inf
        ranks += _before(scores, own, target - first)
    lost = ~(own.squeeze(1) > -torch.inf)
    if seen is not None:
        lost[seen[0][seen[1] == target[seen[0]]]] = True
    return ranks.masked_fill(lost, len(items))


def _before(scores: Tensor, own: Tensor, target: Tensor, among: int = 0) -> Tensor:
    """[B] how many of the items [B, J] rank before one of score ``own`` [B, 1] in column ``target`` [B].

    ``among`` is 1 where that column is among them, and 0 where it is elsewhere or left out.
    """
    # Comparisons written as numbers: summing them is several times faster than counting booleans.
    truth = torch.empty(scores.shape, device=scores.device)
    not_better = torch.le(scores, own, out=truth).sum(1)
    worse = torch.lt(scores, own, out=truth).sum(1)
    before = scores.size(1) - not_better.long()
    tied = torch.nonzero(not_better - worse > among).squeeze(1)
    if len(tied):
        earlier = torch.arange(scores.size(1), device=scores.device) < target[tied, None]
        before[tied] += torch.count_nonzero((scores[tied] == own[tied]) & earlier, dim=1)
    return before


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


class RankCollector(Collector):
    """RecBole's collector, with the top k found from the target's rank instead of by sorting.

    RecBole's metrics read, for each user, at which of the first k places the target is. One
    comparison with the target's score tells it; sorting all items does the same more slowly and
    breaks ties by chance. Other resources that a metric may need are collected as RecBole does.

    Several processes collect a part of the samples each, and all get the whole.

    Attributes:
        ranks: [samples] of the last evaluation, in the order of its data.
        ranks_suffice: whether no metric reads more than the targets' ranks.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.need_topk = self.register.need("rec.topk")
        if self.need_topk:
            setattr(self.register, "rec.topk", False)  # so that super() leaves it to us
        needed = ("rec.items", "rec.meanrank", "rec.score", "data.label")
        self._by_sample = [name for name in needed if self.register.need(name)]
        self.ranks_suffice = self.need_topk and not self._by_sample
        self._ranks: list[Tensor] = []
        self.ranks = torch.empty(0, dtype=torch.long)

    def eval_batch_collect(
        self, scores_tensor: Tensor, interaction: Any, positive_u: Tensor, positive_i: Tensor
    ) -> None:
        if scores_tensor.dim() == 1:  # ranks, from the trainer, where they suffice
            self._ranks.append(scores_tensor.cpu())
            return
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        if self.need_topk:
            if len(positive_u) != len(scores_tensor):
                raise UserError(
                    "eval_args: sampled evaluation needs one target a user, so use split LS with it, or mode full"
                )
            ranks = target_ranks(scores_tensor, positive_i.to(scores_tensor.device))
            self._ranks.append(ranks.masked_fill(ranks >= scores_tensor.size(1), NEVER).cpu())

    def get_data_struct(self) -> Any:
        for name in filter(self.data_struct.__contains__, self._by_sample):
            self.data_struct.set(name, distributed.gather_in_order(self.data_struct.get(name)))
        if self._ranks:
            self.ranks = distributed.gather_in_order(torch.cat(self._ranks))
            self._ranks = []
            self.data_struct.set("rec.topk", rank_table(self.ranks, max(self.topk)))
        return super().get_data_struct()

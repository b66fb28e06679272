"""Which items rank before others: over all scores at once, or, of a large catalogue, over blocks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

BLOCK_USERS, BLOCK_CELLS = 256, 1 << 20
"""Users ranked together where a catalogue is too large to score it for many at once, and scores held at a time."""
FEW_USERS = 64
"""Fewer users at once than this read the item embeddings more often than the products take."""

Seen = tuple[Tensor, Tensor]
"""Rows and items [N] of the scores to leave out."""
Raised = tuple[Tensor, Tensor, Tensor]
"""Rows and items [N] of scores, each at most once, and what is added to them."""


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


def target_ranks_by_blocks(
    states: Tensor,
    items: Tensor,
    target: Tensor,
    seen: Seen | None,
    cells: int = BLOCK_CELLS,
    raised: Raised | None = None,
) -> Tensor:
    """:func:`target_ranks` of the scores ``states @ items.T``, of which a block of items exists at a time.

    Args:
        states: [B, D].
        items: [I, D]; row 0 is padding and never ranked.
        target: [B] item ids.
        seen: the scores to leave out.
        cells: scores that a block may hold.
        raised: what is added to some of the scores, the targets' included.

    Returns:
        [B] ranks from 0; I where the target is left out or has no score.
    """
    own = (states * items[target]).sum(1, keepdim=True)
    if raised is not None:
        raised_row, raised_item, value = raised
        own_ones = raised_item == target[raised_row]
        own[raised_row[own_ones], 0] += value[own_ones].to(own.dtype)
    row, item = seen or (target.new_zeros(0), target.new_zeros(0))
    # The target is counted apart, so that its score has not to come out of a block to the last bit.
    left_out = torch.cat([row, torch.arange(len(target), device=row.device)]), torch.cat([item, target])
    ranks = torch.zeros_like(target)
    for first, scores in _blocks(states, items, left_out, cells, raised):
        ranks += _before(scores, own, target - first)
    lost = ~(own.squeeze(1) > -torch.inf)
    lost[row[item == target[row]]] = True
    return ranks.masked_fill(lost, len(items))


def top_items_by_blocks(
    states: Tensor,
    items: Tensor,
    k: int,
    seen: Seen | None,
    cells: int = BLOCK_CELLS,
    raised: Raised | None = None,
) -> tuple[Tensor, Tensor]:
    """The k best of the scores ``states @ items.T`` and their items, of which a block exists at a time.

    Arguments as for :func:`target_ranks_by_blocks`.

    Returns:
        [B, k] scores, best first, -inf where no more items are left; [B, k] item ids. Fewer columns if there are
        fewer than k items.
    """
    best, ids = (
        states.new_empty(len(states), 0),
        torch.empty(len(states), 0, dtype=torch.long, device=states.device),
    )
    nothing = torch.empty(0, dtype=torch.long, device=states.device)
    for first, scores in _blocks(states, items, seen or (nothing, nothing), cells, raised):
        score, column = scores.topk(min(k, scores.size(1)), 1)
        best, ids = torch.cat([best, score], 1), torch.cat([ids, column + first], 1)
        best, order = best.topk(min(k, best.size(1)), 1)
        ids = ids.gather(1, order)
    return best, ids


def _blocks(
    states: Tensor, items: Tensor, left_out: Seen, cells: int, raised: Raised | None
) -> Iterator[tuple[int, Tensor]]:
    """First item and scores [B, J] of each block of items but padding, ``raised``, and -inf where ``left_out``."""
    item, order = left_out[1].sort()
    row = left_out[0][order]
    width = max(1, cells // max(1, len(states)))
    firsts = list(range(1, len(items), width))
    edges = torch.tensor([*firsts, len(items)], device=item.device)
    bounds = torch.searchsorted(item, edges).tolist()
    more = _by_item(raised, edges) if raised is not None else None
    for number, (first, begin, end) in enumerate(zip(firsts, bounds, bounds[1:])):
        scores = states @ items[first : first + width].T
        if more is not None:
            at, column, value = more(number)
            scores[at, column - first] += value.to(scores.dtype)
        scores[row[begin:end], item[begin:end] - first] = -torch.inf
        yield first, scores


def _by_item(raised: Raised, edges: Tensor) -> Callable[[int], Raised]:
    """What is raised in the block of each number, whose items are those between two ``edges``."""
    item, order = raised[1].sort()
    row, value = raised[0][order], raised[2][order]
    bounds = torch.searchsorted(item, edges).tolist()

    def of_block(number: int) -> Raised:
        part = slice(bounds[number], bounds[number + 1])
        return row[part], item[part], value[part]

    return of_block

"""Ranks and best items: from all scores at once or, for a large catalogue, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce

import torch
from torch import Tensor

BLOCK_USERS, BLOCK_CELLS = 256, 1 << 20
"""Users ranked together, and scores held at once, where a catalogue is too large to score for many users."""
FEW_USERS = 64
"""With fewer users at once than this, reading the item embeddings takes longer than the products."""

GROUP = 8
"""Scores of which the largest stands for all while the best are searched."""

Seen = tuple[Tensor, Tensor]
"""Rows and items [N] of the scores to leave out."""
Raised = tuple[Tensor, Tensor, Tensor]
"""Rows and items [N] of scores, each at most once, and what is added to them."""


def target_ranks(scores: Tensor, target: Tensor) -> Tensor:
    """The number of items that rank before the target; ties go by item id.

    A target that is left out itself (score -inf, like a seen item's) or has score NaN ranks last, and any NaN ranks
    before the target, so that a broken model never looks good.

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
    """[B] how many scores [B, J] rank before the score ``own`` [B, 1] of the item in column ``target`` [B].

    ``among`` is 1 if that column is one of the J, and 0 if it is in another block or left out.
    """
    # The comparisons are stored as numbers: summing these is several times faster than counting booleans.
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
    """:func:`target_ranks` of the scores ``states @ items.T``, computed a block of items at a time.

    Args:
        states: [B, D].
        items: [I, D]; row 0 is padding and never ranked.
        target: [B] item ids.
        seen: rows and items to leave out.
        cells: the most scores in a block.
        raised: what is added to some of the scores, the targets' included.

    Returns:
        [B] ranks from 0; I where the target is left out or its score is not a number.
    """
    own, left_out, lost = _targets(states, items, target, seen, raised)
    ranks = torch.zeros_like(target)
    for first, scores in _blocks(states, items, left_out, cells, raised):
        ranks += _before(scores, own, target - first)
    return ranks.masked_fill(lost, len(items))


def _targets(
    states: Tensor, items: Tensor, target: Tensor, seen: Seen | None, raised: Raised | None
) -> tuple[Tensor, Seen, Tensor]:
    """Scores [B, 1] of the targets; what to leave out, targets included; [B] the targets that rank nowhere.

    A target is compared separately, as its score in a block may differ in the last bit.
    """
    own = (states * items[target]).sum(1, keepdim=True)
    if raised is not None:
        raised_row, raised_item, value = raised
        of_target = raised_item == target[raised_row]
        own[raised_row[of_target], 0] += value[of_target].to(own.dtype)
    row, item = seen or (target.new_zeros(0), target.new_zeros(0))
    left_out = torch.cat([row, torch.arange(len(target), device=row.device)]), torch.cat([item, target])
    lost = ~(own.squeeze(1) > -torch.inf)
    lost[row[item == target[row]]] = True
    return own, left_out, lost


def pairs_won(scores: Tensor, target: Tensor) -> Tensor:
    """How many of the other ranked items the target is ahead of, ties as a half, and how many there are.

    A target that is left out itself (score -inf) or has score NaN is ahead of none.

    Args:
        scores: [B, I] with -inf where an item is left out.
        target: [B] item ids.

    Returns:
        [B, 2] in float64.
    """
    own = scores.gather(1, target[:, None])
    won, ranked = _pairs(scores, own).T
    own = own.squeeze(1)
    won = (won - 0.5).masked_fill(~(own > -torch.inf), 0)  # without its tie with itself
    return torch.stack([won, ranked - (~torch.isneginf(own)).double()], 1)


def pairs_won_by_blocks(
    states: Tensor,
    items: Tensor,
    target: Tensor,
    seen: Seen | None,
    cells: int = BLOCK_CELLS,
    raised: Raised | None = None,
) -> Tensor:
    """:func:`pairs_won` of the scores ``states @ items.T``; arguments as for :func:`target_ranks_by_blocks`."""
    own, left_out, lost = _targets(states, items, target, seen, raised)
    pairs = torch.zeros(len(target), 2, dtype=torch.float64, device=states.device)
    for _, scores in _blocks(states, items, left_out, cells, raised):
        pairs += _pairs(scores, own)
    pairs[lost, 0] = 0
    return pairs


def _pairs(scores: Tensor, own: Tensor) -> Tensor:
    """[B, 2] of the items [B, J] that are not left out: how many score below ``own`` [B, 1], and how many there are."""
    left_out = torch.isneginf(scores).sum(1).double()
    won = ((scores < own).sum(1) + (scores <= own).sum(1)) / 2 - left_out
    return torch.stack([won, scores.size(1) - left_out], 1)


def best_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best items of each row; ties go by item id, as in :func:`target_ranks`.

    Args:
        scores: [B, I] with -inf where an item is left out.

    Returns:
        [B, k] scores, best first, -inf where no more items are left; [B, k] item ids, 0 there. Fewer columns if
        there are fewer than k items.
    """
    k = min(k, scores.size(1))
    # One more than k, which tells whether a tie is cut in two.
    best, ids = _largest(scores, min(k + 1, scores.size(1)))
    ids, order = ids.sort(1)
    best, ids = _best_first(best.gather(1, order), ids)
    if best.size(1) > k:
        rows = torch.nonzero((best[:, k - 1] == best[:, k]) & ~torch.isneginf(best[:, k])).squeeze(1)
        best, ids = best[:, :k].contiguous(), ids[:, :k].contiguous()
        if len(rows):
            best[rows], ids[rows] = _best_of_ties(scores[rows], best[rows, k - 1 :], k)
    return best, ids.masked_fill(torch.isneginf(best), 0)


def _largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``scores.topk(k, 1)``, faster for long rows: the k largest lie in the k groups with the largest maxima.

    A group holds every n-th score, so that the maxima are taken of whole stretches of memory.
    """
    size = scores.size(1) // GROUP
    if size < 2 * k or scores.device.type != "cpu":
        return scores.topk(k, 1)
    grouped = GROUP * size
    maxima = reduce(torch.maximum, scores[:, :grouped].split(size, 1))
    _, groups = _largest(maxima.contiguous(), k)
    columns = torch.cat([groups + first for first in range(0, grouped, size)], 1)
    rest = torch.arange(grouped, scores.size(1)).expand(len(scores), -1)
    columns = torch.cat([columns, rest], 1)
    best, place = scores.gather(1, columns).topk(k, 1)
    return best, columns.gather(1, place)


def _best_first(scores: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [B, J] whose equal scores are in order of ids, sorted by score."""
    best, order = scores.sort(stable=True, dim=1, descending=True)
    return best, ids.gather(1, order)


def _best_of_ties(scores: Tensor, last: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """:func:`best_items` of rows [B, I] where not all items with the k-th score, ``last`` [B, 1], have room."""
    better, tied = ~(scores <= last), scores == last
    room = k - better.sum(1, keepdim=True)
    ids = torch.nonzero(better | (tied & (tied.cumsum(1) <= room)))[:, 1].view(len(scores), k)
    return _best_first(scores.gather(1, ids), ids)


def top_items_by_blocks(
    states: Tensor,
    items: Tensor,
    k: int,
    seen: Seen | None,
    cells: int = BLOCK_CELLS,
    raised: Raised | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`best_items` of the scores ``states @ items.T``, of which a block of items exists at a time.

    Arguments as for :func:`target_ranks_by_blocks`; padding counts as no item.
    """
    best, ids = (
        states.new_empty(len(states), 0),
        torch.empty(len(states), 0, dtype=torch.long, device=states.device),
    )
    nothing = torch.empty(0, dtype=torch.long, device=states.device)
    for first, scores in _blocks(states, items, seen or (nothing, nothing), cells, raised):
        score, column = best_items(scores, k)
        # Items of former blocks come first and have the smaller ids, so that equal scores stay in order of ids.
        best, ids = _best_first(torch.cat([best, score], 1), torch.cat([ids, column + first], 1))
        best, ids = best[:, :k], ids[:, :k]
    return best, ids.masked_fill(torch.isneginf(best), 0)


def _blocks(
    states: Tensor, items: Tensor, left_out: Seen, cells: int, raised: Raised | None
) -> Iterator[tuple[int, Tensor]]:
    """First item and scores [B, J] of each block of items, without padding; ``raised``, and -inf where ``left_out``."""
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

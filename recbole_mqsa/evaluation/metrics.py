"""RecBole's metrics, those of them that are wrong for some model or setting computed anew.

The metrics of the target's rank (Hit, MRR, NDCG, Recall, Precision, MAP) and AUC are RecBole's own. ``docs/metrics.md``
defines all, and says how each differs from RecBole's.
"""

from __future__ import annotations

import numpy as np
from recbole.evaluator import Evaluator
from recbole.evaluator import metrics as recboles
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct

from ..data.dataset import SequenceDataset
from ..data.sequences import flatten_spans
from ..errors import UserError
from ..interfaces import Lookup

PAIRS, LISTS, N_ITEMS, COUNTS = "rec.pairs", "rec.items", "data.num_items", "data.count_items"
"""What the metrics below read: see ``RankCollector``."""


def training_counts(part: SequenceDataset) -> np.ndarray:
    """[I + 1] how often each item occurs among all training actions, first actions included.

    Args:
        part: the training, validation or test part; all know where training ends.
    """
    users = np.flatnonzero(part.train_end >= 0)
    trained, _ = flatten_spans(part.sequences.offsets[users], part.train_end[users] + 1)
    return np.bincount(part.sequences.items[trained], minlength=part.item_num)


# Of lists [S, k] of item ids, 0 where no more items are left. Item 0 is padding and no item.


def occurrences(lists: np.ndarray, n_items: int) -> np.ndarray:
    """[I] how often each item is recommended."""
    return np.bincount(lists.ravel(), minlength=n_items + 1)[1:]


def item_coverage(lists: np.ndarray, n_items: int) -> float:
    """How many of all items are recommended to at least one user, from 0 to 1."""
    return float((occurrences(lists, n_items) > 0).mean())


def shannon_entropy(lists: np.ndarray, n_items: int) -> float:
    """-sum_i p_i log p_i in nats, where p_i is item i's part of all recommendations."""
    counts = occurrences(lists, n_items)
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())


def gini_index(lists: np.ndarray, n_items: int) -> float:
    """Sum over items, from the least to the most recommended, of (2 i - I - 1) n_i, over I sum_i n_i."""
    counts = np.sort(occurrences(lists, n_items))
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((weights * counts).sum() / (n_items * max(1, counts.sum())))


def mean_over_lists(lists: np.ndarray, values: np.ndarray) -> float:
    """The mean over all lists of the mean value of a list's items; an empty list has none and does not count.

    Args:
        values: [I + 1] of each item.
    """
    lengths = (lists > 0).sum(1)
    sums = np.where(lists > 0, values[lists], 0).sum(1)[lengths > 0]
    return float((sums / lengths[lengths > 0]).mean()) if len(sums) else 0.0


def tail_items(counts: np.ndarray, ratio: float) -> np.ndarray:
    """[I + 1] whether an item is in the long tail of those with a training action.

    Args:
        counts: [I + 1] training actions.
        ratio: up to 1 the share of these items that is the tail, at least one of them, equal counts in order of ids;
            above 1 the most actions of an item in it.
    """
    trained = np.flatnonzero(counts)
    if ratio > 1:
        tail = trained[counts[trained] <= ratio]
    else:
        tail = trained[np.argsort(counts[trained], kind="stable")][: max(int(len(trained) * ratio), 1)]
    return np.isin(np.arange(len(counts)), tail)


class _OfLists(AbstractMetric):
    """A metric of the recommended lists, cut at each of ``topk``."""

    def __init__(self, config: Lookup) -> None:
        super().__init__(config)
        self.topk, self.tail_ratio = config["topk"], config["tail_ratio"] or 0.1

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        lists, name = dataobject.get(LISTS).numpy(), type(self).__name__.lower()
        return {
            f"{name}@{k}": round(self.of(lists[:, :k], dataobject), self.decimal_place) for k in self.topk
        }

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        raise NotImplementedError


class ItemCoverage(_OfLists):
    """:func:`item_coverage`."""

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        return item_coverage(lists, data.get(N_ITEMS))


class ShannonEntropy(_OfLists):
    """:func:`shannon_entropy`."""

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        return shannon_entropy(lists, int(lists.max(initial=0)))


class GiniIndex(_OfLists):
    """:func:`gini_index`."""

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        return gini_index(lists, data.get(N_ITEMS))


class AveragePopularity(_OfLists):
    """The mean number of training actions of a list's items."""

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        return mean_over_lists(lists, data.get(COUNTS))


class TailPercentage(_OfLists):
    """How much of a list is in the long tail, from 0 to 1, on average (:func:`tail_items`)."""

    def of(self, lists: np.ndarray, data: DataStruct) -> float:
        return mean_over_lists(lists, tail_items(data.get(COUNTS), self.tail_ratio))


class GAUC(AbstractMetric):
    """How many of the other ranked items the target is ahead of, as a part of them; a tie counts a half.

    The mean over samples; one without any other item does not count.
    """

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        won, others = dataobject.get(PAIRS).numpy().T
        shares = won[others > 0] / others[others > 0]
        return {"gauc": round(float(shares.mean()) if len(shares) else 0.0, self.decimal_place)}


# Of scores and labels [N] of single pairs of user and item.


class _OfProbabilities:
    """Refuses scores that are no probabilities."""

    def used_info(self, dataobject: DataStruct) -> tuple[np.ndarray, np.ndarray]:
        scores, labels = super().used_info(dataobject)  # type: ignore[misc]
        if not ((scores >= 0) & (scores <= 1)).all():
            raise UserError(
                f"metric {type(self).__name__} takes probabilities, but this model's scores go from {scores.min():g} "
                f"to {scores.max():g}; use AUC, or a metric by rank"
            )
        return scores, labels


class LogLoss(_OfProbabilities, recboles.LogLoss):
    """RecBole's, of probabilities only."""


class MAE(_OfProbabilities, recboles.MAE):
    """RecBole's, of probabilities only."""


class RMSE(_OfProbabilities, recboles.RMSE):
    """RecBole's, of probabilities only."""


OURS: tuple[type[AbstractMetric], ...] = (
    *(ItemCoverage, ShannonEntropy, GiniIndex, AveragePopularity, TailPercentage, GAUC),
    *(LogLoss, MAE, RMSE),
)
"""Metrics in place of RecBole's of the same name."""


class RunEvaluator(Evaluator):
    """RecBole's evaluator with this module's metrics."""

    def __init__(self, config: Lookup) -> None:
        super().__init__(config)
        ours = {metric.__name__.lower(): metric for metric in OURS}
        self.metric_class.update({name: ours[name](config) for name in self.metrics if name in ours})

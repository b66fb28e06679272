"""Why an item is recommended: which items of the history weighed most, and which transitions lead to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from ..data.sequences import Sequences
from ..interfaces import Json
from .histories import Histories
from .scorer import Choice, Scorer

SHOWN = 3
"""The most history items that a file of recommendations names for each one."""
EVERYTHING = Choice(exclude_seen=False)


def weights(scorer: Scorer, history: Histories, items: np.ndarray) -> np.ndarray:
    """[T, k] by how much the score of each item falls if an item of the history is taken out, oldest first.

    The T items are those that the model reads, its ``MAX_ITEM_LIST_LENGTH`` newest. An only item is all of the score.

    Args:
        history: of one person.
        items: [k] item numbers.
    """
    read = history.sequences.items[
        max(history.begin[0], history.end[0] - scorer.part.max_item_list_len) : history.end[0]
    ]
    whole = scorer.scores(history, EVERYTHING)[0, items].double().cpu().numpy()
    if len(read) == 1:
        return whole[None]
    others = ~np.eye(len(read), dtype=bool)
    without = np.concatenate([read[row] for row in others])
    ends = np.arange(1, len(read) + 1) * (len(read) - 1)
    offsets = np.concatenate(([0], ends))
    users = None if history.users is None else np.repeat(history.users, len(read))
    variants = Histories(history.part, Sequences(without, offsets), offsets[:-1], ends, users)
    batches = [
        scorer.scores(variants.rows(slice(first, first + scorer.step)), EVERYTHING)[:, items]
        for first in range(0, len(read), scorer.step)
    ]
    return whole - torch.cat(batches).double().cpu().numpy()


def explained(
    scorer: Scorer, counts: sparse.csr_matrix, history: Histories, items: np.ndarray, names: np.ndarray
) -> pd.DataFrame:
    """A row for each recommended item and each item of the history that the model reads, newest first.

    Args:
        counts: [I + 1, I + 1] how often one item followed another.
        history: of one person.
        items: [k] item numbers.
        names: [I + 1] the name of each item.

    Returns:
        ``item_id``, ``history_item_id``, ``age`` (0 is the newest), ``weight`` (see :func:`weights`), ``followed``
        (how often the item came right after that one) and ``of`` (how often anything did).
    """
    weight = weights(scorer, history, items)[::-1]
    read = history.sequences.items[history.end[0] - len(weight) : history.end[0]][::-1]
    followed = counts[read][:, items].toarray().astype(np.int64)
    of = np.asarray(counts[read].sum(1)).ravel().astype(np.int64)
    k = len(items)
    return pd.DataFrame(
        {
            "item_id": np.repeat(names[items].astype(object), len(read)),
            "history_item_id": np.tile(names[read].astype(object), k),
            "age": np.tile(np.arange(len(read)), k),
            "weight": weight.T.ravel(),
            "followed": followed.T.ravel(),
            "of": np.tile(of, k),
        }
    )


def reasons(
    scorer: Scorer, counts: sparse.csr_matrix, history: Histories, items: np.ndarray, names: np.ndarray
) -> list[Json]:
    """[k] for each recommended item ``because``, the history items that weighed most, and ``transitions`` to it.

    At most ``SHOWN`` of each: only those that raised the score, and only those that the item has followed.
    """
    found = explained(scorer, counts, history, items, names)
    return [
        _reason(rows)
        for _, rows in found.groupby(np.repeat(np.arange(len(items)), len(found) // max(len(items), 1)))
    ]


def _reason(rows: pd.DataFrame) -> Json:
    heavy = rows[rows.weight > 0].sort_values("weight", ascending=False, kind="stable")[:SHOWN]
    led = rows[rows.followed > 0].drop_duplicates("history_item_id")
    led = led.sort_values("followed", ascending=False, kind="stable")[:SHOWN]
    return {
        "because": [
            {"item": item, "weight": float(f"{weight:.6g}")}
            for item, weight in zip(heavy.history_item_id, heavy.weight)
        ],
        "transitions": [
            {"from": item, "times": int(times), "of": int(of)}
            for item, times, of in zip(led.history_item_id, led.followed, led.of)
        ],
    }

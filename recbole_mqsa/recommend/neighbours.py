"""Items like an item: by embedding, and by transition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

from ..errors import UserError
from ..interfaces import Model
from ..model.transition import item_embedding_of

EMBEDDING, TRANSITION = "embedding", "transition"
COLUMNS = ("item_id", "by", "rank", "similar_item_id", "score", "times")


@torch.no_grad()
def item_embeddings(model: Model, n_items: int) -> Tensor | None:
    """[I + 1, D] a model's item embeddings; None where it has none, or several to choose from."""
    try:
        return item_embedding_of(model, "none").weight[:n_items]
    except UserError:
        return None


@torch.no_grad()
def neighbours(
    items: Sequence[int], k: int, embeddings: Tensor | None, counts: sparse.csr_matrix, names: np.ndarray
) -> pd.DataFrame:
    """The k nearest of each item, in both ways.

    Args:
        items: their numbers.
        embeddings: [I + 1, D]; None leaves this way out.
        counts: [I + 1, I + 1] how often one item followed another.
        names: [I + 1] the name of each item.

    Returns:
        ``item_id``; ``by``, 'embedding' or 'transition'; ``rank`` from 1; ``similar_item_id``; ``score``, the cosine
        of the two embeddings, or the share of what came right after the item; ``times``, how often it did (0 by
        embedding). Only what followed at least once is a neighbour by transition.
    """
    rows: list[tuple[object, ...]] = []
    unit = None if embeddings is None else F.normalize(embeddings.double().cpu(), dim=1)
    for item in items:
        if unit is not None:
            rows += _by_embedding(item, k, unit)
        rows += _by_transition(item, k, counts)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("item_id", "similar_item_id"):
        table[column] = names[table[column].to_numpy(dtype=np.int64)].astype(object)
    return table


def _by_embedding(item: int, k: int, unit: Tensor) -> list[tuple[object, ...]]:
    cosine = unit @ unit[item]
    cosine[0] = cosine[item] = -torch.inf
    score, order = cosine.sort(descending=True, stable=True)
    return [
        (item, EMBEDDING, rank, number, value, 0)
        for rank, (number, value) in enumerate(zip(order[:k].tolist(), score[:k].tolist()), start=1)
        if value > -torch.inf
    ]


def _by_transition(item: int, k: int, counts: sparse.csr_matrix) -> list[tuple[object, ...]]:
    row = counts[[item]]
    order = np.lexsort((row.indices, -row.data))
    total = row.data.sum()
    return [
        (item, TRANSITION, rank, int(number), float(times / total), int(times))
        for rank, (number, times) in enumerate(
            [(row.indices[place], row.data[place]) for place in order if row.indices[place] != item][:k],
            start=1,
        )
    ]

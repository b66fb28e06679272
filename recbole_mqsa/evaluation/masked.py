"""Targets that nobody can hit, as they are among the seen items that the ranking leaves out."""

from __future__ import annotations

from logging import getLogger

import numpy as np

from ..data.loader import MaskedEvalLoader
from ..data.sequences import flatten_spans
from ..errors import UserError
from ..interfaces import Loader

ACTIONS = 1 << 22
"""Actions of histories looked at together."""


def masked_targets(loader: MaskedEvalLoader) -> np.ndarray:
    """[samples] whether the target of a sample is in the history before it."""
    data = loader._dataset
    begin, end = data.history(slice(None))
    items, found = data.sequences.items, np.zeros(len(end), dtype=bool)
    parts = np.searchsorted(np.cumsum(end - begin), np.arange(0, int((end - begin).sum()) + 1, ACTIONS))
    for first, last in zip(parts, [*parts[1:], len(end)]):
        flat, sample = flatten_spans(begin[first:last], end[first:last])
        found[first + sample[items[flat] == items[end[first:last]][sample]]] = True
    return found


def tell_of_masked(valid: Loader, test: Loader) -> None:
    """Say in the log how many targets are masked.

    Raises:
        UserError: all targets of a part are, so that each of its metrics would be 0.
    """
    for name, loader in (("validation", valid), ("test", test)):
        if not isinstance(loader, MaskedEvalLoader) or not loader.config["mask_seen"]:
            continue
        masked = masked_targets(loader)
        if len(masked) and masked.all():
            raise UserError(
                f"every target of the {name} part is masked: each of its {len(masked):,} users has had that item "
                "before, and mask_seen leaves seen items out; set mask_seen to False, or rm_dup_inter to 'first'"
            )
        if masked.any():
            getLogger().warning(
                f"{int(masked.sum()):,} of {len(masked):,} targets of the {name} part count 0: their users have had "
                "that item before, and mask_seen leaves seen items out of the ranking"
            )

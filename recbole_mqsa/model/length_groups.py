"""RecBole's own models on batches without most of their padding: the same loss from groups of similar length.

RecBole pads every prefix to the maximum length, 50 columns where the mean is 8. A state that depends on
nothing after it is the same without the columns after it, and a mean over a batch is the mean over its
groups, each weighted by what it counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .ragged import halved_groups

EXACT = ("BERT4Rec", "GRU4Rec", "SASRec")
"""Models of which this is known: their loss is a mean, and padding at the right changes no state that it reads."""


def with_length_groups(model: Any, config: Any) -> Any:
    """A model whose ``calculate_loss`` goes through ``length_groups`` groups; unchanged for 1 or None.

    On a GPU it is unchanged too: there padding costs less than being asked for the lengths of a batch.

    Args:
        model: one of ``EXACT``, just built; it is changed and returned.
        config: the settings.
    """
    if (config["length_groups"] or 1) > 1 and config["device"].type == "cpu":
        model.calculate_loss = functools.partial(_by_groups, own=model.calculate_loss, config=config)
    return model


def _by_groups(interaction: Any, own: Callable[[Any], Tensor], config: Any) -> Tensor:
    """In place of a ``calculate_loss``: sum over the groups of count / total * the group's mean."""
    lengths = interaction[config["ITEM_LIST_LENGTH_FIELD"]]
    group = halved_groups(lengths, int(lengths.max()), config["length_groups"])
    parts = [_cut(interaction[group == number], config) for number in group.unique()]
    counted = [(part, count) for part in parts if (count := _count(part, config))]
    if not counted:
        return own(interaction)
    total = sum(count for _, count in counted)
    return torch.stack([own(part) * (count / total) for part, count in counted]).sum()


def _cut(part: Any, config: Any) -> Any:
    """Rows without the columns that are padding in all of them.

    Input lists are padded at the right; what BERT4Rec lists for each masked item at the left, where the
    index 0 stands for none.
    """
    width = part[config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]].size(1)
    longest = max(1, int(part[config["ITEM_LIST_LENGTH_FIELD"]].max()))
    masked = [config[field] for field in ("MASK_INDEX", "POS_ITEMS", "NEG_ITEMS") if config[field] in part]
    for name in set(part.columns) - set(masked):
        if part[name].dim() == 2 and part[name].size(1) == width:
            part.interaction[name] = part[name][:, :longest].contiguous()
    if masked:
        most = max(1, int((part[config["MASK_INDEX"]] > 0).sum(1).max()))
        for name in masked:
            part.interaction[name] = part[name][:, -most:].contiguous()
    return part


def _count(part: Any, config: Any) -> int:
    """What the loss is a mean over: masked items, or rows."""
    if config["MASK_INDEX"] in part:
        return int((part[config["MASK_INDEX"]] > 0).sum())
    return len(part)

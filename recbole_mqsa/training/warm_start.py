"""Training that goes on from another run: with its settings, its number of epochs, its weights.

The data may be newer. Users and items keep the rows that they had, by name; new ones begin as any model does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..data.dataset import SequenceDataset
from ..data.identity import IDS, Identity, Ids
from ..errors import UserError
from ..interfaces import Json, Model
from ..runs.checkpoints import check_finite, safe_load
from ..runs.folder import CHECKPOINT, read_result
from ..settings.config import Config
from .load import given_settings

SPLITS = {"all": "all", "train+valid": "test_only"}
"""What may be trained on besides the usual part, and RecBole's name for it: all actions, for serving, or all but the
test actions, as programs do that train once more on the validation part."""
MOST_TOKENS = 2
"""Rows after the last item that a model may have for tokens of its own, such as BERT4Rec's mask."""


def eval_args_of(split: str) -> Json:
    """``eval_args`` that leave nothing to validate.

    Args:
        split: one of ``SPLITS``.

    Raises:
        UserError: it is none of them.
    """
    if split not in SPLITS:
        known = " or ".join(map(repr, SPLITS))
        raise UserError(
            f"split is {split!r}; it has to be {known}, or left out (eval_args describes other splits)"
        )
    return {"split": {"LS": SPLITS[split]}, "group_by": "user", "order": "TO", "mode": "full"}


def settings_of(folder: Path) -> Json:
    """The settings of a finished run that are not those of its model and data set anyway, as ``Config`` takes them.

    Raises:
        UserError: the folder holds no finished run.
    """
    _finished(folder)
    given = given_settings(safe_load(folder / CHECKPOINT)["config"])
    own = ("model", "dataset", "preset")
    named = {key: given[key] for key in own if key in given}
    anyway = Config(command_line=named)  # what its preset says by now is no setting of the run
    return {
        key: value
        for key, value in given.items()
        if key in own or (anyway[key] != value and key != "checkpoint_dir")  # that is its own folder
    }


def refuse_other_model(option: str, folder: Path, theirs: str, model: str) -> None:
    """Refuse to go on from a run of another model.

    Raises:
        UserError: naming both.
    """
    if theirs != model:
        raise UserError(
            f"{option} {folder} is a run of {theirs}, but the model is {model}; name a run of the same model"
        )


def chosen_epochs(folder: Path) -> int:
    """How many epochs a run trained to its best one.

    Raises:
        UserError: the folder holds no finished run, or one without validation.
    """
    best = _finished(folder)["best_epoch"]
    if best is None:
        raise UserError(f"epochs_from {folder} had no validation to choose an epoch; name a run that had")
    return int(best) + 1


def _finished(folder: Path) -> Json:
    result = read_result(folder)
    if result is None:
        raise UserError(f"{folder} holds no finished run; name a folder with a result.json")
    return result


@dataclass(frozen=True)
class Taken:
    """How many users and items began with another run's rows, and how many are new."""

    users: int
    new_users: int
    items: int
    new_items: int

    def __str__(self) -> str:
        return (
            f"{self.items:,} items and {self.users:,} users are known to it; {self.new_items:,} items and "
            f"{self.new_users:,} users are new"
        )


@torch.no_grad()
def take_weights(model: Model, dataset: SequenceDataset, folder: Path) -> Taken:
    """Give a model the weights of the run in a folder, those of users and items by their names.

    Raises:
        UserError: there is no such run, or its weights have other shapes.
    """
    _finished(folder)
    checkpoint = safe_load(folder / CHECKPOINT)
    check_finite(checkpoint["state_dict"], folder / CHECKPOINT)
    refuse_other_model("init", folder, checkpoint["config"]["model"], type(model).__name__)
    if not (folder / IDS).exists():
        raise UserError(f"init {folder} has no {IDS}, which names its items; name a run that has")
    before = Identity.read(folder / IDS).ids
    for name, parameter, is_table in _parameters(model):
        saved = checkpoint["state_dict"].get(name)
        if saved is None or saved.shape[1:] != parameter.shape[1:]:
            raise _other_shape(name, folder)
        _take(name, parameter, saved, is_table, before, dataset.ids, folder)
    return _account(before, dataset.ids)


def _parameters(model: Model) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Name and value of each parameter, and whether it may be a table with a row for each user or item."""
    for place, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{place}.{name}" if place else name
            by_name = any(word in full for word in ("item", "user", "output_bias"))
            yield full, parameter, by_name or (isinstance(module, nn.Embedding) and "position" not in full)


def _take(
    name: str,
    parameter: nn.Parameter,
    saved: torch.Tensor,
    is_table: bool,
    before: Ids,
    now: Ids,
    folder: Path,
) -> None:
    """Copy one parameter, row by row where its rows are users or items."""
    if parameter.ndim == 0 or not is_table:
        if saved.shape != parameter.shape:
            raise _other_shape(name, folder)
        parameter.copy_(saved)
        return
    sides = {"item": (before.items, now.items), "user": (before.users, now.users)}
    fitting = [
        what for what, (old, new) in sides.items() if _fits(len(saved), len(old), len(parameter), len(new))
    ]
    if len(fitting) > 1:
        fitting = [what for what in fitting if what in name] or fitting
    if not fitting:
        if saved.shape != parameter.shape:
            raise _other_shape(name, folder)
        parameter.copy_(saved)
        return
    old, new = sides[fitting[0]]
    there = np.flatnonzero((rows := _rows(new, old)) >= 0)
    parameter[torch.from_numpy(there)] = saved[torch.from_numpy(rows[there])].to(parameter.device)
    parameter[len(new) :] = saved[len(old) :].to(parameter.device)


def _fits(saved: int, old: int, size: int, new: int) -> bool:
    """Whether rows are those of some tokens, perhaps with some more at the end."""
    return 0 <= saved - old <= MOST_TOKENS and saved - old == size - new


def _rows(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """[new] the place of each name among the old ones, -1 where it is none of them."""
    return np.asarray(pd.Index(old.astype(object)).get_indexer(new.astype(object)))


def _account(before: Ids, now: Ids) -> Taken:
    users, items = (
        int((_rows(new, old) > 0).sum())
        for new, old in ((now.users, before.users), (now.items, before.items))
    )
    return Taken(users, len(now.users) - 1 - users, items, len(now.items) - 1 - items)


def _other_shape(name: str, folder: Path) -> UserError:
    return UserError(
        f"the weights {name} of init {folder} have another shape; train with that run's settings, or without init"
    )

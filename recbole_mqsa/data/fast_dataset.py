"""RecBole's data set without its loops over strings and actions, for millions of actions.

The result is equal: the same tables, ids, tokens and parts in the same order. A case that a method here does not
handle is left to RecBole's own method.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from . import split
from .fast_csv import read_simple
from .tokens import TokenIds, Within, core, number


class FastDataset(Dataset):
    """RecBole's ``Dataset``, in which a token is an integer code from reading to numbering.

    Attributes:
        simple_file: whether the file of actions is simple (see ``fast_csv``); a subclass sets it before loading.
    """

    inter_feat: Any
    simple_file: bool = False

    def _load_feat(self, filepath: str, source: FeatureSource) -> pd.DataFrame | None:
        if source != FeatureSource.INTERACTION or not self.simple_file:
            return super()._load_feat(filepath, source)
        separator, encoding = self.config["field_separator"], self.config["encoding"]
        wanted, unwanted = self._get_load_and_unload_col(source)
        with open(filepath, encoding=encoding) as file:
            header = [name.split(":") for name in file.readline().rstrip("\n").split(separator)]
        kinds = {
            field: kind
            for field, kind in header
            if (wanted is None or field in wanted) and (unwanted is None or field not in unwanted)
        }
        table = None
        if kinds and set(kinds.values()) <= {"token", "float"}:
            names = {f"{field}:{kind}": kind for field, kind in kinds.items()}
            table = read_simple(filepath, separator, names, encoding)
        if table is None:
            return super()._load_feat(filepath, source)
        table.columns = list(kinds)
        for field, kind in kinds.items():
            self.set_field_property(field, FeatureType(kind), source, 1)
            if kind == "float":
                self.field2bucketnum[field] = 2
        return table

    def _filter_by_inter_num(self) -> None:
        fields = (self.uid_field, self.iid_field)
        if (
            not _are_categories(self.inter_feat, *fields)
            or self.user_feat is not None
            or self.item_feat is not None
        ):
            super()._filter_by_inter_num()
            return
        within: list[Within] = []
        for name in ("user", "item"):
            intervals = self._parse_intervals_str(self.config[f"{name}_inter_num_interval"])
            within.append(
                functools.partial(self._within_intervals, intervals=intervals) if intervals else None
            )
        if any(within):
            # A missing token, code -1, counts as a token if RecBole has kept it so far.
            users, items = (self.inter_feat[field].cat.codes.to_numpy(dtype=np.int64) + 1 for field in fields)
            self.inter_feat = self.inter_feat[core(users, items, *within)]

    def _remap(self, remap_list: list[tuple[pd.DataFrame, str, FeatureType]]) -> None:
        if len(remap_list) != 1 or not _are_categories(*remap_list[0][:2]):
            super()._remap(remap_list)
            return
        ((table, field, _),) = remap_list
        table[field], self.field2id_token[field] = number(table[field].array)
        self.field2token_id[field] = TokenIds(self.field2id_token[field])

    def leave_one_out(self, group_by: str, leave_one_mode: str) -> list[FastDataset]:
        n_left = {"valid_and_test": 2, "valid_only": 1, "test_only": 1}.get(leave_one_mode)
        if n_left is None:
            return super().leave_one_out(group_by, leave_one_mode)
        parts = split.leave_one_out(self.inter_feat[group_by].numpy(), n_left)
        if n_left == 1:
            parts.insert(2 if leave_one_mode == "valid_only" else 1, parts[0][:0])
        return self._parts(parts)

    def split_by_ratio(self, ratios: list[float], group_by: str | None = None) -> list[FastDataset]:
        fractions = [ratio / sum(ratios) for ratio in ratios]
        cut = functools.partial(self._calcu_split_ids, ratios=fractions)
        keys = np.zeros(len(self), dtype=np.int64) if group_by is None else self.inter_feat[group_by].numpy()
        return self._parts(split.by_ratio(keys, len(fractions), cut))

    def _parts(self, parts: list[np.ndarray]) -> list[FastDataset]:
        """A data set for each array of row numbers."""
        self._drop_unused_col()
        columns = self.inter_feat.interaction.items()
        return [
            self.copy(Interaction({field: column[torch.from_numpy(rows)] for field, column in columns}))
            for rows in parts
        ]


def _are_categories(table: pd.DataFrame, *fields: str) -> bool:
    """Whether these columns are tokens as ``read_simple`` returns them."""
    return all(isinstance(table[field].dtype, pd.CategoricalDtype) for field in fields)

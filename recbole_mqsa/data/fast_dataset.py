"""RecBole's data set without its loops over strings and actions, for millions of actions.

The result is equal: the same tables, ids, tokens and parts in the same order. A case that a method here does not
handle is left to RecBole's own method.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureType

from ..errors import UserError
from . import split
from .atomic_file import AtomicFile, Lines, bad_value, first_value, read_columns, scan
from .intervals import parse_intervals, within
from .times import is_date
from .tokens import TokenIds, Within, core, factorize, number, token_array
from .validation import atomic_file, check_ids, check_needed, columns_of, told_of


class FastDataset(Dataset):
    """RecBole's ``Dataset``, in which a token is an integer code from reading to numbering.

    Attributes:
        lines: of the file of actions.
        dates: whether its times are dates, and so nanoseconds once they are read.
        filtered: how many actions each rule left out, by the rule.
    """

    inter_feat: Any
    lines: Lines
    dates: bool
    filtered: dict[str, int]

    def _load_feat(self, filepath: str, source: Any) -> Any:
        """RecBole's method of this name, with every line a row and every id its text (see :mod:`.atomic_file`)."""
        try:
            wanted, unwanted = self._get_load_and_unload_col(source)
        except (TypeError, ValueError) as problem:
            raise UserError(
                f"load_col {self.config['load_col']} or unload_col {self.config['unload_col']}: of each file, one of "
                "them has to be a list of columns, and the other left out"
            ) from problem
        suffix = getattr(source, "value", source)
        if wanted == set() and suffix != "inter":
            return None
        file = atomic_file(self.config, Path(filepath))
        columns = columns_of(file)
        fields = {
            field: kind
            for field, kind in columns.items()
            if (wanted is None or field in wanted) and field not in (unwanted or ())
        }
        check_needed(self.config, suffix, file, columns, fields)
        if not fields:
            self.logger.warning(f"none of the columns of {file.path} is loaded (load_col, unload_col)")
            return None
        table = self._read(file, fields, suffix, len(columns))
        check_ids(self.config, suffix, file, table)
        for field, kind in fields.items():
            self._describe(field, FeatureType(kind), source)
            if kind.endswith("_seq"):
                table[field] = self._divided(file, table, field, kind)
        return table

    def _read(self, file: AtomicFile, fields: dict[str, str], suffix: str, n_columns: int) -> pd.DataFrame:
        """The table of a file, in which a sequence is still a text."""
        kinds = {f"{field}:{kind}": kind for field, kind in fields.items()}
        time = f"{self.time_field}:float" if suffix == "inter" else None
        with told_of(file):
            lines = scan(file, n_columns)
            table = read_columns(file, kinds, lines, time)
            if time is not None:
                self.lines, self.dates = lines, is_date(first_value(file, time))
        table.columns = list(fields)
        if time is not None and self.config["time_order"] == "recbole":
            table[self.time_field] = table[self.time_field].astype("float64")
        return table

    def _describe(self, field: str, kind: FeatureType, source: Any) -> None:
        """Enter a field as RecBole does."""
        if source != "link":
            self.field2source[field], self.field2type[field] = source, kind
            if "float" in kind.value:
                self.field2bucketnum[field] = 2
            self.field2seqlen[field] = 1

    def _divided(self, file: AtomicFile, table: pd.DataFrame, field: str, kind: str) -> list[np.ndarray]:
        """The values of each sequence of a column, as many as ``seq_len`` allows."""
        divide = functools.partial(_values, separator=self.config["seq_separator"], kind=kind)
        try:
            sequences = list(map(divide, table[field]))
        except ValueError:
            bad = functools.partial(_is_sequence, divide=divide)
            fault = "is no sequence of numbers (seq_separator divides them); correct that line"
            raise bad_value(file, f"{field}:{kind}", bad, fault) from None
        longest = max(map(len, sequences), default=0)
        limit = (self.config["seq_len"] or {}).get(field, longest)
        self.field2seqlen[field] = min(limit, longest)
        return [values[:limit] for values in sequences]

    # Filtering: RecBole's steps in its order, with an account of what each leaves out.

    def _data_filtering(self) -> None:
        steps = {
            "repeated (rm_dup_inter)": self._remove_duplication,
            "outside val_interval": self._filter_by_field_value,
            "of users or items without features (filter_inter_by_user_or_item)": self._filter_inter_by_user_or_item,
            "of users or items outside user_inter_num_interval, item_inter_num_interval": self._filter_by_inter_num,
        }
        self.filtered = {}
        for reason, step in steps.items():
            before = len(self.inter_feat)
            step()
            self.filtered[reason] = before - len(self.inter_feat)
        self.logger.info(self.account())
        for name in self.feat_name_list:
            if getattr(self, name).empty:
                raise UserError(self._filter_culprit("row" if name != "inter_feat" else "action", name))
        self._reset_index()

    def account(self) -> str:
        """Where every line of the file of actions went, as one line of the log."""
        gone = [f"{count:,} {reason}" for reason, count in self.filtered.items() if count]
        kept = self.lines.rows - sum(self.filtered.values())
        return (
            f"{self.dataset_name}.inter: {self.lines.count:,} lines = 1 header + {self.lines.blank:,} blank + "
            f"{self.lines.rows:,} actions, of which {', '.join([*gone, f'{kept:,} kept'])}"
        )

    def _filter_culprit(self, what: str, name: str) -> str:
        where = "" if name == "inter_feat" else f" of {name}"
        return (
            f"data set '{self.dataset_name}' has no {what}{where} left after filtering; loosen "
            f"user_inter_num_interval ({self.config['user_inter_num_interval']}), item_inter_num_interval "
            f"({self.config['item_inter_num_interval']}) or val_interval ({self.config['val_interval']})"
        )

    def _remove_duplication(self) -> None:
        """RecBole's method of this name; of equal times, the one that stands first in the file is the earlier."""
        keep = self.config["rm_dup_inter"]
        if keep is None or self.config["time_order"] == "recbole":
            super()._remove_duplication()
            return
        by_time = self.inter_feat.sort_values(self.time_field, kind="stable")
        self.inter_feat = by_time.drop_duplicates([self.uid_field, self.iid_field], keep=keep)

    def _filter_by_field_value(self) -> None:
        """RecBole's method of this name, by exact values."""
        for field, wanted in (self.config["val_interval"] or {}).items():
            if field not in self.field2type:
                raise UserError(
                    f"val_interval names '{field}', which is no column that is loaded "
                    f"({', '.join(self.field2type)}); correct it, or load_col"
                )
            for table in self.field2feats(field):
                table.drop(table.index[~self._are_wanted(field, table[field], wanted)], inplace=True)

    def _are_wanted(self, field: str, column: pd.Series, wanted: Any) -> np.ndarray:
        """[rows] whether a value is one of ``val_interval``."""
        setting = f"val_interval of '{field}'"
        if self.field2type[field] == FeatureType.FLOAT:
            dates = field == self.time_field and self.dates
            return within(column.to_numpy(), parse_intervals(wanted, setting, dates))
        if self.field2type[field] != FeatureType.TOKEN or not isinstance(wanted, (list, tuple, set)):
            raise UserError(
                f"{setting} is {wanted!r}; it has to be a list of the values to keep, of a column of type token"
            )
        return column.isin([str(value) for value in wanted]).to_numpy()

    def _parse_intervals_str(self, intervals_str: Any) -> Any:
        """RecBole's method of this name, for counts of actions: [('[', 5, inf, ')')]."""
        if intervals_str is None:
            return None
        return parse_intervals(intervals_str, "user_inter_num_interval or item_inter_num_interval")

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

    def _remap(self, remap_list: list[Any]) -> None:
        """RecBole's method of this name: one numbering of the tokens of some columns, as they first appear."""
        if len(remap_list) == 1 and _are_categories(*remap_list[0][:2]):
            ((table, field, _),) = remap_list
            table[field], tokens = number(table[field].array)
            self._number_tokens(field, tokens)
            return
        texts = [_flat(table[field]) for table, field, _ in remap_list]
        if not texts:
            return
        codes, appeared = factorize(np.concatenate(texts))
        tokens = token_array(appeared)
        parts = np.split(codes + 1, np.cumsum([len(part) for part in texts])[:-1])
        for (table, field, kind), ids in zip(remap_list, parts):
            self._number_tokens(field, tokens)
            ends = (
                np.cumsum([len(values) for values in table[field]]) if kind == FeatureType.TOKEN_SEQ else None
            )
            table[field] = ids if ends is None else np.split(ids, ends[:-1])

    def _number_tokens(self, field: str, tokens: np.ndarray) -> None:
        if field not in self.field2id_token:
            self.field2id_token[field], self.field2token_id[field] = tokens, TokenIds(tokens)

    def leave_one_out(self, group_by: str, leave_one_mode: str) -> list[FastDataset]:
        n_left = {"valid_and_test": 2, "valid_only": 1, "test_only": 1, "all": 0}.get(leave_one_mode)
        if n_left is None:
            return super().leave_one_out(group_by, leave_one_mode)
        parts = split.leave_one_out(self.inter_feat[group_by].numpy(), n_left)
        if n_left == 0:  # all trains
            parts += [parts[0][:0]] * 2
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


def _values(text: str, separator: str, kind: str) -> np.ndarray:
    """What stands in a cell of a sequence."""
    parts = [part for part in text.split(separator) if part]
    return np.array(parts, dtype=object) if kind == "token_seq" else np.array(list(map(float, parts)))


def _is_sequence(text: str, divide: Any) -> bool:
    try:
        divide(text)
    except ValueError:
        return False
    return True


def _flat(column: pd.Series) -> np.ndarray:
    """The tokens of a column, or of all its sequences, as objects."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column, dtype=object)
    return np.concatenate([*column, np.array([], dtype=object)])


def _are_categories(table: pd.DataFrame, *fields: str) -> bool:
    """Whether these columns are tokens as ``read_columns`` leaves them."""
    return all(isinstance(table[field].dtype, pd.CategoricalDtype) for field in fields)

"""A slow, obvious reading of atomic files, under RecBole's own filtering, numbering, sorting and splitting."""

from __future__ import annotations

import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset, SequentialDataset
from recbole.utils import FeatureType

from recbole_mqsa.data.atomic_file import Lines
from recbole_mqsa.data.dataset import SequenceDataset

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def lines_of(path: Path, encoding: str | None = "utf-8") -> list[str]:
    """The lines of a file; what follows the last line end is one only if there is something."""
    lines = Path(path).read_text(encoding=encoding).split("\n")
    return lines if lines[-1] else lines[:-1]


def rows_of(path: Path, separator: str = "\t", encoding: str | None = "utf-8") -> list[list[str]]:
    """Each line that is not blank, the header first, split at the separator."""
    return [line.split(separator) for line in lines_of(path, encoding) if line]


def exact_time(text: str) -> int | Fraction | float:
    """A whole number, else a float64, else nanoseconds of a date."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:  # noqa: PERF203
            pass
    date = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    date = date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)
    return (date - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def number(text: str) -> float:
    return {"": np.nan, "True": 1.0, "False": 0.0}[text] if text in ("", "True", "False") else float(text)


class SlowReading:
    """Reads whatever RecBole asks for, and keeps the exact times that are left after filtering."""

    def _load_feat(self, filepath, source):
        wanted, unwanted = self._get_load_and_unload_col(source)
        if wanted == set():
            return None
        encoding, separator = self.config["encoding"], self.config["field_separator"]
        (header, *rows), lines = rows_of(filepath, separator, encoding), lines_of(filepath, encoding)
        if source.value == "inter":
            self.lines, self.dates = Lines(len(lines), lines.count(""), False), False
        columns = {}
        for (field, kind), texts in zip((name.split(":") for name in header), zip(*rows)):
            if (wanted is None or field in wanted) and field not in (unwanted or ()):
                columns[field] = self._column(field, FeatureType(kind), texts, source)
        return pd.DataFrame(columns)

    def _column(self, field, kind, texts, source):
        self.field2source[field], self.field2type[field], self.field2seqlen[field] = source, kind, 1
        if "float" in kind.value:
            self.field2bucketnum[field] = 2
        if kind == FeatureType.TOKEN:
            return pd.Series([text or None for text in texts], dtype=object)
        if kind == FeatureType.FLOAT:
            read = exact_time if field == self.time_field else number
            return pd.Series(list(map(read, texts)), dtype=object if read is exact_time else float)
        part = str if kind == FeatureType.TOKEN_SEQ else float
        column = [np.array([part(one) for one in text.split(" ") if one]) for text in texts]
        self.field2seqlen[field] = max(map(len, column))
        return column

    def _remove_duplication(self):
        keep = self.config["rm_dup_inter"]
        if keep is None:
            return
        keys = list(zip(self.inter_feat[self.uid_field], self.inter_feat[self.iid_field]))
        times = self.inter_feat[self.time_field].tolist()
        found = {}
        for row in sorted(range(len(times)), key=times.__getitem__):
            if keep == "last" or keys[row] not in found:
                found[keys[row]] = row
        self.inter_feat = self.inter_feat.iloc[sorted(found.values(), key=lambda row: (times[row], row))]


class SlowSequences(SlowReading, SequenceDataset):
    """Our data set with RecBole's own methods."""

    _filter_by_field_value = Dataset._filter_by_field_value
    _parse_intervals_str = Dataset._parse_intervals_str
    _filter_by_inter_num = Dataset._filter_by_inter_num
    _remap = Dataset._remap
    leave_one_out = Dataset.leave_one_out
    split_by_ratio = Dataset.split_by_ratio


class RecBolesReading(SlowSequences):
    """Our data set with RecBole's own methods and RecBole's own reading, which is right of ordinary files."""

    lines, dates = Lines(0, 0, False), False
    _load_feat = Dataset._load_feat
    _remove_duplication = Dataset._remove_duplication


class Reference(SlowReading, SequentialDataset):
    """RecBole's data set, with times that its float32 holds: the place of each among all times."""

    def _data_filtering(self):
        super()._data_filtering()
        self.exact = self.inter_feat[self.time_field].tolist()
        self.inter_feat[self.time_field] = [float(time) for time in self.exact]

    def build(self):
        place = {time: place for place, time in enumerate(sorted(set(self.exact)))}
        self.inter_feat[self.time_field] = [float(place[time]) for time in self.exact]
        return super().build()

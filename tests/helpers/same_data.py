"""What it means that two data sets are the same, and that every line of a file is accounted for."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from helpers.slow_reader import lines_of

from recbole_mqsa.data.tokens import TokenIds

SAMPLE = ["user_id", "item_id", "item_id_list", "item_length"]


def assert_same_table(ours, theirs, feature="inter_feat"):
    pd.testing.assert_frame_equal(getattr(ours, feature), getattr(theirs, feature))
    for field, tokens in theirs.field2id_token.items():
        np.testing.assert_array_equal(ours.field2id_token[field], tokens, strict=True)
        assert ours.field2token_id[field] == theirs.field2token_id[field]
        assert isinstance(ours.field2token_id[field], TokenIds)
    assert ours.field2id_token.keys() == theirs.field2id_token.keys() == ours.field2token_id.keys()
    for field, kind in ours.field2type.items():
        assert kind == theirs.field2type[field] and ours.num(field) == theirs.num(field)
        assert ours.field2source[field] == theirs.field2source[field]
        assert field.endswith("_list") or ours.field2seqlen[field] == theirs.field2seqlen[field]
    assert ours.field2bucketnum == theirs.field2bucketnum
    assert list(ours.field2type) == [field for field in theirs.field2type if field in ours.field2type]


def assert_same_parts(ours, theirs):
    assert len(ours) == len(theirs) == 3
    for our, their in zip(ours, theirs):
        assert list(our.inter_feat) == list(their.inter_feat)
        for field in our.inter_feat:
            np.testing.assert_array_equal(our.inter_feat[field], their.inter_feat[field], field, strict=True)
        np.testing.assert_array_equal(our.known_end, their.known_end)


def assert_same_samples(ours, theirs):
    for our, their in zip(ours, theirs):
        for field in SAMPLE:
            np.testing.assert_array_equal(
                our[np.arange(len(our))][field], their[np.arange(len(their))][field]
            )


def assert_accounted(dataset, path=None):
    """Lines are the header, blank ones, and actions loaded or left out by a rule, also as the log says it."""
    lines = dataset.lines
    n_actions = len(dataset.sequences.items) if hasattr(dataset, "sequences") else len(dataset.inter_feat)
    assert lines.count == 1 + lines.blank + n_actions + sum(dataset.filtered.values())
    said = [
        int(count.replace(",", "")) for count in re.findall(r"(?<![\w.])\d[\d,]*(?= )", dataset.account())
    ]
    assert said[0] == lines.count == sum(said[1:3]) + lines.rows and said[3] == lines.rows == sum(said[4:])
    if path is not None:
        text = lines_of(path, dataset.config["encoding"])
        assert (lines.count, lines.blank) == (len(text), text.count(""))

"""What is loaded, filtered, numbered and split the fast way is what RecBole makes of the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.paths import SHARED
from recbole.data.dataset import Dataset, SequentialDataset

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.data.tokens import TokenIds
from recbole_mqsa.settings.config import Config

HEADER = "user_id:token\titem_id:token\ttimestamp:float\tkind:token\trating:float"
CORE = {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "[5,inf)"}


class Slow(SequenceDataset):
    """The same with RecBole's own methods."""

    _load_feat = Dataset._load_feat
    _filter_by_inter_num = Dataset._filter_by_inter_num
    _remap = Dataset._remap
    leave_one_out = Dataset.leave_one_out
    split_by_ratio = Dataset.split_by_ratio


def is_fast(dataset):
    fields = [field for field in ("user_id", "item_id") if not dataset.config[f"alias_of_{field}"]]
    return all(isinstance(dataset.field2token_id[field], TokenIds) for field in fields)


def assert_same_table(ours, theirs):
    pd.testing.assert_frame_equal(ours.inter_feat, theirs.inter_feat)
    for field, tokens in theirs.field2id_token.items():
        assert ours.field2id_token[field].dtype == tokens.dtype
        assert ours.field2id_token[field].tolist() == tokens.tolist()
        assert ours.field2token_id[field] == theirs.field2token_id[field]
    assert ours.field2id_token.keys() == theirs.field2id_token.keys() == ours.field2token_id.keys()
    for field, kind in ours.field2type.items():
        assert kind == theirs.field2type[field] and ours.num(field) == theirs.num(field)
        assert ours.field2source[field] == theirs.field2source[field]
    assert ours.field2bucketnum == theirs.field2bucketnum
    assert list(ours.field2type) == [field for field in theirs.field2type if field in ours.field2type]


def assert_same_parts(ours, theirs):
    for our, their in zip(ours, theirs):
        assert list(our.inter_feat) == list(their.inter_feat)
        for field in our.inter_feat:
            column, expected = our.inter_feat[field], their.inter_feat[field]
            assert column.dtype == expected.dtype and torch.equal(column, expected), field
        np.testing.assert_array_equal(our.known_end, their.known_end)


def assert_equal(config, fast=True):
    """Table and parts of one data set, read both ways."""
    ours = SequenceDataset(config)
    assert_same_table(ours, SequentialDataset(config))
    assert is_fast(ours) == fast
    assert_same_parts(ours.build(), Slow(config).build())


# Whole data sets.

SETTINGS = {
    "core": {"user_inter_num_interval": "[30,inf)", "item_inter_num_interval": "[10,inf)"},
    "between": {"user_inter_num_interval": "(20,100]", "item_inter_num_interval": "[5,200)"},
    "users": {"user_inter_num_interval": "[50,100]"},
    "values": {"val_interval": {"rating": "[4,inf)", "item_id": [str(n) for n in range(1, 900, 3)]}, **CORE},
    "first": {"rm_dup_inter": "first", **CORE},
    "valid_only": {"eval_args": {"split": {"LS": "valid_only"}}},
    "test_only": {"eval_args": {"split": {"LS": "test_only"}}},
    "ratio": {"eval_args": {"split": {"RS": [8, 1, 1]}}},
    "ratio of all": {"eval_args": {"split": {"RS": [0.7, 0.2, 0.1]}, "group_by": "none"}},
}
EVALUATION = {"order": "TO", "group_by": "user", "mode": "full"}


COLUMNS = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}


def test_ml_100k():
    assert_equal(Config("MQSATED", "ml-100k", config_dict=COLUMNS))


@pytest.fixture(scope="module")
def fifth(tmp_path_factory):
    """Where a data set lies that has every fifth user of ml-100k."""
    whole = Config("MQSATED", "ml-100k")
    header, *lines = (Path(whole["data_path"]) / "ml-100k.inter").read_text().splitlines()
    folder = tmp_path_factory.mktemp("data")
    (folder / "ml-fifth").mkdir()
    kept = [line for line in lines if int(line.split("\t")[0]) % 5 == 0]
    (folder / "ml-fifth" / "ml-fifth.inter").write_text("\n".join([header, *kept]) + "\n")
    return folder


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_fifth_of_ml_100k(fifth, settings):
    settings = {**COLUMNS, "data_path": str(fifth), **settings}
    if "eval_args" in settings:
        settings["eval_args"] = {**EVALUATION, **settings["eval_args"]}
    assert_equal(Config("MQSATED", "ml-fifth", config_dict=settings))


@pytest.mark.parametrize("name", ["amazon-beauty", "yelp"])
def test_the_papers_data(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"the paper's data are not in {SHARED / name}")
    assert_equal(Config("MQSATED", name, config_dict={"data_path": str(SHARED)}))


# Awkward files.


@pytest.fixture
def written(toy, tmp_path):
    """Settings of the data set 'toy' with these lines in its file, all columns read."""

    def write(lines, header=HEADER, end="\n", **settings):
        config = toy({}, load_col=None, **settings)
        text = end.join([header, *lines]) + end
        (tmp_path / "toy" / "toy.inter").write_bytes(text.encode(config["encoding"] or "utf-8"))
        return config

    return write


def random_lines(seed, n_lines=300):
    """Users and times in no order, ties in time, repeated lines, users of one action, tokens of every kind."""
    rng = np.random.default_rng(seed)
    users = ["007", "7", "07", "1e5", "True", "inf", "a ", "é", "[PAD]", "None.", "x'y", "u\u00a0v"]
    kinds = ["red", "", "NA", "red", "null", "1.0", "nan", " 007"]
    ratings = ["", "0.1", "1e-3", "5", "3.14159265358979", "-2", " 4", "nan", "0.30000000000000004"]
    lines = []
    for number in range(n_lines):
        user = users[rng.integers(len(users))] if number % 20 else f"once{number}"
        cells = [user, f"i{rng.integers(25)}", str(1_500_000_000 + int(rng.integers(40)))]
        cells += [kinds[rng.integers(len(kinds))], ratings[rng.integers(len(ratings))]]
        lines.append("\t".join(cells))
    return lines + lines[::30]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"user_inter_num_interval": "[5,40]", "item_inter_num_interval": "[8,inf)"},
        {"rm_dup_inter": "first"},
        {"rm_dup_inter": "last", "item_inter_num_interval": "(2,30]"},
        {"val_interval": {"rating": "(0.1,5]", "kind": ["red", " 007"]}},
        {"unload_col": {"inter": ["kind"]}},
        {"unused_col": {"inter": ["rating"]}},
        {"alias_of_user_id": ["kind"]},
        {"threshold": {"rating": 1}},
        {"eval_args": {**EVALUATION, "split": {"RS": [0.8, 0.1, 0.1]}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1])
def test_awkward_lines(written, seed, settings):
    assert_equal(written(random_lines(seed), **settings))


def test_missing_users_and_items(written):
    """RecBole takes line numbers for positions here: with users missing too, it drops other actions than those
    without an item. That it is so is not ours to change in this place."""
    lines = random_lines(2)
    lines[3:3] = ["\ti1\t5\tred\t1", "NA\ti2\t6\tred\t1", "007\t\t7\tred\t1", "7\tnull\t8\tred\t1"]
    assert_equal(written(lines))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_and_no_end(written, tmp_path, end):
    lines = random_lines(3)
    config = written([*lines[:50], "", *lines[50:], "", ""], end=end)
    assert_equal(config)
    path = tmp_path / "toy" / "toy.inter"
    path.write_bytes(path.read_bytes().rstrip(b"\r\n"))
    assert_equal(config)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "utf-16"])
def test_encodings(written, encoding):
    assert_equal(written(random_lines(4), encoding=encoding), fast=encoding == "latin-1")


@pytest.mark.parametrize(("separator", "fast"), [(",", True), ("|", True), (" ", False)])
def test_separators(written, separator, fast):
    lines = [line.replace(" ", "").replace("\t", separator) for line in random_lines(5)]
    assert_equal(written(lines, HEADER.replace("\t", separator), field_separator=separator), fast)


BIG = "1600000000000000001"
LEFT_TO_RECBOLE = {
    "quotes": '"007"\ti1\t5\tred\t1',
    "one quote within": '0"07\ti1\t5\tred\t1',
    "few columns": "007\ti1\t5\tred",
    "carriage return": "007\ti1\t5\tred\t1\r7\ti1\t5\tred\t1",
    "blanks first": "  007\ti1\t5\tred\t1",
    "nanoseconds": f"007\ti1\t{BIG}\tred\t1",
    "padded number": "007\ti1\t000000000000000000012345\tred\t1",
    "number of Python's": "007\ti1\t1_000\tred\t1",
    "infinite rating": "007\ti1\t5\tred\tinf",
}


@pytest.mark.parametrize("line", LEFT_TO_RECBOLE.values(), ids=LEFT_TO_RECBOLE)
def test_left_to_recbole(written, line):
    assert_equal(written([*random_lines(6)[:40], line, *random_lines(6)[40:]]), fast=False)


def test_truth_values_are_numbers(written):
    lines = [line.rsplit("\t", 1)[0] + f"\t{number % 3 > 0}" for number, line in enumerate(random_lines(7))]
    assert_equal(written(lines))


def test_sequence_columns_are_left_to_recbole(written):
    lines = [line + "\tred blue" for line in random_lines(8)]
    config = written(lines, HEADER + "\twords:token_seq", unload_col={"inter": ["rating"]})
    ours = SequenceDataset(config)
    assert_same_table(ours, SequentialDataset(config))
    assert not is_fast(ours)


def test_item_features_share_their_numbers(written, tmp_path):
    config = written(random_lines(9), item_inter_num_interval="[10,inf)")
    rows = ["item_id:token\tprice:float", *(f"i{number}\t{number}.5" for number in range(5, 40))]
    (tmp_path / "toy" / "toy.item").write_text("\n".join(rows) + "\n")
    ours, theirs = SequenceDataset(config), SequentialDataset(config)
    assert_same_table(ours, theirs)
    pd.testing.assert_frame_equal(ours.item_feat, theirs.item_feat)
    assert isinstance(ours.field2token_id["user_id"], TokenIds)

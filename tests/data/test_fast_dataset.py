"""The fast way loads, filters, numbers and splits as a slow reader does, and as RecBole where it reads all."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.same_data import assert_accounted, assert_same_parts, assert_same_samples, assert_same_table
from helpers.slow_reader import RecBolesReading, Reference, SlowSequences
from recbole.data.dataset import SequentialDataset

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config

HEADER = "user_id:token\titem_id:token\ttimestamp:float\tkind:token\trating:float"
CORE = {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "[5,inf)"}


def assert_equal(config, fast=True, path=None):
    """Table, parts and samples of one data set, read fast and slowly; every line is accounted for."""
    ours, slow = SequenceDataset(config), Reference(config)
    assert ours.lines.regular == fast
    assert_same_table(ours, slow)
    assert_accounted(ours, path)
    parts = ours.build()
    assert_same_samples(parts, slow.build())
    if config["val_interval"] is None or "timestamp" not in config["val_interval"]:
        assert_same_parts(parts, SlowSequences(config).build())
    return ours


# Whole data sets: RecBole reads them as they stand.

SETTINGS = {
    "plain": {},
    "core": {"user_inter_num_interval": "[30,inf)", "item_inter_num_interval": "[10,inf)"},
    "between": {"user_inter_num_interval": "(20,100]", "item_inter_num_interval": "[5,200)"},
    "users": {"user_inter_num_interval": "[50,100]"},
    "values": {"val_interval": {"rating": "[4,inf)", "item_id": [str(n) for n in range(1, 900, 3)]}, **CORE},
    "times": {"val_interval": {"timestamp": "[875000000,880000000);(890000000,inf)"}},
    "first": {"rm_dup_inter": "first", **CORE},
    "valid_only": {"eval_args": {"split": {"LS": "valid_only"}}},
    "test_only": {"eval_args": {"split": {"LS": "test_only"}}},
    "ratio": {"eval_args": {"split": {"RS": [8, 1, 1]}}},
    "ratio of all": {"eval_args": {"split": {"RS": [0.7, 0.2, 0.1]}, "group_by": "none"}},
    "time": {"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}},
}
EVALUATION = {"order": "TO", "group_by": "user", "mode": "full"}


@pytest.fixture(scope="module")
def ml_100k(tmp_path_factory):
    """Settings of ml-100k, or of every fifth of its users."""
    header, *lines = (Path(Config("Pop", "ml-100k")["data_path"]) / "ml-100k.inter").read_text().splitlines()
    fifth = [line for line in lines if int(line.split("\t")[0]) % 5 == 0]
    folder = tmp_path_factory.mktemp("data")
    (folder / "fifth").mkdir()
    (folder / "fifth" / "fifth.inter").write_text("\n".join([header, *fifth]) + "\n")

    def config(name, part="fifth", **more):
        columns = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
        settings = {"data_path": str(folder), "load_col": columns, **SETTINGS[name], **more}
        if "eval_args" in settings:
            settings["eval_args"] = {**EVALUATION, **settings["eval_args"]}
        return Config("MQSATED", part, config_dict=settings)

    return config


@pytest.mark.parametrize(("part", "name"), [("ml-100k", "plain"), *(("fifth", name) for name in SETTINGS)])
def test_ml_100k_in_recboles_order(ml_100k, part, name):
    config = ml_100k(name, part, time_order="recbole")
    ours, theirs = SequenceDataset(config), SequentialDataset(config)
    assert_same_table(ours, theirs)
    assert_accounted(ours)
    parts = ours.build()
    assert_same_samples(parts, theirs.build())
    assert_same_parts(parts, RecBolesReading(config).build())


@pytest.mark.parametrize("name", ["plain", "values", "times", "first", "ratio of all", "time"])
def test_ml_100k_in_exact_order(ml_100k, name):
    config = ml_100k(name)
    assert_equal(config)
    if "rm_dup_inter" not in SETTINGS[name]:  # RecBole sorts equal times in any order
        assert_same_table(SequenceDataset(config), SequentialDataset(config))


def test_every_line_of_ml_100k_is_read():
    assert SequenceDataset(Config("Pop", "ml-100k")).lines.count == 100_001


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


USERS = [
    *("007", "7", "07", "1e5", "True", "inf", "a ", "é", "[PAD]", "None.", "x'y", "u\u00a0v"),
    *(
        "NA",
        "null",
        "None",
        "nan",
        "NaN",
        "N/A",
        "#",
        "# no comment",
        '"',
        '"open',
        'shut"',
        'a"b',
        '""',
        "'",
    ),
    *(
        "\\",
        "\\N",
        "a\\",
        "<NA>",
        "-",
        "0x7",
        "\u2028",
        "\x0b",
        "\x1c",
        "\x85",
        "a,b",
        "{}",
        "\u202e",
        "\U0001f600",
    ),
]


def random_lines(seed, n_lines=300):
    """Users and times in no order, ties in time, repeated lines, users of one action, tokens of every kind."""
    rng = np.random.default_rng(seed)
    kinds = ["red", "", "NA", "red", "null", "1.0", "nan", " 007", '"', "#"]
    ratings = ["", "0.1", "1e-3", "5", "3.14159265358979", "-2", " 4", "nan", "0.30000000000000004"]
    lines = []
    for number in range(n_lines):
        user = USERS[rng.integers(len(USERS))] if number % 20 else f"once{number}"
        item = USERS[rng.integers(9, 27)] if number % 7 == 0 else f"i{rng.integers(25)}"
        cells = [user, item, str(1_500_000_000 + int(rng.integers(40)))]
        cells += [kinds[rng.integers(len(kinds))], ratings[rng.integers(len(ratings))]]
        lines.append("\t".join(cells))
    return lines + lines[::30]


AWKWARD = [
    {},
    {"user_inter_num_interval": "[3,12]", "item_inter_num_interval": "[5,inf)"},
    {"rm_dup_inter": "first"},
    {"rm_dup_inter": "last", "item_inter_num_interval": "(2,30]"},
    {"val_interval": {"rating": "(0.1,5]", "kind": ["red", " 007", "NA"]}},
    {"val_interval": {"timestamp": "[1500000003,1500000030);[1500000035,inf)"}},
    {"unload_col": {"inter": ["kind"]}},
    {"unused_col": {"inter": ["rating"]}},
    {"alias_of_user_id": ["kind"]},
    {"eval_args": {**EVALUATION, "split": {"RS": [0.8, 0.1, 0.1]}}},
    {"eval_args": {**EVALUATION, "split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "none"}},
    {"eval_args": {**EVALUATION, "split": {"TS": [0.7, 0.1, 0.2]}}},
    {"MAX_ITEM_LIST_LENGTH": 3, "query_windows": [1]},
]


@pytest.mark.parametrize("settings", AWKWARD, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_awkward_lines(written, tmp_path, seed, settings):
    assert_equal(written(random_lines(seed), **settings), path=tmp_path / "toy" / "toy.inter")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_and_no_end(written, tmp_path, end):
    lines = random_lines(3)
    config = written([*lines[:50], "", *lines[50:], "", ""], end=end)
    path = tmp_path / "toy" / "toy.inter"
    assert assert_equal(config, end != "\r", path).lines.blank == 3
    path.write_bytes(path.read_bytes().rstrip(b"\r\n"))
    assert assert_equal(config, end != "\r", path).lines.blank == 1


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-7"])
def test_encodings(written, encoding):
    lines = random_lines(4)
    if encoding in ("latin-1", "cp1252"):
        lines = [line for line in lines if not re.search("[\x80-\x9f\u0100-\U0010ffff]", line)]
    assert_equal(written(lines, encoding=encoding), fast=encoding == "latin-1")


@pytest.mark.parametrize(
    ("separator", "fast"), [(",", True), ("|", True), ('"', True), (" ", False), ("::", False), ("é", False)]
)
def test_separators(written, separator, fast):
    other = "" if separator == " " else "q"
    lines = [line.replace(separator[0], other).replace("\t", separator) for line in random_lines(5)]
    assert_equal(written(lines, HEADER.replace("\t", separator), field_separator=separator), fast)


BIG = "1600000000000000001"
SINGLE_LINES = {
    "quotes": ('"007"\ti1\t5\tred\t1', True),
    "one quote within": ('0"07\ti1\t5\tred\t1', True),
    "carriage return": ("007\ti1\t5\tred\t1\r7\ti1\t5\tred\t1", False),
    "blanks first": ("  007\ti1\t5\tred\t1", False),
    "nanoseconds": (f"007\ti1\t{BIG}\tred\t1", True),
    "padded number": ("007\ti1\t000000000000000000012345\tred\t1", True),
    "number of Python's": ("007\ti1\t1_000\tred\t1", True),
    "infinite rating": ("007\ti1\t5\tred\tinf", True),
    "a truth value": ("007\ti1\t5\tred\tTrue", True),
    "a fraction": ("007\ti1\t1500000003.5\tred\t1", True),
    "exponent": ("007\ti1\t1.50000000301e9\tred\t1", True),
    "a fraction and nanoseconds": (f"007\ti1\t{BIG}\tred\t1\n7\ti1\t0.5\tred\t1", True),
    "beyond 2^63": (f"007\ti1\t{2**63}\tred\t1\n7\ti1\t{2**70}\tred\t1", True),
    "negative": ("007\ti1\t-5\tred\t1\n007\ti2\t-6\tred\t1", True),
    "NUL": ("0\x0007\ti1\t5\tred\t1\n\x0007\ti1\t5\tred\t1", False),
    "no rating": ("007\ti1\t5\tred\t", True),
    "only separators": ("007\ti1\t5\t\t", True),
    "tabs of others": ("\u2003007\ti1\u3000\t5\t\ufeff\t", True),
}


@pytest.mark.parametrize(("line", "fast"), SINGLE_LINES.values(), ids=SINGLE_LINES)
@pytest.mark.parametrize("place", [0, 40])
def test_a_single_line(written, tmp_path, line, fast, place):
    lines = random_lines(6)
    config = written([*lines[:place], line, *lines[place:]])
    assert_equal(config, fast, tmp_path / "toy" / "toy.inter")


def test_long_lines(written, tmp_path):
    """A thousand ids beside one of a million characters do not take four gigabytes."""
    huge = "x" * 10**6
    lines = [f"u{n % 50}\ti{n}\t{n}\tred\t1" for n in range(1000)]
    lines[500] = f"{huge}y\t{huge}\t500\tred\t1"
    dataset = SequenceDataset(written(lines))
    tokens = dataset.field2id_token["item_id"]
    assert tokens.dtype == object and tokens.tolist() == ["[PAD]", *(line.split("\t")[1] for line in lines)]
    assert dataset.token2id("item_id", huge) == 501 and dataset.id2token("item_id", 501) == huge
    assert dataset.id2token("user_id", np.array([51, 1])).tolist() == [f"{huge}y", "u0"]
    dataset.build()


def test_an_id_may_end_in_nul(written):
    """numpy's fixed texts drop it."""
    lines = [f"{user}\t{item}\t{n}\tred\t1" for n, user in enumerate("ab") for item in ("x", "x\0", "\0")]
    dataset = SequenceDataset(written(lines))
    assert dataset.id2token("item_id", [1, 2, 3]).tolist() == ["x", "x\0", "\0"]
    assert dataset.token2id("item_id", ["x\0", "x", "\0"]).tolist() == [2, 1, 3]


def test_truth_values_are_numbers(written):
    lines = [line.rsplit("\t", 1)[0] + f"\t{number % 3 > 0}" for number, line in enumerate(random_lines(7))]
    assert_equal(written(lines))


@pytest.mark.parametrize("fast", [True, False])
def test_sequence_columns(written, tmp_path, fast):
    words = ["red blue", "", "red", "NA  nan red"]
    lines = [f"{line}\t{words[n % 4]}\t{n % 3} 0.5" for n, line in enumerate(random_lines(8))]
    header = HEADER + "\twords:token_seq\tnumbers:float_seq"
    config = written(lines if fast else [*lines, " u\ti1\t5\tred\t1\tred\t1"], header)
    ours, slow = SequenceDataset(config), Reference(config)
    assert ours.lines.regular == fast
    assert_same_table(ours, slow)
    assert ours.field2seqlen["words"] == 3
    for our, their in zip(ours.build(), SlowSequences(config).build()):
        for field in ("words", "numbers"):
            assert torch.equal(our.inter_feat[field], their.inter_feat[field])


def test_a_sequence_is_cut(written):
    lines = [f"{line}\tred blue green" for line in random_lines(8)]
    config = written(lines, HEADER + "\twords:token_seq", seq_len={"words": 2})
    assert SequenceDataset(config).build()[0].inter_feat["words"].shape[1] == 2


def test_item_features_share_their_numbers(written, tmp_path):
    config = written(random_lines(9, 600), item_inter_num_interval="[2,inf)")
    rows = [
        "item_id:token\tprice:float\twords:token_seq",
        *(f"i{n}\t{n}.5\ta w{n % 3}" for n in range(5, 40)),
    ]
    rows += ["NA\t1.5\t", '"open\t2.5\tNA a', "once0\t\tb"]
    (tmp_path / "toy" / "toy.item").write_text("\n".join(rows) + "\n")
    ours, slow = SequenceDataset(config), Reference(config)
    assert_same_table(ours, slow)
    assert_same_table(ours, slow, "item_feat")
    assert {"NA", '"open'} <= set(ours.field2id_token["item_id"])


@pytest.mark.parametrize("filtered", [True, False])
def test_features_of_plain_items_are_recboles(written, tmp_path, filtered):
    lines = [f"u{n % 20}\ti{n * 7 % 31}\t{n}\tred\t{n % 5}" for n in range(400)]
    config = written(lines, filter_inter_by_user_or_item=filtered, val_interval={"price": "[7,inf)"})
    rows = [
        "item_id:token\tprice:float\twords:token_seq",
        *(f"i{n}\t{n}.5\ta w{n % 3}" for n in range(5, 40)),
    ]
    (tmp_path / "toy" / "toy.item").write_text("\n".join(rows) + "\n")
    (tmp_path / "toy" / "toy.user").write_text("user_id:token\tage:float\nu3\t5\nu4\t\nu77\t5.5\n")
    ours, theirs = SequenceDataset(config), SequentialDataset(config)
    for feature in ("inter_feat", "item_feat", "user_feat"):
        assert_same_table(ours, theirs, feature)
    assert_accounted(ours)
    assert (
        ours.filtered["of users or items without features (filter_inter_by_user_or_item)"] > 0
    ) == filtered


def test_the_log_says_where_every_line_went(written, caplog):
    lines = [f"u{n % 20}\ti{n * 7 % 31}\t{n}\tred\t{n % 5}" for n in range(400)]
    settings = {
        "rm_dup_inter": "first",
        "val_interval": {"rating": "[1,inf)"},
        "user_inter_num_interval": "[3,inf)",
    }
    config = written([*lines, "", *lines[:7], "once\ti1\t5\tred\t1"], **settings)
    with caplog.at_level("INFO"):
        dataset = SequenceDataset(config)
    n_rated = sum(not line.endswith("\t0") for line in lines)
    assert (
        f"toy.inter: 410 lines = 1 header + 1 blank + 408 actions, of which 7 repeated (rm_dup_inter), "
        f"{400 - n_rated} outside val_interval, 1 of users or items outside user_inter_num_interval, "
        f"item_inter_num_interval, {n_rated} kept"
    ) in caplog.text
    assert len(dataset.inter_feat) == n_rated


def test_nothing_is_read_of_a_file_that_is_not_loaded(written, tmp_path):
    lines = [f"u{n % 20}\ti{n * 7 % 31}\t{n}\tred\t{n % 5}" for n in range(400)]
    config = written(lines)
    config["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
    (tmp_path / "toy" / "toy.item").write_bytes(b"\xff\0no header")
    assert SequenceDataset(config).item_feat is None
    config["load_col"] = None
    with pytest.raises(UserError, match=r"toy\.item"):
        SequenceDataset(config)

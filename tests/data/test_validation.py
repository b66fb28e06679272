"""Bad data files: one sentence that names the file and, where there is one, line and column."""

from __future__ import annotations

import pytest
from recbole.data import create_dataset

from recbole_mqsa.errors import UserError

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
GOOD = [HEADER, *(f"u{user}\ti{item}\t{item}" for user in range(4) for item in range(4))]
RATED = [
    "user_id:token\titem_id:token\trating:float\ttimestamp:float",
    *(f"u{user}\ti{item}\t5\t{item}" for user in range(4) for item in range(4)),
]


def changed(lines, changes):
    """``lines`` with the text of some replaced, which are counted from 1 as in the messages."""
    return "\n".join(changes.get(number, line) for number, line in enumerate(lines, start=1)) + "\n"


@pytest.fixture
def complaint(toy, tmp_path):
    """What is said about a file of this text."""

    def complain(text, **settings):
        config = toy({}, **settings)
        (tmp_path / "toy" / "toy.inter").write_text(text)
        with pytest.raises(UserError) as caught:
            create_dataset(config).build()
        message = str(caught.value)
        assert "\n" not in message
        return message.replace(str(tmp_path / "toy" / "toy.inter"), "FILE")

    return complain


def test_a_good_file_is_read(toy, tmp_path):
    config = toy({})
    (tmp_path / "toy" / "toy.inter").write_text(changed(GOOD, {3: "\n" + GOOD[2]}))  # a blank line is none
    assert [len(part) for part in create_dataset(config).build()] == [4, 4, 4]


def test_a_missing_file(toy, tmp_path):
    config = toy({})
    (tmp_path / "toy" / "toy.inter").unlink()
    with pytest.raises(UserError, match=r"toy\.inter"):
        create_dataset(config)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("user_id:token\ttimestamp:float", "FILE, line 1: no column 'item_id:token'"),
        ("user_id:token\titem_id:token", "FILE, line 1: no column 'timestamp:float'"),
        ("user:token\titem_id:token\ttimestamp:float", "FILE, line 1: no column 'user_id:token'"),
        (
            "user_id:token\titem_id:token\ttimestamp:token",
            "FILE, line 1: column 'timestamp' is of type token, but TIME_FIELD has to be float",
        ),
        ("user_id:float\titem_id:token\ttimestamp:float", "FILE, line 1: column 'user_id' is of type float"),
        ("user_id\titem_id\ttimestamp", "FILE, line 1: column 'user_id' is not of the form name:type"),
        ("user_id:token,item_id:token,timestamp:float", "the separator is '\\t' (field_separator)"),
        ("", "FILE, line 1: column '' is not of the form name:type"),
    ],
)
def test_a_bad_header(complaint, header, says):
    assert says in complaint(changed(GOOD, {1: header}))


def test_a_column_that_load_col_leaves_out(complaint):
    says = complaint(changed(GOOD, {}), load_col={"inter": ["user_id", "item_id"]})
    assert "load_col" in says and "'timestamp'" in says and "FILE" in says


def test_load_col_without_actions(complaint):
    assert "load_col" in complaint(changed(GOOD, {}), load_col={"item": ["item_id"]})


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_header_only(complaint, end):
    assert complaint(HEADER + end).startswith("FILE holds a header but no action")


@pytest.mark.parametrize(
    ("lines", "changes", "says"),
    [
        (GOOD, {6: "u1\ti0\tlate"}, "FILE, line 6: timestamp is 'late', which is not a time"),
        (GOOD, {2: "\nu0\ti0\tlate"}, "FILE, line 3: timestamp is 'late', which is not a time"),
        (GOOD, {6: "u1\ti0\tnan"}, "FILE, line 6: timestamp is 'nan', which is not a time"),
        (GOOD, {6: "u1\ti0\tNA"}, "FILE, line 6: timestamp is 'NA', which is not a time"),
        (GOOD, {6: "u1\ti0\tinf"}, "FILE, line 6: timestamp is 'inf', which is not a time"),
        (GOOD, {17: "u3\ti3\t-inf"}, "FILE, line 17: timestamp is '-inf', which is not a time"),
        (GOOD, {6: "u1\ti0\t"}, "FILE, line 6: timestamp is '', which is not a time"),
        (GOOD, {6: "u1\ti0\t "}, "FILE, line 6: timestamp is ' ', which is not a time"),
        (GOOD, {6: "u1\ti0"}, "FILE, line 6: 2 columns where the header has 3"),
        (GOOD, {6: "u1\ti0\t1e400"}, "FILE, line 6: timestamp is '1e400', which is too large for a time"),
        (GOOD, {6: "u1\ti0\t2023-07-16"}, "FILE, line 6: timestamp is '2023-07-16', which is a date, but"),
        (
            GOOD,
            {6: "u1\ti0\ttoday"},
            "FILE, line 6: timestamp is 'today', which is not a time; write a number",
        ),
        (RATED, {2: "u0\ti0\t\t0", 6: "u1\ti0\t5\tnan"}, "FILE, line 6: timestamp is 'nan'"),
        (RATED, {2: "u0\ti0\tbad\t0", 6: "u1\ti0\t5\tlate"}, "FILE, line 6: timestamp is 'late'"),
    ],
)
def test_a_bad_time(complaint, lines, changes, says):
    assert complaint(
        changed(lines, changes), load_col={"inter": ["user_id", "item_id", "timestamp"]}
    ).startswith(says)


def test_a_missing_rating_is_not_taken_for_a_missing_time(complaint):
    text = changed(RATED, {2: "u0\ti0\t\t0", 6: "u1\ti0\t5\tnan"})
    assert complaint(text, load_col=None).startswith("FILE, line 6: timestamp is 'nan'")


def test_text_in_another_number_column(complaint):
    text = changed(RATED, {7: "u1\ti1\tgood\t1"})
    assert complaint(text, load_col=None).startswith("FILE, line 7: rating is 'good', which is not a number")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({6: "u1\ti0\t0\tx"}, 6),
        ({2: "u0\ti0\t0\tx"}, 2),
        ({2: "u0\ti0\t0\t7"}, 2),
        ({number: f"{text}\t" for number, text in enumerate(GOOD, start=1) if number > 1}, 2),
        # With a number in the fourth place of all lines pandas takes items for users and times for items.
        ({number: f"{text}\t7" for number, text in enumerate(GOOD, start=1) if number > 1}, 2),
    ],
    ids=["one", "first", "first-number", "all-empty", "all-number"],
)
def test_too_many_columns(complaint, changes, line):
    assert f"FILE, line {line}" in complaint(changed(GOOD, changes))


def test_another_encoding(complaint, toy, tmp_path):
    config = toy({})
    (tmp_path / "toy" / "toy.inter").write_bytes(changed(GOOD, {6: "\xfc\ti0\t0"}).encode("latin-1"))
    with pytest.raises(UserError, match=r"toy\.inter is not utf-8 text; set encoding .*, or correct line 6"):
        create_dataset(config)
    (tmp_path / "toy" / "toy.inter").write_bytes(changed(GOOD, {}).encode("utf-16"))
    with pytest.raises(UserError, match=r"toy\.inter is not utf-8 text; set encoding .*, or correct line 1"):
        create_dataset(config)
    config["encoding"] = "utf-16"
    assert len(create_dataset(config).build()[2]) == 4
    (tmp_path / "toy" / "toy.inter").write_bytes(changed(GOOD, {}).encode("utf-16")[:-1])
    with pytest.raises(UserError, match=r"toy\.inter is not utf-16 text; set encoding to what it is$"):
        create_dataset(config)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("encoding", value) for value in ("utf-9", "hex", "rot13", "undefined", 5, "a\0b")),
        *(("field_separator", value) for value in ("", 5, "\n", "\t\r")),
        *(("seq_separator", value) for value in ("", 5, "\n")),
    ],
)
def test_bad_settings_of_the_file(complaint, setting, value):
    assert complaint(changed(GOOD, {}), **{setting: value}).startswith(f"{setting} is ")


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"", "FILE is empty; put a header"),
        (b"\x1f\x8b\x08\0rest", "FILE is compressed; unpack it"),
        (b"\0" * 5000, "FILE, line 1 holds NUL characters"),
        (b"user_id:token\0\titem_id:token\ttimestamp:float\n", "FILE, line 1 holds NUL characters"),
        (
            b"\xef\xbb\xbfuser_id:token\titem_id:token\ttimestamp:float\n",
            "FILE begins with a byte-order mark",
        ),
    ],
    ids=["empty", "gzip", "zeros", "NUL", "mark"],
)
@pytest.mark.parametrize("suffix", ["inter", "item"])
def test_no_text(toy, tmp_path, start, says, suffix):
    config = toy({"u": "a b c d"}, load_col=None)
    path = tmp_path / "toy" / f"toy.{suffix}"
    path.write_bytes(start)
    with pytest.raises(UserError) as caught:
        create_dataset(config)
    assert str(caught.value).replace(str(path), "FILE").startswith(says)


@pytest.mark.parametrize("name", ["inter", "item"])
def test_a_file_that_cannot_be_read(toy, tmp_path, monkeypatch, name):
    config = toy({"u": "a b c d"}, load_col=None)
    path = tmp_path / "toy" / f"toy.{name}"
    path.write_text(changed(GOOD, {}))

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(UserError, match=r"toy\.inter cannot be read \(Permission denied\); correct its path"):
        create_dataset(config)


# Ids, features and sequences.


@pytest.mark.parametrize("extra", [[], ["", " v\ti9\t9"]], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({6: "\ti0\t0"}, "FILE, line 6: user_id is '', which is no id; name it, or drop the line"),
        ({2: "\nu0\t\t0", 6: "u1\t\t0"}, "FILE, line 3: item_id is '', which is no id"),
        ({6: "\t\t0"}, "FILE, line 6: user_id is ''"),
    ],
)
def test_an_empty_id(complaint, changes, says, extra):
    assert complaint(changed(GOOD, changes) + "\n".join(extra)).startswith(says)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["item_id:token\tprice:float", "a\t1", "", "\t2"], "FILE, line 4: item_id is '', which is no id"),
        (["item_id:token\tprice:float", "a\t1", "b"], "FILE, line 3: 1 column where the header has 2"),
        (
            ["item_id:token\tprice:float", "a\t1", "b\tdear"],
            "FILE, line 3: price is 'dear', which is not a number",
        ),
        (["item_id:token\tprice"], "FILE, line 1: column 'price' is not of the form name:type"),
        (["item_id:token\tprice:int"], "FILE, line 1: column 'price:int' has a type that is none of token"),
        (["item_id:token\titem_id:float"], "FILE, line 1: two columns are named 'item_id'"),
        (["id:token\tprice:float"], "FILE, line 1: no column 'item_id:token' (it has id, price)"),
        (
            ["item_id:float\tprice:float"],
            "FILE, line 1: column 'item_id' is of type float, but ITEM_ID_FIELD",
        ),
        (
            ["item_id:token\tn:float_seq", "a\t1 2", "b\t1 x"],
            "FILE, line 3: n is '1 x', which is no sequence of num",
        ),
    ],
)
def test_bad_features(toy, tmp_path, lines, says):
    config = toy({"u": "a b c d"}, load_col=None)
    path = tmp_path / "toy" / "toy.item"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        create_dataset(config)
    assert str(caught.value).replace(str(path), "FILE").startswith(says)


def test_an_empty_user_among_features(toy, tmp_path):
    config = toy({"u": "a b c d"}, load_col=None)
    (tmp_path / "toy" / "toy.user").write_text("user_id:token\tage:float\nu\t5\n\t6\n")
    with pytest.raises(UserError, match=r"toy\.user, line 3: user_id is '', which is no id"):
        create_dataset(config)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_numbers_of_a_sequence(complaint, end):
    lines = [f"{line}\t{'n:float_seq' if line == HEADER else '1 2.5'}" for line in GOOD]
    lines[4] = "u0\ti3\t3\t1 two"
    says = complaint(end.join(lines), load_col=None)
    assert says.startswith("FILE, line 5: n is '1 two', which is no sequence of numbers")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"unload_col": {"inter": ["timestamp"]}, "load_col": None},
            "column 'timestamp' of FILE is not loaded",
        ),
        ({"unload_col": {"inter": ["user_id"]}, "load_col": None}, "column 'user_id' of FILE is not loaded"),
        ({"load_col": {"inter": []}}, "column 'user_id' of FILE is not loaded; add it to load_col['inter']"),
        (
            {"unload_col": {"inter": ["x"]}, "load_col": {"inter": ["user_id"]}},
            "load_col {'inter': ['user_id']} or",
        ),
        ({"load_col": {"inter": 5}}, "load_col {'inter': 5} or unload_col None: of each file"),
    ],
)
def test_columns_that_are_not_loaded(complaint, settings, says):
    assert complaint(changed(GOOD, {}), **settings).startswith(says)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"rating": "[5"}, "val_interval of 'rating' is '[5'; it has to be intervals from low to high"),
        ({"rating": "[6,5]"}, "val_interval of 'rating' is '[6,5]'"),
        ({"timestamp": "[2023-01-01,inf)"}, "val_interval of 'timestamp' is '[2023-01-01,inf)'"),
        ({"user_id": "u1"}, "val_interval of 'user_id' is 'u1'; it has to be a list of the values to keep"),
        (
            {"price": "[5,6]"},
            "val_interval names 'price', which is no column that is loaded (user_id, item_id",
        ),
    ],
)
def test_bad_values_to_keep(complaint, value, says):
    assert complaint(changed(RATED, {}), load_col=None, val_interval=value).startswith(says)


def test_values_to_keep_may_be_numbers(toy, tmp_path):
    config = toy({}, val_interval={"item_id": [1, "2", 3]})
    lines = [HEADER, *(f"u{user}\t{item}\t{item}" for user in range(4) for item in range(5))]
    (tmp_path / "toy" / "toy.inter").write_text("\n".join(lines))
    dataset = create_dataset(config)
    assert dataset.field2id_token["item_id"].tolist() == ["[PAD]", "1", "2", "3"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("rm_dup_inter", value) for value in ("middle", False, True)]
    + [("user_inter_num_interval", value) for value in ("[a,b]", "[5,2]", "[2023-01-01,inf)")],
)
def test_filters_that_are_none(complaint, toy, key, value):
    try:
        config = toy({"u": "a b c d"}, **{key: value})
    except UserError as error:
        assert str(error).startswith(f"{key} is {value!r}; it has to be")
        return
    with pytest.raises(UserError, match="it has to be intervals from low to high"):
        create_dataset(config)


@pytest.mark.parametrize(
    "split",
    [
        {"RS": [0.8, 0.2]}, {"RS": [0, 0.5, 0.5]}, {"RS": [1, -1, 1]}, {"RS": "0.8"}, {"RS": [1, 1, "x"]},
        {"TS": [0.8, 0.2]}, {"TS": None}, {"LS": "most"}, {"LS": None}, {"XS": [1, 1, 1]}, {"RS": [1, 1, float("nan")]},
    ],
    ids=str,
)  # fmt: skip
def test_splits_that_are_none(toy, split):
    with pytest.raises(UserError, match=r"eval_args is .* it has to be a mapping with one split"):
        toy({"u": "a b c d"}, eval_args={"split": split, "order": "TO", "group_by": "user", "mode": "full"})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("user_inter_num_interval", "[9,inf)"),
        ("item_inter_num_interval", "[9,inf)"),
        ("val_interval", {"timestamp": "[100,200)"}),
    ],
)
def test_nothing_left_after_filtering(complaint, setting, value):
    message = complaint(changed(GOOD, {}), **{setting: value})
    assert "'toy' has no action left after filtering" in message and f"{setting} ({value})" in message


def test_nobody_with_three_actions(complaint):
    lines = [HEADER, *(f"u{user}\ti{item}\t{item}" for user in range(4) for item in range(2))]
    assert "no user in data set 'toy' has three actions" in complaint(changed(lines, {}))


def test_ready_made_samples_are_refused(toy):
    with pytest.raises(UserError, match="benchmark_filename"):
        toy({"u": "a b c d"}, benchmark_filename=["train", "valid", "test"])

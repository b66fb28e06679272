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
        (GOOD, {6: "u1\ti0\tlate"}, "FILE, line 6: timestamp is 'late', which is not a number"),
        (GOOD, {2: "\nu0\ti0\tlate"}, "FILE, line 3: timestamp is 'late', which is not a number"),
        (GOOD, {6: "u1\ti0\tnan"}, "FILE, line 6: timestamp is 'nan', which is not a time"),
        (GOOD, {6: "u1\ti0\tNA"}, "FILE, line 6: timestamp is 'NA', which is not a time"),
        (GOOD, {6: "u1\ti0\tinf"}, "FILE, line 6: timestamp is 'inf', which is not a time"),
        (GOOD, {17: "u3\ti3\t-inf"}, "FILE, line 17: timestamp is '-inf', which is not a time"),
        (GOOD, {6: "u1\ti0\t"}, "FILE, line 6: timestamp is '', which is not a time"),
        (GOOD, {6: "u1\ti0"}, "FILE, line 6: timestamp is '', which is not a time"),
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
    with pytest.raises(UserError, match=r"toy\.inter is not utf-8 text; set encoding"):
        create_dataset(config)


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

"""Reading files as they stand, against lines that are split at the separator and nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.slow_reader import lines_of, rows_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recbole_mqsa.data.atomic_file import AtomicFile, Lines, bad_value, first_value, read_columns, scan, shown
from recbole_mqsa.errors import UserError

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
KINDS = {"user_id:token": "token", "item_id:token": "token", "timestamp:float": "float"}
TIME = "timestamp:float"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Writes a file, the same at each example."""
    path = tmp_path_factory.mktemp("file") / "some.inter"

    def write(text, separator="\t", encoding="utf-8"):
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return AtomicFile(path, separator, encoding)

    return write


# Lines.


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 24])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_text_is_read(file, block, end):
    lines = ["a:token\tb:token\tc:token", *(f"é{number}\tb\tc" for number in range(30)), "", "a\tb\tc"]
    for last in ("", end, end + end):
        written = file(end.join(lines) + last)
        assert scan(written, 3, block) == Lines(
            33 + (last == end + end), 1 + (last == end + end), end != "\r"
        )
        assert len(lines_of(written.path)) == scan(written, 3, block).count
    for bad, n_columns in (("a\tb\tc\td", 4), ("a\tb", 2), ("a", 1), (" ", 1), ("\t\t\t", 4)):
        with pytest.raises(UserError, match=rf"line 34: {n_columns} columns? where the header has 3"):
            scan(file(end.join([*lines, bad, "a"])), 3, block)
    with pytest.raises(UnicodeError):
        scan(file(end.join([*lines, "a\tb\tc\xfc"]).encode("latin-1")), 3, block)


@pytest.mark.parametrize("block", [1, 3, 1 << 24])
@pytest.mark.parametrize(
    ("text", "separator", "encoding", "regular"),
    [
        ("h\th\n1\t2\n", "\t", "utf-8", True),
        ("h\th\n1\t2\n", "\t", "latin-1", True),
        ("h\th\n1\t2\n", "\t", "cp1252", False),
        ("h\th\n1\t2\n", "\t", "utf-16", False),
        ("h\th\n1\t2\n", "\t", "utf-8-sig", False),
        ("h,h\n1,2\n", ",", "utf-8", True),
        ("h::h\n1::2\n", "::", "utf-8", False),
        ("h h\n1 2\n", " ", "utf-8", False),
        ("h\th\n 1\t2\n", "\t", "utf-8", False),
        ("h\th\n\t2\n", "\t", "utf-8", True),
        ("h,h\n\t1,2\n", ",", "utf-8", False),
        ("h\th\n1\0\t2\n", "\t", "utf-8", False),
        ("h\th\n1\t2\r3\t4\n", "\t", "utf-8", False),
        ('h\th\n"1\t2"\n', "\t", "utf-8", True),
    ],
)
def test_what_pandas_may_read(file, block, text, separator, encoding, regular):
    written = file(text, separator, encoding)
    assert scan(written, 2, block).regular == regular
    assert scan(written, 2, block).rows == len(rows_of(written.path, separator, encoding)) - 1


def test_a_long_line(file):
    huge = "x" * 10**6
    written = file(f"{HEADER}\n{huge}\ti\t1\nu\t{huge}y\t2")
    table = read_columns(written, KINDS, scan(written, 3), TIME)
    assert table["user_id:token"].tolist() == [huge, "u"] and table["item_id:token"].tolist() == [
        "i",
        huge + "y",
    ]
    with pytest.raises(UserError, match=r"line 3: timestamp is 'xxx[x.]+', which is not a time") as caught:
        read_columns(written := file(f"{HEADER}\nu\ti\t1\nu\ti\t{huge}"), KINDS, scan(written, 3), TIME)
    assert len(str(caught.value)) < 400


# Any text.

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"), min_size=1)
AWKWARD = st.sampled_from(
    ['"', '"a', 'b"', '""', "NA", "nan", "null", "None", "#", " a", "a ", "\\", "007", "7", "\0"]
)
IDS = AWKWARD | TEXT
ROWS = st.lists(st.tuples(IDS, IDS, st.integers(-(2**63), 2**63)), min_size=1, max_size=20)


@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
@example([("a\0", "a", 1), ("a", "a\0b", 2)], "\n", True)
@example([('"', "x", 1), ("y", 'z"', 2)], "\n", True)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_ids_come_back_as_they_stand(file, rows, end, closed):
    text = end.join([HEADER, *("\t".join(map(str, row)) for row in rows)]) + end * closed
    written = file(text)
    lines = scan(written, 3)
    table = read_columns(written, KINDS, lines, TIME)
    assert list(table.itertuples(index=False, name=None)) == rows
    assert (lines.count, lines.blank, lines.rows) == (len(rows) + 1, 0, len(rows))


@given(
    st.lists(
        st.lists(AWKWARD | st.text("\t \r\x0b\x0c\x1c\x85\u2028\"'ab", max_size=4), max_size=4), max_size=8
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_are_rows_or_refused(file, cells):
    """Cells that hold separators and line ends themselves: every line is a row, blank, or the first bad one."""
    written = file("\n".join(["a:token\tb:token", *("\t".join(row) for row in cells)]))
    lines = lines_of(written.path)
    sizes = [len(line.split("\t")) for line in lines]
    bad = [number for number, line in enumerate(lines, 1) if line and sizes[number - 1] != 2]
    for block in (1, 5, 1 << 24):
        if bad:
            with pytest.raises(UserError, match=f"line {bad[0]}: {sizes[bad[0] - 1]} column"):
                scan(written, 2, block)
            continue
        found = scan(written, 2, block)
        assert (found.count, found.blank) == (len(lines), lines.count(""))
        table = read_columns(written, {"a:token": "token", "b:token": "token"}, found)
        texts = table.astype(object).where(table.notna(), "").values.tolist()
        assert texts == rows_of(written.path)[1:]


# Columns.


def assert_both_ways(written, kinds, time=None):
    """What pandas parses and what is read line by line."""
    lines = scan(written, len(written.header()))
    assert lines.regular
    fast = read_columns(written, kinds, lines, time)
    slow = read_columns(written, kinds, Lines(lines.count, lines.blank, regular=False), time)
    # One 5.0 is enough for a column of floats; none is different for that.
    pd.testing.assert_frame_equal(fast, slow, check_categorical=False, check_dtype=False, check_exact=True)
    return fast


def test_kinds_of_columns(file):
    rows = [
        ("a", "1.5", "x y", "2 3"),
        ("", "", "", ""),
        ("NA", "nan", "NA", "nan"),
        ('"b', "-inf", '"', "1e3"),
    ]
    kinds = {"k:token": "token", "r:float": "float", "w:token_seq": "token_seq", "n:float_seq": "float_seq"}
    table = assert_both_ways(file("\n".join(["\t".join(kinds), *map("\t".join, rows)])), kinds)
    assert table["k:token"].isna().tolist() == [False, True, False, False]
    np.testing.assert_array_equal(table["r:float"], [1.5, math.nan, math.nan, -math.inf])
    assert table["w:token_seq"].tolist() == ["x y", "", "NA", '"']
    assert table["n:float_seq"].tolist() == ["2 3", "", "nan", "1e3"]


def test_some_columns_in_their_own_order(file):
    written = file("a:token\tb:float\tc:token\nx\t1\ty\nz\t2\tx\n")
    table = assert_both_ways(written, {"c:token": "token", "a:token": "token"})
    assert list(table) == ["c:token", "a:token"] and table.values.tolist() == [["y", "x"], ["x", "z"]]


@given(st.lists(st.floats(), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_are_pythons(file, numbers):
    """To the last bit."""
    table = assert_both_ways(file("\n".join(["r:float", *map(repr, numbers)])), {"r:float": "float"})
    np.testing.assert_array_equal(table["r:float"], numbers)


@pytest.mark.parametrize(
    ("times", "kind", "expected"),
    [
        (["5", "3", "4"], np.int64, [5, 3, 4]),
        (["5", "3.0", "4.5"], np.float64, [5, 3, 4.5]),
        (["881250949.0", "881250950.0"], np.float64, [881250949, 881250950]),
        (["881250949", "881250950.0"], np.int64, [881250949, 881250950]),
        (
            ["1600000000000000000", "1600000000000000512", "1"],
            np.int64,
            [1600000000000000000, 1600000000000000512, 1],
        ),
        ([str(2**62), str(2**62 + 1)], np.int64, [2**62, 2**62 + 1]),
        ([str(2**63), str(2**63 + 1)], object, [2**63, 2**63 + 1]),
        ([str(2**53 + 1), f"{2**53}.0", "1e18"], np.int64, [2**53 + 1, 2**53, 10**18]),
        ([str(2**53 + 1), "0.5"], object, [2**53 + 1, 0.5]),
        (["-1", "-2", "+3", " 4", "5 "], np.int64, [-1, -2, 3, 4, 5]),
        (["1_000", "5"], np.int64, [1000, 5]),
        (["1970-01-01", "1970-01-01T01:00:00+01:00", "1970-01-01 00:00:01"], np.int64, [0, 0, 10**9]),
    ],
)
def test_times(file, times, kind, expected):
    written = file("\n".join([HEADER, *(f"u\ti{n}\t{time}" for n, time in enumerate(times))]))
    table = assert_both_ways(written, KINDS, TIME)
    assert table[TIME].tolist() == expected
    assert table[TIME].dtype == kind
    assert first_value(written, TIME) == times[0]


@pytest.mark.parametrize("regular", [True, False])
@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            ["u\ti\t1\t5", "", "u\ti\tlate\t5", "u\ti\tnever\t5"],
            "line 4: timestamp is 'late', which is not a time; write",
        ),
        (["u\ti\t\t5"], "line 2: timestamp is '', which is not a time; write"),
        (["u\ti\t1\t5", "u\ti\t\t5"], "line 3: timestamp is '', which is not a time; write"),
        (["u\ti\t1\t5", "u\ti\tz\t5", "u\ti\ta\t5"], "line 3: timestamp is 'z'"),
        (["u\ti\t1\t5", "u\ti\t1e999\t5"], "line 3: timestamp is '1e999', which is too large for a time"),
        (["u\ti\t1\t5", "u\ti\t2023-07-16\t5"], "line 3: timestamp is '2023-07-16', which is a date, but"),
        (["u\ti\t2023-07-16\t5", "u\ti\t5\t5"], "line 3: timestamp is '5', which is a number, but"),
        (["u\ti\t1\t", "u\ti\t1\tgood", "u\ti\t1\tbad"], "line 3: rating is 'good', which is not a number"),
        (["u\ti\t1\tNA"], "line 2: rating is 'NA', which is not a number"),
    ],
)
def test_a_bad_value(file, rows, says, regular):
    written = file("\n".join([HEADER + "\trating:float", *rows]))
    lines = scan(written, 4)
    assert lines.regular
    with pytest.raises(UserError) as caught:
        read_columns(
            written, {**KINDS, "rating:float": "float"}, Lines(lines.count, lines.blank, regular), TIME
        )
    assert str(caught.value).startswith(f"{written.path}, {says}")


def test_a_value_is_shown_on_one_line(file):
    assert shown("a\x1b[0m\u202e") == r"'a\x1b[0m\u202e'"
    assert shown("x" * 1000) == repr("x" * 60 + "...")
    error = bad_value(file("a:token\n1\n"), "a:token", lambda text: True, "is none")
    assert str(error).endswith("a value of a:token is none")


def test_a_missing_file():
    with pytest.raises(OSError):
        AtomicFile(Path("nowhere"), "\t").header()

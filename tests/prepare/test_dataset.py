"""Prepared data sets against the same done by hand, line by line, for every form of table."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_mqsa.errors import UserError

duckdb = pytest.importorskip("duckdb")
from recbole_mqsa.prepare import prepare_dataset  # noqa: E402

COLUMNS = {"user": "customer", "item": "sku", "time": "date"}


def rows_of(folder: Path) -> list[list[str]]:
    """What a data set's file holds below its header."""
    header, *lines = (folder / f"{folder.name}.inter").read_text("utf-8").splitlines()
    assert header == "user_id:token\titem_id:token\ttimestamp:float"
    return [line.split("\t") for line in lines]


def table(file: Path, rows: list[Any], separator: str = ",") -> Path:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerow(["n", "customer", "sku", "date", "stars"])
        writer.writerows([n, *row, 5 - n % 5][:5] for n, row in enumerate(rows))
    return file


ROWS = [
    ("b", "x", 30),
    ("a", 'käse "q", 1', 10),
    ("b", "y z", 20),
    ("a", "x", 10),
    ("NA", "x", 40),
    ("a", "x", 50),
]
EXPECTED = [[user, item, str(time)] for user, item, time in ROWS]


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=["customer", "sku", "date"])


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz"])
def test_text_files(tmp_path: Path, name: str) -> None:
    file = table(tmp_path / name, ROWS, "\t" if ".tsv" in name else ",")
    summary = prepare_dataset(file, tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == EXPECTED
    assert (summary.rows, summary.actions, summary.users, summary.items) == (6, 6, 3, 3)
    assert (summary.repeats, summary.repeating_users, summary.ties) == (1, 1, 1)
    assert summary.lengths == {"least": 1, "median": 2.0, "mean": 2.0, "most": 3}
    assert sorted(one.name for one in (tmp_path / "shop").iterdir()) == [
        "shop.inter",
        "summary.json",
        "summary.png",
    ]
    assert json.loads((tmp_path / "shop" / "summary.json").read_text())["actions"] == 6
    assert sorted(one.name for one in tmp_path.iterdir()) == ["shop", name]


@pytest.mark.parametrize("name", ["t.jsonl", "t.json.gz"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    lines = [
        json.dumps({"more": [1], "customer": user, "sku": item, "date": time}) for user, item, time in ROWS
    ]
    text = "\n".join([*lines[:2], "", *lines[2:]]) + "\n"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    prepare_dataset(tmp_path / name, tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    file = str(tmp_path / "t.parquet")
    duckdb.from_df(frame().assign(date=pd.to_datetime(frame().date, unit="ns"))).write_parquet(file)
    summary = prepare_dataset(file, tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == EXPECTED and summary.dated


@pytest.mark.parametrize("kind", ["texts", "numbers", "categories", "zones"])
def test_frames_of_pandas(tmp_path: Path, kind: str) -> None:
    given = frame()
    if kind == "categories":
        given = given.astype({"customer": "category", "sku": "category"})
    elif kind == "zones":
        given["date"] = pd.to_datetime(given.date, unit="s", utc=True).dt.tz_convert("Asia/Tokyo")
    elif kind == "numbers":
        given["customer"] = [2, 1, 2, 1, 3, 1]
    prepare_dataset(given.set_index(given.index[::-1]), tmp_path / "shop", **COLUMNS)
    expected = [[str(given.customer[n]), *row[1:]] for n, row in enumerate(EXPECTED)]
    assert rows_of(tmp_path / "shop") == expected


def test_frames_of_polars(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is no part of the extra 'test', as it takes 181 MB")
    prepare_dataset(polars.DataFrame(frame().to_dict("list")), tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == EXPECTED


def test_amazons_files_have_no_header_or_are_json(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("A1,B1,5.0,1300000000\nA2,B1,1.0,1200000000\n")
    columns = ["user", "item", "rating", "time"]
    names = {"user": "user", "item": "item", "time": "time"}
    prepare_dataset(
        tmp_path / "ratings.csv", tmp_path / "a", columns=columns, **names, rating="rating", min_rating=4
    )
    assert rows_of(tmp_path / "a") == [["A1", "B1", "1300000000"]]
    review = {
        "reviewerID": "A1",
        "asin": "B1",
        "overall": 4.0,
        "helpful": [0, 0],
        "unixReviewTime": 1300000000,
    }
    (tmp_path / "reviews.json.gz").write_bytes(gzip.compress((json.dumps(review) + "\n").encode()))
    names = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime"}
    prepare_dataset(tmp_path / "reviews.json.gz", tmp_path / "b", **names, rating="overall", min_rating=4)
    assert rows_of(tmp_path / "b") == [["A1", "B1", "1300000000"]]


def test_semicolons_and_byte_order_marks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\ufeffcustomer;sku;date\r\na;1,5;10\r\n", encoding="utf-8")
    prepare_dataset(tmp_path / "t.csv", tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == [["a", "1,5", "10"]]


# Bad rows.

BAD = (
    "customer,sku,date\na,x,1\n,x,2\nb,,3\nb,y,\n\nc,\"two\nlines\",4\nd\nd,x,late\n\"e\tf\",x,5\na,y,6,7\nb,z,8\n"
)  # fmt: skip


def test_bad_rows_are_counted_and_shown_by_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(BAD)
    summary = prepare_dataset(tmp_path / "t.csv", tmp_path / "shop", **COLUMNS)
    assert rows_of(tmp_path / "shop") == [["a", "x", "1"], ["b", "z", "8"]]
    assert [(one.place, one.fault) for one in summary.examples] == [
        (3, "has no user"),
        (4, "has no item"),
        (5, "has no time"),
        (7, "has an item with a tab or a line end"),
        (9, "has 1 columns, but there are 3"),
        (10, "has a time that is not a number ('late')"),
        (11, "has a user with a tab or a line end"),
        (12, "has 4 columns, but there are 3"),
    ]
    assert sum(summary.bad.values()) == 8 and summary.rows == 10
    assert "of no use: 1 rows, has no user" in str(summary) and "  line 9 has 1 columns" in str(summary)


def test_no_more_than_ten_are_shown(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("customer,sku,date\na,x,1\n" + ",x,2\n" * 30)
    summary = prepare_dataset(tmp_path / "t.csv", tmp_path / "shop", **COLUMNS)
    assert [one.place for one in summary.examples] == list(range(3, 13)) and summary.bad == {
        "has no user": 30
    }


def test_bad_json_lines(tmp_path: Path) -> None:
    lines = ['{"customer": "a", "sku": "x", "date": 1}', "", '{"customer":', '{"customer": "b", "date": 2}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines) + "\n")
    summary = prepare_dataset(tmp_path / "t.jsonl", tmp_path / "shop", **COLUMNS)
    assert [(one.place, one.fault) for one in summary.examples] == [(3, "has no user"), (4, "has no item")]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (BAD, {"strict": True}, r"t.csv, line 3 has no user; correct it, or leave out strict"),
        ("customer,sku,date\n", {}, "t.csv has no row; give one with actions"),
        ("customer,sku,date\na,x,soon\n", {}, r"neither numbers nor ISO 8601 \(one is 'soon'\); say how"),
        ("customer,sku,date\n,x,1\n", {}, "has no row of use: line 2 has no user; name other columns"),
        ("customer,sku,date\na,x,1\n", {"user_core": 2}, "no action of .*passes the filters; loosen them .of users"),
        ("customer,sku,date\na,x,1\n", {"user": "costumer"}, "no column 'costumer'; did you mean 'customer'.*user"),
        ("customer,sku,date\na,x,20230716\n", {}, r"look like days \(20230716\), but may be seconds; write"),
        ("customer,sku,date\na,x,1\n", {"since": "2023-01-01"}, "since is 2023-01-01, but the times are plain numbers"),
        ("customer,sku,date\na,x,2023-01-01\n", {"since": "last"}, "since is 'last'; it has to be a date"),
        ("customer,sku,date\na,x,1\n", {"time_format": "days"}, "time_format is 'days'; it has to be one of iso, s"),
        ("customer,sku,date\na,x,1\n", {"time_format": "%Q"}, "its % signs have to be those of strptime"),
        ("customer,sku,date\na,x,1\n", {"duplicates": "all"}, "duplicates is 'all'; it has to be one of keep, exact"),
        ("customer,sku,date\na,x,1\n", {"min_rating": 3}, "min_rating needs ratings; name their column"),
        ("customer,sku,date\na,x,1\n", {"item_core": 0}, "item_core is 0; it has to be a whole number of at least 1"),
        ("customer,sku,date\na,x,1\n", {"memory": "much"}, "memory is 'much'; it has to be a size, as 2GB"),
        ("customer,sku,date\na,x,1\n", {"columns": ["a"]}, "has 3 columns, but columns names 1; name each"),
        ("customer,sku,sku\na,x,1\n", {}, "line 1: two columns are named 'sku'; give one another name"),
        ("", {}, "has an empty first line; put its header there"),
    ],
)  # fmt: skip
def test_refused_in_a_sentence(tmp_path: Path, text: str, options: dict[str, Any], says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        prepare_dataset(tmp_path / "t.csv", tmp_path / "data" / "shop", **{**COLUMNS, **options})
    assert not any((tmp_path / "data").glob("**/*")) if (tmp_path / "data").exists() else True


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("x")
    (tmp_path / "t.jsonl").write_text("[1]\n")
    (tmp_path / "t.csv").write_bytes(b"customer,sku,date\xff\n")
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    for name, says in (
        ("none.csv", "there is no file .*none.csv; correct its path"),
        ("t.xlsx", "is of no known kind; end its name in one of .csv, .tsv"),
        ("t.jsonl", "line 1 is no JSON object"),
        ("t.csv", "is not UTF-8 text; save it as UTF-8"),
        ("t.parquet", "the table cannot be read: .*; correct it"),
    ):
        with pytest.raises(UserError, match=says):
            prepare_dataset(tmp_path / name, tmp_path / "shop", **COLUMNS)
    with pytest.raises(UserError, match="source is a list; give a path, or a frame"):
        prepare_dataset([1], tmp_path / "shop", **COLUMNS)  # type: ignore[arg-type]
    (tmp_path / "here").mkdir()
    with pytest.raises(UserError, match="here exists; name another folder, or move it away"):
        prepare_dataset(frame(), tmp_path / "here", **COLUMNS)
    assert not (tmp_path / "shop").exists()


# Times.


@pytest.mark.parametrize(
    ("texts", "format_", "written"),
    [
        (["2023-07-16", "2023-07-16T12:30:00Z", "2023-07-16 12:30+02:00"], None, [1689465600, 1689510600, 1689503400]),
        (["2023-07-16T00:00:00.5Z", "2023-07-16T02:00+0200"], None, [1689465600500, 1689465600000]),
        (["2023-07-16T00:00:00.000000001Z", "2023-07-16 00:00:00,1"], None, [1689465600000000001, 1689465600100000000]),
        (["16/07/2023 02:30", "15/07/2023 23:59"], "%d/%m/%Y %H:%M", [1689474600, 1689465540]),
        (["16.07.2023 02:30 +0200", "16.07.2023 00:30 +0000"], "%d.%m.%Y %H:%M %z", [1689467400, 1689467400]),
        (["20230716", "20230717"], "%Y%m%d", [1689465600, 1689552000]),
        (["20230716", "20230717"], "s", [20230716, 20230717]),
        (["9007199254740993", "9007199254740992"], None, [9007199254740993, 9007199254740992]),
        (["1689465600123456789", "1689465600123456788"], "ns", [1689465600123456789, 1689465600123456788]),
        (["1.5", " 2 ", "1e3"], None, [1.5, 2, 1000]),
        (["-5", "+7"], None, [-5, 7]),
    ],
)  # fmt: skip
def test_times_are_written_exactly(
    tmp_path: Path, texts: list[str], format_: str | None, written: list[Any]
) -> None:
    table(tmp_path / "t.csv", [("a", f"i{n}", text) for n, text in enumerate(texts)])
    prepare_dataset(tmp_path / "t.csv", tmp_path / "shop", **COLUMNS, time_format=format_)
    assert [time for _, _, time in rows_of(tmp_path / "shop")] == [str(time) for time in written]


@pytest.mark.parametrize(
    "text", ["2023-02-30", "2023-07-16T25:00", "2023-07", "2023-07-16T12:30:00.1234567890Z", "12:30"]
)
def test_what_is_no_date(tmp_path: Path, text: str) -> None:
    table(tmp_path / "t.csv", [("a", "x", "2023-07-16"), ("a", "y", "2023-07-17"), ("a", "z", text)])
    summary = prepare_dataset(tmp_path / "t.csv", tmp_path / "shop", **COLUMNS)
    assert summary.examples[0].place == 4 and f"('{text}')" in summary.examples[0].fault
    assert summary.actions == 2


def test_dates_bound_a_range(tmp_path: Path) -> None:
    for factor in (1, 1000, 10**6, 10**9):
        days = [("a", f"i{n}", (1672531200 + n * 86_400) * factor) for n in range(9)]  # from 2023-01-01 on
        table(tmp_path / "t.csv", days)
        folder = tmp_path / f"shop{factor}"
        options = {"since": "2023-01-03", "until": "2023-01-05T00:00:00+01:00"}
        summary = prepare_dataset(tmp_path / "t.csv", folder, **COLUMNS, **options)
        assert [item for _, item, _ in rows_of(folder)] == ["i2", "i3"]
        assert (summary.first, summary.last) == ("2023-01-03 00:00:00", "2023-01-04 00:00:00")


def test_a_table_larger_than_its_memory(tmp_path: Path) -> None:
    """What does not fit goes to disk, and the order stays."""
    rng = np.random.default_rng(0)
    n = 300_000
    given = pd.DataFrame(
        {
            "customer": rng.integers(0, n // 3, n).astype(str),
            "sku": rng.integers(0, 5000, n).astype(str),
            "date": rng.integers(0, 10**9, n),
        }
    )
    prepare_dataset(given, tmp_path / "shop", **COLUMNS, memory="60MB")
    written = pd.read_csv(tmp_path / "shop" / "shop.inter", sep="\t", dtype={0: str, 1: str})
    assert (written.to_numpy() == given.to_numpy()).all()

"""Files of names and of sequences, good ones and bad ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.recommend.files import read_names, read_sequences

PEOPLE = [("ann", ["a b", "c"]), ("bob", ["c"])]


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    if name.endswith(".gz"):
        with gzip.open(file, "wt", encoding="utf-8") as stream:
            stream.write(text)
    else:
        file.write_text(text, encoding="utf-8")
    return file


def test_names_a_line(tmp_path: Path) -> None:
    assert read_names(written(tmp_path, "names.txt", "\ufeffa b\r\n\nc \n  \nd")) == ["a b", "c ", "d"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", 'user_id,item_id\nann,a b\nann,"c"\nbob,c\n'),
        ("s.csv.gz", "item_id,when,user_id\r\na b,1,ann\r\n\r\nc,2,ann\r\nc,1,bob\r\n"),
        ("s.tsv", "user_id\titem_id\nann\ta b\nann\tc\nbob\tc\n"),
        ("s.jsonl", '{"user_id": "ann", "items": ["a b", "c"]}\n\n{"items": ["c"], "user_id": "bob", "more": 1}\n'),
        ("s.ndjson.gz", '{"user_id": "ann", "items": ["a b", "c"]}\n{"items": ["c"], "user_id": "bob"}'),
    ],
)  # fmt: skip
def test_forms_of_sequences(tmp_path: Path, name: str, text: str) -> None:
    assert list(read_sequences(written(tmp_path, name, text))) == PEOPLE


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("s.csv", "user,item_id\na,b\n", "line 1: no column 'user_id' .it has user, item_id.; name the columns"),
        ("s.csv", "", "line 1: no column 'user_id' .it has nothing"),
        ("s.csv", "user_id,item_id\nann,a\nbob\n", "line 3: 1 columns, but the header has 2; correct it"),
        ("s.csv", "user_id,item_id\nann,a\nbob,b\nann,c\n", "line 4: user 'ann' has come before; put all items of one"),
        ("s.jsonl", '{"user_id": "ann", "items": "ab"}\n', 'line 1 is no ."user_id": "ann"'),
        ("s.jsonl", '{"user_id": "ann", "items": ["a"]}\n{"items"\n', "line 2 is no"),
        ("s.txt", "a\n", "holds sequences in no known form; end its name in one of .csv, .tsv, .jsonl"),
    ],
)  # fmt: skip
def test_bad_sequences(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        list(read_sequences(written(tmp_path, name, text)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"none.txt cannot be read \(No such file or directory\); correct its path"
    ):
        read_names(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match=r"latin\.txt is not UTF-8 text; save it as UTF-8"):
        read_names(tmp_path / "latin.txt")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"user_id,item_id\n" * 999)[:40])
    with pytest.raises(UserError, match=r"cut\.csv\.gz cannot be read"):
        list(read_sequences(tmp_path / "cut.csv.gz"))
    with pytest.raises(UserError, match="names nothing; write one name a line"):
        read_names(written(tmp_path, "empty.txt", "\n \n"))

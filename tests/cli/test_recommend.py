"""The commands recommend and similar: what they write, what they say, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.served import histories, listed, served

from recbole_mqsa.cli.main import main


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture
def said(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Exit code, stdout and stderr of a command on a run, in an empty folder."""
    run = served(place, "MQSATED").folder
    monkeypatch.chdir(tmp_path)

    def say(*words: str, folder: Path = run) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([words[0], f"--run={folder}", *words[1:]])
        return code, *capsys.readouterr()

    return say


def test_lists_for_all(said, place: Path) -> None:
    code, out, err = said("recommend", "--output=top.csv", "--topk=3")
    assert code == 0 and out.startswith("top.csv: 1,200 recommendations for 400 users, ")
    again = sum(len(set(items)) < len(items) for items in histories(place).values())
    assert f"{again} of 400 users have some item more than once" in err and "--repeat_purchases" in err
    lists = listed(Path("top.csv"))
    assert lists.keys() == histories(place).keys() and {len(one) for one in lists.values()} == {3}
    assert all(not set(one) & set(histories(place)[user]) for user, one in lists.items())


@pytest.mark.parametrize("word", ["--repeat-purchases", "--exclude-seen=False"])
def test_lists_with_repeat_purchases(said, place: Path, word: str) -> None:
    code, _, err = said("recommend", "--output=top.tsv", "--topk=40", word)
    assert code == 0 and err == ""
    assert {len(one) for one in listed(Path("top.tsv")).values()} == {40}


def test_files_of_names(said) -> None:
    Path("users.txt").write_text("7\nnobody\n3\n")
    Path("only.txt").write_text("1\n2\n3\n4\nnothing\n")
    Path("not.txt").write_text("2\n")
    words = ("--users=users.txt", "--items=only.txt", "--exclude=not.txt", "--exclude_seen=False")
    code, out, err = said("recommend", "--output=top.csv", *words)
    assert code == 0 and "6 recommendations for 2 users" in out
    assert "1 of 3 users in users.txt are not in the run's data and are skipped, such as 'nobody'" in err
    assert "1 of 5 items in only.txt are not in the run's data" in err
    lists = listed(Path("top.csv"))
    assert [*lists] == ["7", "3"] and set(lists["7"]) == set(lists["3"]) == {"1", "3", "4"}


def test_sequences(said) -> None:
    Path("people.csv").write_text("user_id,item_id\nann,1\nann,no\nann,2\nbob,no\ncid,3\n")
    code, out, err = said("recommend", "--output=top.csv", "--sequences=people.csv", "--topk=4")
    assert code == 0 and "8 recommendations for 2 people" in out
    assert "2 of 5 actions in people.csv are of items that the run does not know and were skipped" in err
    assert "1 people had no other and got no list" in err
    assert {user: len(items) for user, items in listed(Path("top.csv")).items()} == {"ann": 4, "cid": 4}


def test_explained(said, place: Path) -> None:
    Path("users.txt").write_text("3\n")
    code, _, _ = said("recommend", "--output=top.jsonl", "--users=users.txt", "--topk=2", "--explain")
    rows = [json.loads(line) for line in Path("top.jsonl").read_text().splitlines()]
    assert code == 0 and [row["rank"] for row in rows] == [1, 2]
    for row in rows:
        assert {one["item"] for one in row["because"]} <= set(histories(place)["3"])
        assert all(0 < one["times"] <= one["of"] for one in row["transitions"])
    assert any(row["transitions"] for row in rows)


def test_similar(said) -> None:
    code, out, _ = said("similar", "--items=1,2", "--topk=2")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["item_id", "by", "rank", "similar_item_id", "score", "times"]
    assert len(lines) == 9 and sum("embedding" in line for line in lines) == 4


def test_similar_without_embeddings(said, place: Path) -> None:
    _, out, _ = said("similar", "--items=1", folder=served(place, "Pop").folder)
    assert (
        out.splitlines()[-1]
        == "Pop has no single item embedding, so these are neighbours by transition alone"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["recommend"], "recommend needs --output, as in --run=runs/shop --output=top.csv"),
        (["recommend", "--output=top.doc"], "output top.doc has no known ending"),
        (["recommend", "--output=top.csv", "--users=a", "--sequences=b"], "both say who gets lists"),
        (["recommend", "--output=top.csv", "--sequences=b", "--split=test"], "no test item; leave --split out"),
        (["recommend", "--output=top.csv", "--split=train"], "--split is train; it has to be one of all, valid, test"),
        (["recommend", "--output=top.csv", "--users=none.txt"], "none.txt cannot be read (No such file or directory)"),
        (["recommend", "--output=top.csv", "--repeat_purchases", "--exclude_seen=True"], "contradict each other"),
        (["recommend", "--output=top.csv", "--exclude_seen=perhaps"], "--exclude_seen is perhaps; it has to be True"),
        (["recommend", "--output=top.csv", "--users=strangers.txt"], "strangers.txt names no user of"),
        (["recommend", "--output=top.csv", "--sequences=strangers.jsonl"], "has nobody with an item of the run"),
        (["recommend", "--output=top.csv", "--sequences=bad.jsonl"], "bad.jsonl, line 2 is no"),
        (["similar"], "similar needs --items, as in --run=runs/shop --items=A,B"),
        (["similar", "--items=1,x"], "item 'x' has no action in the data of"),
    ],
)  # fmt: skip
def test_refused_in_a_sentence(said, words: list[str], says: str) -> None:
    Path("strangers.txt").write_text("x\n")
    Path("strangers.jsonl").write_text('{"user_id": "a", "items": ["x"]}\n')
    Path("bad.jsonl").write_text('{"user_id": "a", "items": ["1"]}\nnonsense\n')
    before = sorted(Path().iterdir())
    code, out, err = said(*words)
    assert (code, out) == (2, "") and says in err and len(err.splitlines()) == 1
    assert sorted(Path().iterdir()) == before


def test_no_run(said, tmp_path: Path) -> None:
    code, _, err = said("recommend", "--output=top.csv", folder=tmp_path)
    assert code == 2 and "holds no finished run" in err


def test_models_that_cannot(said, place: Path) -> None:
    folder = served(place, "LightGCN").folder
    Path("people.jsonl").write_text('{"user_id": "a", "items": ["1"]}\n')
    _, _, err = said("recommend", "--output=top.csv", "--sequences=people.jsonl", folder=folder)
    assert "LightGCN knows only the users that it was trained on" in err
    _, _, err = said("recommend", "--output=top.csv", "--explain", folder=folder)
    assert "LightGCN reads no history" in err and not Path("top.csv").exists()

"""The command prepare: from a table to a data set that trains, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.chain import write_chain
from helpers.runs import settings

from recbole_mqsa.api import train
from recbole_mqsa.cli import prepare
from recbole_mqsa.cli.main import main

WORDS = ["--user=customer", "--item=sku", "--time=date", "--output=data/shop"]


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The chain as a table of orders, with dates."""
    pytest.importorskip("duckdb")
    write_chain(tmp_path, certainty=0.8)
    lines = (tmp_path / "chain" / "chain.inter").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    text = "\n".join(
        f"{user},sku {item},2023-07-{int(time) + 1:02}T12:00:00+02:00" for user, item, time in rows
    )
    (tmp_path / "orders.csv").write_text(f"customer,sku,date\n{text}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "orders.csv"


def test_from_orders_to_recommendations(orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", f"--input={orders}", *WORDS]) == 0
    out = capsys.readouterr().out
    assert "400 users, 40 items" in out and "time: 2023-07-01 10:00:00 to " in out
    assert out.splitlines()[-1] == "train on it: recbole-mqsa --data_path=data --dataset=shop"
    small = {**settings(Path("data"), "MQSATED"), "epochs": 1}
    train("MQSATED", "shop", "runs/shop", **small)  # type: ignore[arg-type]
    assert main(["recommend", "--run=runs/shop", "--output=top.csv", "--topk=5"]) == 0
    assert "2,000 recommendations for 400 users" in capsys.readouterr().out
    assert ",sku " in Path("top.csv").read_text().splitlines()[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output=data/shop"], "prepare needs --input, as in --input=orders.csv --user=customer"),
        (["--input=orders.csv", *WORDS[:2], "--output=x"], "prepare needs --time"),
        (["--input=none.csv", *WORDS], "there is no file none.csv; correct its path"),
        (["--input=orders.csv", *WORDS, "--core=0"], "--core has 0; it takes whole numbers from 1"),
        (["--input=orders.csv", *WORDS, "--min_rating=many"], "--min_rating is many; it has to be a number"),
        (["--input=orders.csv", *WORDS, "--duplicates=all"], "duplicates is 'all'; it has to be one of keep"),
        (["--input=orders.csv", *WORDS, "--core=1000"], "no action of orders.csv passes the filters"),
    ],
)
def test_refused_in_a_sentence(
    orders: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["prepare", *words]) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1 and not list(Path().glob("data/*"))


def test_without_duckdb(
    orders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda _: None)
    assert main(["prepare", f"--input={orders}", *WORDS]) == 2
    assert (
        "prepare reads tables by duckdb, which is not installed; pip install duckdb"
        in capsys.readouterr().err
    )

"""Lists as files: each form read back by somebody else, exactly, and nothing half-written."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.recommend import writing
from recbole_mqsa.recommend.lists import Lists
from recbole_mqsa.recommend.writing import check_output, write_lists

ITEMS = np.array(["[PAD]", "plain", 'a "quoted", one', "tab\there", "NA", "007", "käse\nline"])
NAMES = ["ann", "NULL", '"', "1"]


def made(dtype: Any = np.float32, reasons: bool = False) -> Iterator[Lists]:
    rng = np.random.default_rng(0)
    for names in (NAMES[:2], NAMES[2:]):
        items = np.array([[2, 3, 4, 5], [6, 1, 0, 0]])
        scores = np.where(items > 0, rng.normal(size=items.shape) * 1e-3, -np.inf).astype(dtype)
        why = [
            [{"because": [{"item": ITEMS[i], "weight": 0.5}], "transitions": []} for i in row if i]
            for row in items
        ]
        yield Lists(names, items, scores, None, why if reasons else None)  # type: ignore[arg-type]


def expected(dtype: Any) -> list[tuple[str, str, int, float]]:
    return [
        (name, str(ITEMS[item]), place + 1, float(score))
        for lists in made(dtype)
        for name, items, scores in zip(lists.names, lists.items, lists.scores)
        for place, (item, score) in enumerate(zip(items, scores))
        if item
    ]


def read_back(file: Path, dtype: Any) -> list[tuple[Any, ...]]:
    if file.suffix == ".parquet":
        duckdb = pytest.importorskip("duckdb")
        rows = duckdb.read_parquet(str(file)).fetchall()
    elif file.suffix == ".jsonl":
        rows = [tuple(json.loads(line).values()) for line in file.read_text("utf-8").splitlines()]
    else:
        with file.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream, delimiter="\t" if file.suffix == ".tsv" else ",")  # type: ignore[misc]
        assert header[:4] == ["user_id", "item_id", "rank", "score"]
    return [(user, item, int(rank), float(dtype(score)), *more) for user, item, rank, score, *more in rows]


@pytest.mark.parametrize("ending", writing.FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_read_back(tmp_path: Path, ending: str, dtype: Any) -> None:
    if ending == ".parquet":
        pytest.importorskip("duckdb")
    file = tmp_path / f"it's{ending}"
    assert write_lists(file, made(dtype), ITEMS) == 12
    assert read_back(file, dtype) == expected(dtype)
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("ending", writing.FORMATS)
def test_reasons(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("duckdb")
    file = tmp_path / f"why{ending}"
    write_lists(file, made(reasons=True), ITEMS, explained=True)
    for row in read_back(file, np.float32):
        because, transitions = row[4:] if ending == ".jsonl" else map(json.loads, row[4:])
        assert because == [{"item": row[1], "weight": 0.5}] and transitions == []


@pytest.mark.parametrize("ending", writing.FORMATS)
def test_a_failure_leaves_the_former_file(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("duckdb")
    file = tmp_path / f"top{ending}"
    file.write_text("former")

    def failing() -> Iterator[Lists]:
        yield next(made())
        raise UserError("stop")

    with pytest.raises(UserError, match="stop"):
        write_lists(file, failing(), ITEMS)
    assert file.read_text() == "former" and len(list(tmp_path.iterdir())) == 1


def test_outputs_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (
        ("top.xlsx", "has no known ending; end it in one of .csv, .tsv, .jsonl, .parquet"),
        ("none/top.csv", "there is no folder .*none for output; create it"),
    ):
        with pytest.raises(UserError, match=says):
            check_output(tmp_path / name)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(UserError, match="is a folder; name a file"):
        check_output(tmp_path / "d.csv")
    monkeypatch.setattr(writing.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="parquet is written by duckdb; pip install duckdb, or end output in"):
        check_output(tmp_path / "top.parquet")

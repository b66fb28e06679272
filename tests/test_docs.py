"""The Python of docs/recommend.md, run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.runs import settings

from recbole_mqsa.api import train

WARES = ["kettle", "teapot", "mug", "spoon", "sugar", "milk", "honey", "lemon"]


def test_recommendations_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    people = ["ann", "bob", *(f"c{number}" for number in range(40))]
    lines = [
        f"{name},{WARES[item]},2023-07-{day + 1:02}"
        for name in people
        for day, item in enumerate(rng.permutation(8)[:5])
    ]
    Path("orders.csv").write_text("\n".join(["customer,sku,date", *lines]) + "\n")
    from recbole_mqsa.prepare import prepare_dataset

    prepare_dataset("orders.csv", "data/shop", user="customer", item="sku", time="date")
    train("MQSATED", "shop", "runs/shop", **{**settings(Path("data"), "MQSATED"), "epochs": 1})  # type: ignore[arg-type]
    names: dict[str, Any] = {}
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/recommend.md").read_text("utf-8"), re.DOTALL
    ):
        exec(block, names)
    assert set(names["why"].history_item_id) <= set(WARES) and len(names["why"]) == 15
    assert len(names["lists"]) == 42 * 4 and names["summary"].actions == 210


def test_a_committed_number_follows_from_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/obtained.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert 0.07 < names["ndcg"] < 0.08

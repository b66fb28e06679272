"""The example of a service answers as the run's own recommender does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT
from helpers.served import served

for package in ("fastapi", "httpx", "onnx", "onnxscript", "onnxruntime", "safetensors"):
    pytest.importorskip(package, reason=f"{package} is in the extras 'export' and 'serve'")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("service")
    served(home, "MQSATED").export(home / "shop")
    return home


@pytest.fixture
def client(place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from fastapi.testclient import TestClient

    spec = importlib.util.spec_from_file_location("serve", ROOT / "examples" / "serve.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "serve", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("EXPORT", str(place / "shop"))
    return TestClient(module.app_of_environment())


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_answers_are_the_recommenders(client: Any, place: Path, exclude_seen: bool) -> None:
    person = {"items": ["3", "no", "1", "2"], "k": 7, "exclude_seen": exclude_seen}
    answer = client.post("/recommend", json=person)
    expected = (
        served(place, "MQSATED")
        .recommender()
        .recommend_sequences([person["items"]], k=7, exclude_seen=exclude_seen)
    )
    found = answer.json()
    assert answer.status_code == 200 and found["unknown"] == 1
    assert [one["item"] for one in found["recommendations"]] == list(expected.item_id)
    assert [one["score"] for one in found["recommendations"]] == pytest.approx(list(expected.score), abs=1e-5)


@pytest.mark.parametrize("person", [{"items": ["no"]}, {"items": []}, {"items": ["1"], "k": 0}, {}])
def test_bad_requests_are_refused(client: Any, person: dict[str, object]) -> None:
    assert client.post("/recommend", json=person).status_code == 422

"""An exported ONNX file, run by onnxruntime and by the example of a service, against the run's own recommender."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.served import served

from recbole_mqsa.export import formats

for package in (*formats.FORMATS["onnx"].packages, "safetensors"):
    pytest.importorskip(package, reason=f"{package} is in the extra 'export'")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def onnx(place: Path) -> Path:
    served(place, "MQSATED", transition_memory=0.5).export(place / "onnx")
    return place / "onnx"


def test_onnx_gives_the_runs_lists(place: Path, onnx: Path) -> None:
    import onnxruntime

    about, names = (json.loads((onnx / name).read_text()) for name in ("export.json", "items.json"))
    assert names[0] is None and len(names) == about["items"] + 1 == 41
    number = {name: place for place, name in enumerate(names)}
    session = onnxruntime.InferenceSession(onnx / about["file"])
    rec = served(place, "MQSATED", transition_memory=0.5).recommender()
    random = np.random.default_rng(1)
    for rows, length in [(1, 1), (1, 7), (5, 3), (64, 60)]:
        people = random.choice(names[1:], (rows, length)).tolist()
        items = np.array([[number[name] for name in one] for one in people], dtype=np.int64)
        (scores,) = session.run([about["output"]["name"]], {about["input"]["name"]: items})
        assert scores.shape == (rows, 41) and (scores[:, 0] == -np.inf).all()
        expected = rec.recommend_sequences(people, k=40, exclude_seen=False)
        for person, own in expected.groupby("user_id"):
            found = scores[int(person), [number[name] for name in own.item_id]]
            np.testing.assert_allclose(found, own.score, rtol=0, atol=1e-5)


def test_the_memory_is_in_the_graph(place: Path, onnx: Path) -> None:
    """Without it the scores are others, so that the test above could fail."""
    run = served(place, "MQSATED", transition_memory=0.5)
    items = np.array([[3, 4, 5]])
    with_memory = formats.FORMATS["onnx"].runner(onnx / "model.onnx")(items)[0, 1:]
    with torch.no_grad():
        alone = run.model.eval().full_sort_predict({"item_id_list": torch.from_numpy(items)})[0, 1:]
    assert np.abs(with_memory - alone.numpy()).max() > 0.1


# The example of a service.


@pytest.fixture
def client(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("httpx", reason="fastapi and httpx are in the extra 'test'")
    testing = pytest.importorskip("fastapi.testclient", reason="fastapi is in the extra 'serve'")

    spec = importlib.util.spec_from_file_location("serve", ROOT / "examples" / "serve.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "serve", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("EXPORT", str(onnx))
    return testing.TestClient(module.app_of_environment())


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_answers_are_the_recommenders(client: Any, place: Path, exclude_seen: bool) -> None:
    person = {"items": ["3", "no", "1", "2"], "k": 7, "exclude_seen": exclude_seen}
    answer = client.post("/recommend", json=person)
    expected = (
        served(place, "MQSATED", transition_memory=0.5)
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

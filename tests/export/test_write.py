"""Exported files, run by other programs, against the run's own recommender; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.served import served

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.export import formats, write
from recbole_mqsa.export.write import export

pytest.importorskip("safetensors", reason="weights are written by safetensors, in the extra 'export'")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def test_torch_export_of_one_of_recboles_models(place: Path) -> None:
    about = export(served(place, "SASRec"), place / "torch", "torch")
    assert about["largest_difference"] < 1e-5 and about["file"] == "model.pt2"
    module = torch.export.load(place / "torch" / "model.pt2").module()
    rec = served(place, "SASRec").recommender()
    names = json.loads((place / "torch" / "items.json").read_text())
    expected = rec.recommend_sequences([["3", "1"]], k=40, exclude_seen=False)
    with torch.no_grad():
        scores = module(torch.tensor([[0, names.index("3"), names.index("1"), 0]]))[0]
    found = scores[[names.index(name) for name in expected.item_id]]
    np.testing.assert_allclose(found.numpy(), expected.score, rtol=0, atol=1e-5)


def test_weights_are_the_checkpoints(place: Path) -> None:
    from safetensors import safe_open

    run = served(place, "LightGCN")
    assert "file" not in export(run, place / "weights", "weights")
    saved = torch.load(run.folder / "checkpoint.pth", weights_only=True)["state_dict"]
    with safe_open(place / "weights" / "weights.safetensors", "pt") as file:
        assert file.metadata()["model"] == "LightGCN"
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert found.keys() == saved.keys() and all(torch.equal(found[name], saved[name]) for name in saved)


def test_another_models_scores_are_not_passed_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(items: np.ndarray) -> np.ndarray:
        return np.zeros((len(items), 41), dtype=np.float32)

    wrong = formats.Format("model.pt2", (), lambda _, file: file.touch(), lambda _: run)
    monkeypatch.setitem(formats.FORMATS, "torch", wrong)
    with pytest.raises(UserError, match="MQSATED exported to torch gives other scores than the run"):
        export(served(place, "MQSATED"), place / "wrong", "torch")
    assert not list(place.glob("wrong*"))


def test_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = served(place, "Pop").folder
    assert main(["export", f"--run={run}", "--format=weights"]) == 0
    assert capsys.readouterr().out == f"{run / 'export'}: Pop on chain, 40 items\n"
    assert {file.name for file in (run / "export").iterdir()} == {
        "export.json",
        "items.json",
        "weights.safetensors",
    }


@pytest.mark.parametrize(
    ("model", "words", "says"),
    [
        ("Pop", ["--format=tflite"], "--format is tflite; it has to be one of onnx, torch, weights"),
        ("Pop", ["--output=."], "output . exists already; name another folder, or move it away"),
        ("Pop", ["--output=no/where"], "there is no folder no for output; create it, or name another folder"),
        ("LightGCN", ["--format=torch"], "LightGCN knows only the users that it was trained on"),
        ("FPMC", ["--format=torch"], "FPMC knows only the users that it was trained on"),
        ("Pop", ["--format=torch", "--output=new"], "Pop cannot be exported to torch ("),
    ],
)
def test_refused_in_a_sentence(
    place: Path, tmp_path: Path, monkeypatch, capsys, model: str, words: list[str], says: str
) -> None:
    run = served(place, model).folder
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["export", f"--run={run}", *words]) == 2
    out, error = capsys.readouterr()
    assert out == "" and says in error and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_before_anything_is_read(place: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(formats, "missing", lambda packages: ["onnx", "onnxruntime"])
    monkeypatch.setattr(write, "Recommender", None)
    assert main(["export", f"--run={served(place, 'MQSATED').folder}"]) == 2
    said = capsys.readouterr().err
    assert '--format=onnx needs onnx, onnxruntime, which are not installed: pip install ".[export]"' in said
    assert main(["export"]) == 2
    assert "export needs --run, as in --run=runs/shop --format=onnx" in capsys.readouterr().err

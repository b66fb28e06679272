"""What MLflow and Weights & Biases hold of a run, a benchmark's trials, and a run that goes on; both offline."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from helpers.chain import write_chain
from helpers.runs import Killed, kill_after, settings, trained

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.runs import tracking
from recbole_mqsa.runs.tracking import FILE, FILES, Tracker
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.run import run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MLflow's data base, whose tables take it seconds to create."""
    pytest.importorskip("mlflow", reason="mlflow is in the extra 'track'")
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    place = f"sqlite:///{folder / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # artifacts go beside it, wherever the runs are
        MlflowClient(place).search_experiments()
    return place


@pytest.fixture
def mlflow(store: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of it; runs in this process and in others use it."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return MlflowClient(store)


def runs(client: Any, project: str) -> list[Any]:
    experiment = client.get_experiment_by_name(project)
    return client.search_runs([experiment.experiment_id]) if experiment else []


def curve(client: Any, one: Any, metric: str) -> dict[int, float]:
    found = client.get_metric_history(one.info.run_id, metric)
    assert len({point.step for point in found}) == len(found)
    return {point.step: point.value for point in found}


def epochs(folder: Path, column: str) -> dict[int, float]:
    with (folder / "epochs.csv").open() as file:
        return {int(row["epoch"]): float(row[column]) for row in csv.DictReader(file) if row[column]}


def test_mlflow_holds_settings_epochs_result_and_files(mlflow: Any, home: Path) -> None:
    finished = trained(home, "tracked", track="mlflow", track_project="one", tau=0.3)
    (one,) = runs(mlflow, "one")
    assert one.info.status == "FINISHED" and one.info.run_name == "MQSATED on chain, seed 2020, tracked"
    assert one.data.params["tau"] == "0.3" and one.data.params["model"] == "MQSATED"
    for metric, column in [("valid/ndcg_at_20", "ndcg@20"), ("valid/hit_at_5", "hit@5")]:
        assert curve(mlflow, one, metric) == epochs(finished.folder, column)
    assert curve(mlflow, one, "train/loss_recommendation") == epochs(finished.folder, "loss_recommendation")
    tested = finished.result["test"]
    assert {key: one.data.metrics[f"test/{key.replace('@', '_at_')}"] for key in tested} == tested
    assert one.data.metrics["best_epoch"] == finished.result["best_epoch"]
    assert {file.path for file in mlflow.list_artifacts(one.info.run_id)} == set(FILES)


def test_a_run_that_goes_on_is_the_same_run(mlflow: Any, home: Path) -> None:
    config = Config(
        "MQSATED", "chain", config_dict=settings(home, "MQSATED", track="mlflow", track_project="two")
    )
    with pytest.raises(Killed):
        run(config, home / "killed", kill_after(1), state_interval=0)
    (one,) = runs(mlflow, "two")
    assert one.info.status == "FAILED" and set(curve(mlflow, one, "valid/hit_at_5")) == {0}
    finished = run(config, home / "killed", resume=True)
    (one,) = runs(mlflow, "two")
    assert one.info.status == "FINISHED"
    assert curve(mlflow, one, "valid/hit_at_5") == epochs(finished.folder, "hit@5")


def test_every_trial_of_a_benchmark_is_a_run(mlflow: Any, home: Path) -> None:
    words = [
        "--datasets=chain",
        f"--data_path={home}",
        "--models=Pop,ItemTransition",
        "--seeds=1",
        "--jobs=2",
    ]
    assert main(["benchmark", *words, "--output_dir=bench", "--track=mlflow", "--track_project=three"]) == 0
    names = {(one.data.params["model"], one.data.params["seed"]) for one in runs(mlflow, "three")}
    assert names == {("Pop", "1"), ("ItemTransition", "1")}


def test_a_tracker_that_cannot_begin_ends_the_run_before_data_are_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("nobody\nanswers")

    monkeypatch.setattr(tracking, "SERVICES", {"mlflow": refuse})
    monkeypatch.setattr(tracking, "PAUSE", 0.0)
    monkeypatch.setattr("recbole_mqsa.training.run._built", None)
    pytest.importorskip("mlflow", reason="mlflow is in the extra 'track'")
    with pytest.raises(
        UserError, match=r"track is 'mlflow', but it cannot begin \(ConnectionError: nobody answers\)"
    ):
        trained(home, "nowhere", track="mlflow")
    assert not (home / "nowhere").exists()


class Failing:
    """A service that loses its connection after an epoch."""

    id = "7"

    def __init__(self) -> None:
        self.heard: list[int] = []

    def log(self, metrics: dict[str, float], epoch: int) -> None:
        if self.heard:
            raise ConnectionError("gone")
        self.heard.append(epoch)

    def keep(self, *_: object) -> None:
        raise AssertionError

    def end(self, *_: object) -> None:
        raise AssertionError


def test_a_tracker_that_fails_later_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Failing()
    tracker = Tracker(tmp_path, "mlflow", service)
    rows = [{"epoch": number, "loss_1": 0.5} for number in range(3)]
    tracker.epochs(rows[:1])
    assert json.loads((tmp_path / FILE).read_text()) == {"tracker": "mlflow", "id": "7", "epochs": 1}
    for known in (rows[:2], rows):
        tracker.epochs(known)
    tracker.finish({"best_epoch": 0, "parameters": 1})
    assert service.heard == [0] and caplog.messages == [
        "mlflow failed (ConnectionError: gone); the run goes on without it"
    ]


def test_wandb_offline(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is in the extra 'track'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    finished = trained(home, "tracked", track="wandb", epochs=2)
    (record,) = finished.folder.glob("wandb/offline-run-*/run-*.wandb")
    text = record.read_bytes()
    for word in (
        b"valid/ndcg@20",
        b"train/loss_recommendation",
        b"test/ndcg@20",
        b"query_windows",
        b"epochs.csv",
    ):
        assert word in text, word
    assert json.loads((finished.folder / FILE).read_text())["epochs"] == 2


def test_tensorboard_has_all_metrics(home: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished = trained(home, "events")
    events = EventAccumulator(str(finished.folder / "tensorboard")).Reload()
    for metric in ("hit@5", "ndcg@20"):
        found = {event.step: event.value for event in events.Scalars(f"valid/{metric}")}
        assert found == pytest.approx(epochs(finished.folder, metric))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked, *more: None if asked == name else find(asked, *more)
    )
    monkeypatch.chdir(tmp_path)
    write_chain(tmp_path, 0.8)
    words = [f"--track={name}", "--dataset=chain", f"--data_path={tmp_path}", "--output_dir=run"]
    assert main(words) == 2
    assert (
        f"track is '{name}', but {name} is not installed; pip install {name}, or leave it out"
        in capsys.readouterr().err
    )
    assert main(["--track=mlflo", *words[1:]]) == 2
    assert "track is 'mlflo'; it has to be" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["chain"]

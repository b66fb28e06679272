"""Real trials on the chain: killed and resumed, failing, and kept from the test part."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT
from helpers.runs import settings

from recbole_mqsa.data.withheld import TestPartRead
from recbole_mqsa.runs import tracking
from recbole_mqsa.runs.folder import read_result
from recbole_mqsa.runs.trackers import About
from recbole_mqsa.tuning.check import make_plan
from recbole_mqsa.tuning.plan import Plan
from recbole_mqsa.tuning.space import read_space

pytest.importorskip("optuna")

from recbole_mqsa.tuning import worker
from recbole_mqsa.tuning.engine import Engine

SPACE = {"learning_rate": {"low": 0.001, "high": 0.02}, "query_windows": [[1, 2], [1, 3]]}


def plan_of(home: Path, **more: object) -> Plan:
    space = read_space(more.pop("space", SPACE))  # type: ignore[arg-type]
    return make_plan("MQSATED", "chain", space, settings(home, "MQSATED", **more), pruner="off")


def drawn(home: Path, name: str, **more: object) -> tuple[Engine, Path]:
    """A study with one trial that has not begun to train, and its folder."""
    (home / name).mkdir()
    engine = Engine(str(home / name / "study.journal"), plan_of(home, **more))
    engine.draw()
    return engine, home / name / "trial"


class Killed(Exception):
    """In the place of what ends a process."""


def test_every_trial_is_a_run_of_the_tracker(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, object]] = []

    class Service:
        """Of a tracker that writes down what begins."""

        def __init__(self, about: About, known: str | None) -> None:
            assert known is None
            self.id = str(len(begun))
            begun.append(about.settings)

        def log(self, *_: object) -> None: ...

        def keep(self, *_: object) -> None: ...

        def end(self, *_: object) -> None: ...

    monkeypatch.setattr(tracking, "SERVICES", {"mlflow": Service})
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked, *more: find("json" if asked == "mlflow" else asked, *more)
    )
    engine, folder = drawn(home, "tracked", epochs=1, track="mlflow", track_project="search")
    engine.draw()
    for number in (0, 1):
        worker.work(engine.place, number, folder.with_name(f"trial-{number}"))
    rates = [engine.trial(number).settings["learning_rate"] for number in (0, 1)]
    assert [settings["learning_rate"] for settings in begun] == rates and rates[0] != rates[1]


def test_an_interrupted_trial_goes_on_to_the_same_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, folder = drawn(home, "whole")
    worker.work(whole.place, 0, folder)
    broken, folder = drawn(home, "broken")
    report = Engine.report

    def killing(self: Engine, number: int):  # type: ignore[no-untyped-def]
        inner = report(self, number)

        def killed(epochs: int, score: float) -> bool:
            inner(epochs, score)
            if epochs == 2:
                raise Killed
            return False

        return killed

    monkeypatch.setattr(Engine, "report", killing)
    with pytest.raises(Killed):
        worker.work(broken.place, 0, folder)
    assert broken.trial(0).state == "running"
    monkeypatch.setattr(Engine, "report", report)
    worker.work(broken.place, 0, folder)
    first, second = whole.trial(0), broken.trial(0)
    assert (first.state, first.value, first.best_epoch, first.epochs, first.curve) == (
        second.state, second.value, second.best_epoch, second.epochs, second.curve,
    )  # fmt: skip
    assert first.state == "finished" and len(first.curve) == 3 and first.value == max(first.curve.values())
    worker.work(broken.place, 0, folder)  # it has ended: nothing happens


def test_a_pruned_trial_keeps_its_record_but_no_weights(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, folder = drawn(home, "pruned")
    report = Engine.report
    monkeypatch.setattr(
        Engine, "report", lambda self, number: lambda epochs, score: report(self, number)(epochs, score) or epochs == 2
    )  # fmt: skip
    worker.work(engine.place, 0, folder)
    trial = engine.trial(0)
    assert (trial.state, trial.epochs) == ("pruned", 2) and (trial.seconds or 0) > 0
    assert trial.value == max(trial.curve.values()) and (folder / "epochs.csv").exists()
    assert not list(folder.glob("*.pth"))


def test_no_trial_sees_the_test_part(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, folder = drawn(home, "fair")
    worker.work(engine.place, 0, folder)
    result = read_result(folder)
    assert result is not None and result["test"] is None and "slices" not in result
    assert list(result["users"]) == ["valid"] and not (folder / "ranks.npz").exists()

    from recbole_mqsa.training import run

    fitted = run._fitted

    def leaking(trainer, loaders, state, callback):  # type: ignore[no-untyped-def]
        def peeking(epoch: int, score: float) -> None:
            callback(epoch, trainer.evaluate(loaders[2], load_best_model=False)["ndcg@20"])

        return fitted(trainer, loaders, state, peeking)

    monkeypatch.setattr(run, "_fitted", leaking)
    engine, folder = drawn(home, "leak")
    with pytest.raises(TestPartRead, match="validation alone"):
        worker.work(engine.place, 0, folder)


def test_settings_that_fail_in_training_end_with_a_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stays
    engine, folder = drawn(home, "nan", space={"learning_rate": [1e30, 2e30]})
    assert worker.main([engine.place, "0", str(folder)]) == 2
    assert "recbole-mqsa: the training loss became" in capsys.readouterr().err
    assert engine.trial(0).state == "running"  # the search, which reads the sentence, records it


def command(home: Path) -> list[str]:
    given = settings(home, "MQSATED", epochs=4)
    return [
        *(sys.executable, "-m", "recbole_mqsa", "tune", "--dataset=chain", f"--space={home / 'space.yaml'}"),
        *("--max_trials=1", "--seeds=1", "--resume", f"--output_dir={home / 'out'}"),
        *(f"--{key}={value}" for key, value in given.items() if key != "show_progress"),
    ]


def test_a_search_killed_in_training_goes_on_and_its_best_settings_train(home: Path) -> None:
    (home / "space.yaml").write_text(
        "learning_rate: {low: 0.001, high: 0.02}\nquery_windows: [[1, 2], [1, 3]]\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command(home), env=environment, stdout=subprocess.DEVNULL, cwd=home)
    state = home / "out" / "trials" / "0000" / "state.pth"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command(home), env=environment, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (home / "out" / "trials.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["0", "finished"]]
    best = yaml.safe_load((home / "out" / "best.yaml").read_text())
    assert best["model"] == "MQSATED" and best["epochs"] == 4
    tuned = read_result(home / "out" / "final" / "0000" / "cells" / "chain" / "tuned" / "seed-2021")
    assert tuned is not None and tuned["test"] and tuned["seed"] == 2021
    assert tuned["settings"]["learning_rate"] == best["learning_rate"]
    assert "Test" in (home / "out" / "tune.html").read_text()

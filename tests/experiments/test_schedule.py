"""Trials run once, apart, in parallel, and survive each other's failures and the end of the program."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.chain import write_chain
from helpers.paths import ROOT

from recbole_mqsa.cli.main import main
from recbole_mqsa.experiments.schedule import divided_cores, estimate, rest, run_trials, train_command
from recbole_mqsa.experiments.trials import Trial, Variant, trials_of

VARIANTS = [Variant("one", "Pop", {}), Variant("two", "Pop", {"topk": [5, 20]})]
WRITE = """
import json, os, pathlib, sys, time
folder, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
with open(folder.parents[2] / "started.txt", "a") as file:
    file.write(f"{folder.name} {sorted(os.sched_getaffinity(0))} {os.environ['OMP_NUM_THREADS']}\\n")
time.sleep(seconds)
result = {"seconds": {"training": 60.0}, "settings": {"valid_metric": "NDCG@20"}, "test": {"ndcg@20": 0.5}}
(folder / "result.json").write_text(json.dumps(result))
"""


def fake(seconds: float = 0.0):
    """A command that takes so long and then leaves a result."""
    return lambda trial, settings: [sys.executable, "-c", WRITE, str(trial.folder), str(seconds)]


def finish(trial: Trial, seconds: float = 60.0) -> None:
    trial.folder.mkdir(parents=True)
    result = {"seconds": {"training": seconds - 1, "test": 1.0}, "settings": {}, "test": {}}
    (trial.folder / "result.json").write_text(json.dumps(result))


def test_a_finished_trial_is_never_run_again(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["data"], [1, 2])
    assert len(trials) == 4
    finish(trials[0])
    said: list[str] = []
    assert run_trials(trials, {}, say=said.append, command=fake())
    started = [line.split()[0] for line in (tmp_path / "cells" / "started.txt").read_text().splitlines()]
    assert started == ["seed-2", "seed-1", "seed-2"]
    assert run_trials(trials, {}, say=said.append, command=lambda *_: 1 / 0)  # type: ignore[arg-type, return-value]


def test_a_failed_trial_says_why_while_the_others_go_on_and_is_tried_again(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["data"], [1])
    crash = "import sys; print('Traceback\\nValueError: the reason', file=sys.stderr); sys.exit(3)"

    def one_fails(trial: Trial, settings: dict[str, Any]) -> list[str]:
        return [sys.executable, "-c", crash] if trial is trials[0] else fake()(trial, settings)

    said: list[str] = []
    assert not run_trials(trials, {}, say=said.append, command=one_fails)
    assert trials[0].failure == "ValueError: the reason" and trials[1].finished
    assert "Traceback" in (trials[0].folder / "failed.txt").read_text()
    assert any("FAILED" in line and "the reason" in line for line in said)
    assert run_trials(trials, {}, say=said.append, command=fake())
    assert trials[0].failure is None and not (trials[0].folder / "failed.txt").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SIGKILL", "ended by signal 9 (SIGKILL); the machine may have run out of memory"),
        ("SIGTERM", "ended by signal 15 (SIGTERM)"),
    ],
)
def test_a_killed_trial_names_the_signal(tmp_path: Path, name: str, said: str) -> None:
    trials = trials_of(tmp_path, VARIANTS[:1], ["data"], [1])
    kill = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    assert not run_trials(trials, {}, say=lambda _: None, command=lambda *_: [sys.executable, "-c", kill])
    assert trials[0].failure == said


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: first\nmore of it", "ValueError: first"),
        ("Traceback (most recent call last):\n  x\nKeyError: 1\n\nDuring ...\n\n"
         "Traceback (most recent call last):\n  y\nmine.Lost: second", "mine.Lost: second"),
        ("a warning\nrecbole-mqsa: a sentence\na last word", "a sentence"),
        ("one\nanother", "another"),
        ("", "exit code 1, without a message"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure_is_its_error(tmp_path: Path, said: str, why: str) -> None:
    trials = trials_of(tmp_path, VARIANTS[:1], ["data"], [1])
    fail = f"import sys; sys.stderr.write({said!r}); sys.exit(1)"
    assert not run_trials(trials, {}, say=lambda _: None, command=lambda *_: [sys.executable, "-c", fail])
    assert trials[0].failure == why


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("4096", None), ("many", None), ("", None)])
def test_a_trial_has_no_more_threads_than_the_user_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    trials = trials_of(tmp_path, VARIANTS[:1], ["data"], [1])
    assert run_trials(trials, {}, say=lambda _: None, command=fake())
    found = int((tmp_path / "cells" / "started.txt").read_text().split()[-1])
    assert found == (threads or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("nproc", [1, 64])
def test_the_processes_of_a_trial_share_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nproc: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    trials = trials_of(tmp_path, VARIANTS[:1], ["data"], [1])
    assert run_trials(trials, {"nproc": nproc}, say=lambda _: None, command=fake())
    threads = int((tmp_path / "cells" / "started.txt").read_text().split()[-1])
    assert threads == (len(os.sched_getaffinity(0)) if nproc == 1 else 1)


def test_jobs_run_at_once_each_on_its_own_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    before = os.sched_getaffinity(0)
    trials = trials_of(tmp_path, VARIANTS, ["data"], [1])
    said: list[str] = []
    assert run_trials(trials, {}, jobs=2, say=said.append, command=fake(1.0))
    assert ["running" in line for line in said[:2]] == [True, True]
    lines = (tmp_path / "cells" / "started.txt").read_text().splitlines()
    cores = [set(json.loads(line.partition(" ")[2].rpartition(" ")[0])) for line in lines]
    assert not cores[0] & cores[1] and cores[0] | cores[1] == before
    assert [int(line.split()[-1]) for line in lines] == [len(one) for one in cores]
    assert os.sched_getaffinity(0) == before


def test_what_runs_is_watched(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS[:1], ["data"], [1, 2])
    finish(trials[0], 30)
    trials[1].folder.mkdir(parents=True)
    (trials[1].folder / "epochs.csv").write_text("epoch\n0\n1\n")
    watched: list[str] = []
    assert run_trials(trials, {}, say=lambda _: None, watch=watched.append, command=fake(2.5))
    # Of the 30 seconds some have passed.
    assert re.match(r"1 left, about 2[6-9]\.\d s; one on data, seed 2: 2 epochs, \d", watched[0])


def test_cores_are_divided() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert divided_cores(1) == [cores]
    assert sorted(core for part in divided_cores(len(cores)) for core in part) == cores
    assert len(divided_cores(2 * len(cores))) == 2 * len(cores)


def test_time_is_estimated_from_what_is_finished(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["data", "more"], [1, 2])
    named = {(trial.dataset, trial.variant.name, trial.seed): trial for trial in trials}
    assert all(estimate(trial, trials) is None for trial in trials)
    assert rest(trials, trials, 1) == "8 left, time unknown"
    finish(named["data", "one", 1], 100)
    assert estimate(named["data", "one", 2], trials) == 100  # the same row and data
    assert estimate(named["more", "one", 1], trials) == 100  # the same row elsewhere
    assert estimate(named["data", "two", 1], trials) is None
    finish(named["more", "one", 1], 300)
    assert estimate(named["data", "one", 2], trials) == 100
    assert estimate(named["more", "one", 2], trials) == 300
    ahead = [trial for trial in trials if not trial.finished]
    assert rest(ahead, trials, 1).startswith("6 left, about 6.7 min")  # 100 + 300
    assert rest(ahead, trials, 2) == "6 left, about 5.0 min and 4 of unknown time"  # the longest
    assert rest([], trials, 1) == "nothing left"
    running = [named["data", "one", 2], named["more", "one", 2]]
    elapsed = {id(running[0]): 130.0, id(running[1]): 200.0}  # the first takes longer than was thought
    assert rest(running, trials, 1, elapsed) == "2 left, about 1.7 min"


def test_the_command_trains_the_variant(tmp_path: Path) -> None:
    (trial,) = trials_of(tmp_path, VARIANTS[1:], ["data"], [7])
    words = train_command(trial, {"epochs": 3, "topk": [10], "name": "x"})
    assert "--topk=[5, 20]" in words and "--topk=[10]" not in words  # the row's own comes first
    assert {"--model=Pop", "--dataset=data", "--seed=7", "--epochs=3", "--name='x'", "--resume"} <= set(words)


def alive(folder: Path) -> bool:
    """Whether a process runs whose command line has the name of this folder."""
    return subprocess.run(["pgrep", "-f", str(folder)], stdout=subprocess.DEVNULL).returncode == 0


def test_an_interruption_ends_what_runs(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["data"], [1])

    def interrupt(line: str) -> None:
        assert "one on data, seed 1" in line and alive(trials[0].folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(trials, {}, say=lambda _: None, watch=interrupt, command=fake(100.0))
    assert not alive(tmp_path) and not any(trial.finished or trial.failure for trial in trials)


# With real runs.


@pytest.fixture
def chain(tmp_path: Path) -> list[str]:
    write_chain(tmp_path, certainty=0.8)
    return ["--datasets=chain", f"--data_path={tmp_path}", f"--output_dir={tmp_path / 'out'}"]


def endless(folder: Path, chain: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """A benchmark of one trial that does not end by itself, once it has learnt something, and the trial's folder."""
    command = [sys.executable, "-m", "recbole_mqsa", "benchmark", "--models=MQSATED", *chain]
    command += ["--epochs=100000", "--stopping_step=100000", "--hidden_size=16", "--inner_size=16"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment)
    trial = folder / "out" / "cells" / "chain" / "MQSATED" / "seed-2020"
    deadline = time.monotonic() + 120
    while not (trial / "checkpoint.pth").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    return process, trial


def test_a_terminated_benchmark_goes_on(tmp_path: Path, chain: list[str]) -> None:
    process, trial = endless(tmp_path, chain)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert (trial / "epochs.csv").exists() and not (trial / "result.json").exists()
    assert not alive(trial) and not (trial / "failed.txt").exists()  # its run ended with it
    assert main(["benchmark", "--models=MQSATED", *chain, "--dry_run", "--epochs=7"]) == 0


def test_a_trial_ends_with_a_benchmark_that_was_killed(tmp_path: Path, chain: list[str]) -> None:
    process, trial = endless(tmp_path, chain)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 120
    while alive(trial):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not (trial / "result.json").exists()

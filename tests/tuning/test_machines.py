"""Workers in processes of their own on PostgreSQL and gRPC, two of them killed; fine cases are in test_shared.py."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from helpers.paths import ROOT
from helpers.postgres import free_port, postgres, programs
from helpers.toy_trial import WORKER, toy_plan

pytest.importorskip("optuna")

from recbole_mqsa.tuning.chains import chains_of, has_ended
from recbole_mqsa.tuning.engine import Engine
from recbole_mqsa.tuning.shared import SharedSearch


def work(url: str, folder: Path, count: int, log: Path) -> None:
    """What a machine does: a group of processes, all of which end when it is switched off."""
    os.setsid()
    plan = toy_plan(settings={"pause": 0.3, "data_path": str(folder)})
    more = {"storage": url, "silent_after": 3, "look_seconds": 0.3}
    search = SharedSearch(folder, plan, count, seeds=0, worker=WORKER, **more)  # type: ignore[arg-type]
    with log.open("w", buffering=1) as file:
        search.run(lambda line: print(line, file=file))


def start(url: str, folder: Path, count: int, log: Path) -> BaseProcess:
    log.touch()
    process = multiprocessing.get_context("fork").Process(target=work, args=(url, folder, count, log))
    process.start()
    return process


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def switch_off(process: BaseProcess, log: Path, wait: float) -> None:
    """Kill a machine some time after it has begun a trial."""
    deadline = time.monotonic() + 60
    while "running" not in log.read_text():
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(wait)
    os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()


@pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed (initdb, pg_ctl)")
def test_of_three_workers_two_are_killed_and_every_trial_ends_once(tmp_path: Path) -> None:
    pytest.importorskip("psycopg2")
    drawn, folder, logs = random.Random(15), tmp_path / "out", [tmp_path / f"{one}.log" for one in range(3)]
    with postgres() as url:
        workers = [start(url, folder, 4, log) for log in logs]  # at once, on an empty database
        for victim, log in zip(workers[:2], logs):
            switch_off(victim, log, drawn.uniform(0, 1.5))
        workers[2].join(180)
        said = logs[2].read_text()
        assert workers[2].exitcode == 0, said
        trials = Engine(f"{url}#MQSATED-toy").study.get_trials()
    found, chains = rows(folder), chains_of(trials)
    assert len(chains) == len(found) == 4 and {row["state"] for row in found} <= {"finished", "failed"}
    ended = [one.number for one in trials if has_ended(one)]
    assert sorted(ended) == sorted(chain.tip.number for chain in chains)  # each once
    assert sorted(ended) == sorted(int(row["trial"]) for row in found)
    revived = [chain for chain in chains if chain.lost]
    assert revived and "is silent; another goes on in its place" in said
    assert all(one.params.items() <= chain.tip.params.items() for chain in revived for one in chain.lost)
    assert not [one for one in trials if one.state.name == "RUNNING"]
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert (folder / "tune.html").exists() and not any(b"s3cret" in content for content in written)


def test_two_workers_share_a_journal_behind_a_server(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    port, folders = free_port(), [tmp_path / "a", tmp_path / "b"]  # machines that share no disk
    words = ["-m", "recbole_mqsa.tuning.serve", str(tmp_path / "study.journal"), f"--port={port}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert f"grpc://127.0.0.1:{port}" in server.stdout.readline()
        url = f"grpc://127.0.0.1:{port}"
        workers = [start(url, folder, 3, folder.with_suffix(".log")) for folder in folders]
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0, 0]
    finally:
        server.kill()
        server.communicate()
    assert rows(folders[0]) == rows(folders[1]) and len(rows(folders[0])) == 3
    assert len({row["learning_rate"] for row in rows(folders[0])}) == 3
    assert sum((folder / "tune.html").exists() for folder in folders) == 1

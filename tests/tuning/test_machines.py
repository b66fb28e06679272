"""Workers in processes of their own on a PostgreSQL and on gRPC, two of them killed; the fine cases are in test_shared.py."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.paths import ROOT
from helpers.postgres import free_port, postgres, programs

pytest.importorskip("optuna")

WORKER = """
import sys
from pathlib import Path
from helpers.toy_trial import WORKER, toy_plan
from recbole_mqsa.tuning.address import ADDRESS
from recbole_mqsa.tuning.shared import SharedSearch
url, folder, count = sys.argv[1:]
plan = toy_plan(settings={"pause": 0.2, "data_path": "."})
search = SharedSearch(Path(folder), plan, int(count), seeds=0, worker=WORKER, storage=url, silent_after=2, look_seconds=0.2)
search.run(lambda line: print(line, flush=True))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def start(url: str, folder: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, str(folder), str(count)],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed (initdb, pg_ctl)")
def test_of_three_workers_two_are_killed_and_every_trial_ends_once(tmp_path: Path) -> None:
    pytest.importorskip("psycopg2")
    drawn = random.Random(15)
    with postgres() as url:
        workers = [start(url, tmp_path / "out", 5) for _ in range(3)]  # at once, on an empty database
        for victim in workers[:2]:
            assert victim.stdout is not None
            while "running" not in (line := victim.stdout.readline()):
                assert line, "it ended before it began a trial"
            time.sleep(drawn.uniform(0, 1.5))
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
        said, _ = workers[2].communicate(timeout=120)
        assert workers[2].returncode == 0, said
        found = rows(tmp_path / "out")
        from recbole_mqsa.tuning.chains import SURPLUS, chains_of, has_ended
        from recbole_mqsa.tuning.engine import Engine

        trials = Engine(f"{url}#MQSATED-toy").study.get_trials()
    chains = chains_of(trials)
    assert len(chains) == len(found) == 5
    assert {row["state"] for row in found} <= {"finished", "failed"}
    ended = [one for one in trials if has_ended(one)]
    assert sorted(one.number for one in ended) == sorted(chain.tip.number for chain in chains)  # each once
    revived = [chain for chain in chains if chain.lost]
    assert 1 <= len(revived) <= 2 and "is silent; another goes on in its place" in said
    assert all(chain.tip.params == one.params for chain in revived for one in chain.lost if one.params)
    assert not [one for one in trials if one.state.name == "RUNNING"] and SURPLUS not in ended[0].user_attrs
    assert (tmp_path / "out" / "tune.html").exists()
    written = [file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert not any(b"s3cret" in content for content in written) and "s3cret" not in said


def test_two_workers_share_a_journal_behind_a_server(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    port = free_port()
    words = ["-m", "recbole_mqsa.tuning.serve", str(tmp_path / "study.journal"), f"--port={port}"]
    server = subprocess.Popen([sys.executable, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert f"grpc://127.0.0.1:{port}" in server.stdout.readline()
        folders = [tmp_path / "a", tmp_path / "b"]  # machines that share no disk
        workers = [start(f"grpc://127.0.0.1:{port}", folder, 4) for folder in folders]
        said = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], said
    finally:
        server.kill()
        server.communicate()
    assert rows(folders[0]) == rows(folders[1]) and len(rows(folders[0])) == 4
    assert sum((folder / "tune.html").exists() for folder in folders) == 1
    assert len({row["learning_rate"] for row in rows(folders[0])}) == 4

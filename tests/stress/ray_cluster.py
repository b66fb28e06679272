"""A search on two machines of a Ray cluster, one of which is lost in the middle; then the driver is killed and resumes.

    python tests/stress/ray_cluster.py

It needs an environment with a current Ray: ``.ci/ray`` makes one. Both machines are this one: two times ``ray start``
on loopback, without dashboards. What has to hold is asserted, what happened is printed.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.chain import write_chain  # noqa: E402 - the path is above
from helpers.runs import settings  # noqa: E402 - likewise

from recbole_mqsa.runs.folder import read_result  # noqa: E402 - likewise

RAY = str(Path(sys.executable).with_name("ray"))
ENVIRONMENT = {
    **os.environ,
    **{"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
    **{
        "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
        "RAY_DISABLE_MEMORY_MONITOR": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    },
    **{"RAY_health_check_failure_threshold": "3"},
}
TRIALS, EPOCHS = 5, 20


def say(text: str) -> None:
    """A line of the log, with the seconds since the start."""
    print(f"{time.monotonic() - BEGUN:6.1f} s  {text}", flush=True)


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ray_start(*words: str) -> subprocess.Popen[bytes]:
    """A machine of the cluster, whose processes end with it."""
    common = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=100000000", "--block"]
    return subprocess.Popen(
        [RAY, "start", *words, *common, "--disable-usage-stats"], env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def search(home: Path, address: str) -> subprocess.Popen[str]:
    """The command of a user."""
    given = {**settings(home, "MQSATED", epochs=EPOCHS), "state_interval": 0, "train_batch_size": 32}
    words = [
        *(
            "tune",
            "--engine=ray",
            f"--address={address}",
            "--dataset=chain",
            f"--space={home / 'space.yaml'}",
        ),
        *(f"--max_trials={TRIALS}", "--jobs=2", "--seeds=1", "--resume", f"--output_dir={home / 'out'}"),
        *(f"--{key}={value}" for key, value in given.items() if key != "show_progress"),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "recbole_mqsa", *words], env=ENVIRONMENT, cwd=home, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def until(process: subprocess.Popen[str], text: str, times: int = 1) -> None:
    """Print what the search says, until it has said something so many times."""
    assert process.stdout is not None
    for line in process.stdout:
        say(f"    {line.rstrip()}")
        times -= text in line
        if not times:
            return
    raise AssertionError(f"the search ended before it said '{text}'")


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a program and all below it, as a machine that is switched off; Ray's are in groups of their own."""
    with suppress(psutil.NoSuchProcess):
        whole = psutil.Process(process.pid)
        for one in [whole, *whole.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def rows(folder: Path) -> list[dict[str, str]]:
    """The record of the trials."""
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def epochs_of(folder: Path) -> int:
    """How many epochs a trial has recorded."""
    file = folder / "epochs.csv"
    return max(0, len(file.read_text().splitlines()) - 1) if file.exists() else 0


def main() -> None:
    """Start two machines, search, lose one of them, kill the driver, resume, and check what is left."""
    home = Path(tempfile.mkdtemp(prefix="ray"))
    write_chain(home, certainty=0.8)
    (home / "space.yaml").write_text("learning_rate: {low: 0.001, high: 0.02, log: true}\ntau: [0.1, 0.2]\n")
    port = free_port()
    address = f"127.0.0.1:{port}"
    scratch = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # short, as a socket's path has to be
    temporary = f"--temp-dir={scratch}"
    say(f"Ray {version('ray')}, Python {sys.version.split()[0]}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left
    searches: list[subprocess.Popen[str]] = []
    machines = [ray_start("--head", f"--port={port}", "--include-dashboard=false", temporary)]
    try:
        wait_for_nodes(address, 1)
        machines.append(ray_start(f"--address={address}"))
        wait_for_nodes(address, 2)
        say("two machines are up")
        searches.append(first := search(home, address))
        until(first, "running", times=2)
        wait_for_states(home)
        say("one machine is lost")
        end(machines[1])
        until(first, "goes on from its last state")
        until(first, "running")  # a third trial: the search goes on with one machine
        say("the driver is killed")
        end(first)
        before = rows(home / "out")
        say(f"    trials: {[(row['trial'], row['state']) for row in before]}")
        searches.append(second := search(home, address))
        until(second, "the report is", times=2)
        said, _ = second.communicate(timeout=300)
        for line in said.splitlines():
            say(f"    {line}")
        assert second.returncode == 0, second.returncode
        check(home, before)
    finally:
        for one in (*searches, *machines):
            end(one)
    shutil.rmtree(home)
    shutil.rmtree(scratch, ignore_errors=True)
    say("all is as it has to be")


def check(home: Path, before: list[dict[str, str]]) -> None:
    """Every trial that was asked for ended once, and whoever ended before is as it was."""
    found = rows(home / "out")
    say(f"    trials: {[(row['trial'], row['state'], row['epochs']) for row in found]}")
    assert [int(row["trial"]) for row in found] == list(range(TRIALS))
    assert all(row["state"] in ("finished", "pruned") for row in found), found
    assert [row for row in before if row["state"] != "running"] == [
        row for row, old in zip(found, before) if old["state"] != "running"
    ]
    for row in found:
        folder = home / "out" / "trials" / f"{int(row['trial']):04d}"
        assert epochs_of(folder) == int(row["epochs"]) or row["state"] == "pruned"
        assert (read_result(folder) is not None) == (row["state"] == "finished")
        if row["state"] == "pruned":
            assert not list(folder.glob("*.pth"))
    best = max(
        (row for row in found if row["state"] == "finished"), key=lambda row: float(row["valid_ndcg@20"])
    )
    assert (home / "out" / "final" / f"{int(best['trial']):04d}" / "report.html").exists()
    assert (home / "out" / "tune.html").exists() and not (home / "out" / "ray").exists()


def wait_for_nodes(address: str, count: int) -> None:
    """Wait until so many machines are in the cluster."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        code = (
            f"import ray; ray.init('{address}', log_to_driver=False, logging_level='ERROR');"
            "print(sum(node['Alive'] for node in ray.nodes()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.stdout.strip() == str(count):
            return
        time.sleep(1)
    raise AssertionError(f"no cluster of {count} at {address}: {done.stderr[-2000:]}")


def wait_for_states(home: Path) -> None:
    """Wait until both trials that run have a state to go on from."""
    deadline = time.monotonic() + 120
    while not all((home / "out" / "trials" / number / "state.pth").exists() for number in ("0000", "0001")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


BEGUN = time.monotonic()
if __name__ == "__main__":
    main()

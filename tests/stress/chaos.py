"""Kill or stop a random process of a training by several, and see all of it end with a sentence that names it.

    python tests/stress/chaos.py --times=20 --record=benchmarks/records/chaos.json

Each time two to four processes train one of several models on the tests' data set, with a ``rank_timeout`` of twenty
seconds. At a random moment one of them is killed (``kill -9``) or stopped for ever (SIGSTOP, as on a disk that does not
answer), or the process that started them is killed. All have to end in time; the message has to name the rank; and the
run, gone on with, has to end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import programs
from helpers.chain import write_chain

from recbole_mqsa.runs.provenance import environment

MODELS = ("MQSATED", "SASRec", "LightGCN", "BERT4Rec", "FMLPRec")
SECONDS = 20
"""The ``rank_timeout``."""
MARGIN = 40
"""Seconds more that all may take to end, as the machine may be busy."""


def members(launcher: int) -> list[int]:
    """The ids of a launcher's processes, in the order of their ranks."""
    try:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        started = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:
        return []
    return sorted(map(int, started))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def disturb(home: Path, chance: random.Random, number: int) -> str:
    """Disturb one training, and go on with it; what was done.

    Raises:
        SystemExit: some process went on, or the message did not name the one to blame.
    """
    nproc, model = chance.choice([2, 3, 4]), chance.choice(MODELS)
    what, rank = chance.choice(["killed", "killed", "stopped", "launcher killed"]), chance.randrange(nproc)
    folder = home / f"run-{number}"
    words = [
        *(word for word in programs.SMALL if not word.startswith(("--epochs=", "--train_batch_size="))),
        *("--epochs=6", "--train_batch_size=128"),
        f"--model={model}",
        f"--nproc={nproc}",
        f"--rank_timeout={SECONDS}",
    ]
    words.append(f"--output_dir={folder}")

    running = programs.start(words, home)
    begun = (folder / "state.pth").exists
    if not wait_for(lambda: begun() or running.poll() is not None, programs.LONGEST) or not begun():
        said = ended(running, words, MARGIN)
        raise SystemExit(
            f"it ended by itself, or had no state after {programs.LONGEST} s: {' '.join(words)}\n{said[-3000:]}"
        )
    pids = members(running.pid)
    time.sleep(chance.uniform(0, 2))
    if not all(map(alive, pids)):
        return "ended before"
    victim = running.pid if what == "launcher killed" else pids[rank]
    os.kill(victim, signal.SIGSTOP if what == "stopped" else signal.SIGKILL)
    said = ended(running, words, SECONDS + MARGIN)
    if not wait_for(lambda: not any(map(alive, pids)), MARGIN):
        raise SystemExit(f"{what}, and some ranks go on: {' '.join(words)}")
    last = said.splitlines()[-1] if said else ""
    if what != "launcher killed" and (running.returncode != 1 or f"rank {rank} " not in last):
        raise SystemExit(
            f"rank {rank} was {what}, but with exit code {running.returncode} it said\n{said[-3000:]}"
        )

    again = programs.start([*words, "--resume"], home)
    said = ended(again, words, programs.LONGEST)
    if again.returncode:
        raise SystemExit(f"it does not go on: {' '.join(words)}\n{said[-3000:]}")
    return what


def ended(running: subprocess.Popen[bytes], words: list[str], seconds: float) -> str:
    """What a process said until its end."""
    try:
        return running.communicate(timeout=seconds)[0].decode()
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        raise SystemExit(f"it goes on after {seconds} s: {' '.join(words)}") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a json file for the tally")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    record = environment(["tests/stress/chaos.py", *sys.argv[1:]])
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        write_chain(Path(home), certainty=0.8)
        for number in range(given.times):
            tally[disturb(Path(home), chance, number)] += 1
            print(dict(tally), flush=True)
            if given.record:
                given.record.write_text(
                    json.dumps({"tally": tally, "times": number + 1, **record}, indent=2) + "\n"
                )
    print(f"{given.times} trainings disturbed, each ended in time with the rank's name, and went on")
    return 0


if __name__ == "__main__":
    sys.exit(main())

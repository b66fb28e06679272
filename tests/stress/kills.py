"""Kill programs at random moments, go on with them, and compare what they leave with what an undisturbed one leaves.

    python tests/stress/kills.py --kills=100 --record=benchmarks/records/kills.json

Each program is run once undisturbed. Then it is started again and again in another folder, and killed (``kill -9``, its
whole process group) after a random time, until its share of kills is spent; the last start may end. After one kill in
four its latest state is damaged, so that the one before it has to serve. Results, ranks, the record of all epochs and
the weights have to be those of the undisturbed program, bit for bit on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import programs
import torch
from helpers.chain import write_chain
from helpers.runs import without_seconds

from recbole_mqsa.runs.checkpoints import safe_load
from recbole_mqsa.runs.provenance import environment

KEPT = Path(tempfile.gettempdir(), "killed")
"""Where everything goes if a killed program has left something else."""
RESULTS = ("best_epoch", "epochs_run", "valid", "test", "slices", "users", "parameters")
"""What a result.json has apart from times, memory and places."""


@dataclass(frozen=True)
class Program:
    """A command that can be killed and started again.

    Attributes:
        words: the command line, without what it writes to.
        again: what is added to go on.
        content: what it left in a folder, as something that can be compared.
        output: the option that names the folder or file.
        ending: of the name of what it writes.
        before: another command line that has to be run first, with what that writes to.
        at_once: whether what it writes appears as a whole, and is never overwritten.
    """

    words: Sequence[str]
    again: Sequence[str] = ("--resume",)
    content: Callable[[Path], object] = field(default=lambda folder: run_content(folder))
    output: str = "--output_dir"
    ending: str = ""
    before: Sequence[str] = ()
    at_once: bool = False


def run_content(folder: Path) -> object:
    """Figures, ranks, epochs and weights of a run."""
    result = json.loads((folder / "result.json").read_text())
    ranks = np.load(folder / "ranks.npz")
    checkpoint = safe_load(folder / "checkpoint.pth", torch.device("cpu"))
    weights = {name: values.numpy().tobytes().hex() for name, values in checkpoint["state_dict"].items()}
    arrays = {name: ranks[name].tolist() for name in ranks.files}
    return {name: result.get(name) for name in RESULTS}, arrays, without_seconds(folder), weights


def benchmark_content(folder: Path) -> object:
    """What each run of a benchmark left."""
    files = sorted(folder.glob("cells/*/*/*/result.json"))
    return {str(file.parent.relative_to(folder)): run_content(file.parent) for file in files}


def search_content(folder: Path) -> object:
    """The settings of each trial of a search, and what they reached."""
    lines = [line.split(",") for line in (folder / "trials.csv").read_text().splitlines()]
    kept = [place for place, name in enumerate(lines[0]) if "second" not in name and "date" not in name]
    best = (folder / "best.yaml").read_text()
    return best.partition("\n")[2], [[line[place] for place in kept] for line in lines]


def file_content(file: Path) -> bytes:
    return file.read_bytes()


def data_content(folder: Path) -> object:
    """The actions and their account, in which the folder is named."""
    account = (folder / "summary.json").read_text().replace(folder.name, "")
    return (folder / f"{folder.name}.inter").read_bytes(), account


PROGRAMS = {
    "MQSATED": Program(programs.SMALL),
    "MQSATED, drawn items": Program((*programs.SMALL, "--negatives=20", "--sparse_gradients=True")),
    "SASRec": Program((*programs.SMALL, "--model=SASRec")),
    "LightGCN": Program((*programs.SMALL, "--model=LightGCN")),
    "BERT4Rec with distillation": Program((*programs.SMALL, "--model=BERT4Rec", "--transition=ted")),
    "two processes": Program((*programs.SMALL, "--nproc=2")),
    "benchmark": Program(
        ("benchmark", "--datasets=chain", "--models=Pop,MQSATED", *programs.SMALL[1:]), (), benchmark_content
    ),
    "tune": Program(
        (*("tune", "--space=space.yaml", "--max_trials=3", "--seeds=0", "--seed=1"), *programs.SMALL),
        ("--resume",),
        search_content,
    ),
    "recommend": Program(
        ("recommend", "--run=trained", "--topk=10"),
        *((), file_content, "--output", ".jsonl"),
        before=(*programs.SMALL, "--output_dir=trained"),
    ),
    "prepare": Program(
        ("prepare", "--input=orders.csv", "--user=customer", "--item=sku", "--time=date"),
        *((), data_content, "--output"),
        at_once=True,
    ),
}


def command(program: Program, folder: Path, *more: str) -> list[str]:
    return [*program.words, f"{program.output}={folder}{program.ending}", *more]


def write_inputs(home: Path) -> None:
    """A data set, a space to search and a table of orders."""
    write_chain(home, certainty=0.8)
    (home / "space.yaml").write_text("learning_rate: {low: 0.001, high: 0.05, log: true}\ntau: [0.1, 0.2]\n")
    chance = random.Random(0)
    rows = (
        f"c{chance.randrange(2000)},s{chance.randrange(300)},{10**9 + second}" for second in range(50_000)
    )
    (home / "orders.csv").write_text("\n".join(["customer,sku,date", *rows]) + "\n")


def damage(folder: Path, chance: random.Random) -> bool:
    """Cut the latest state, or change a byte of it, if there is one before it to fall back on."""
    states = [file for file in folder.rglob("state.pth") if (file.parent / "state.former.pth").exists()]
    if not states:
        return False
    file = chance.choice(states)
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content))
    if chance.random() < 0.5:
        file.write_bytes(content[:place])
    else:
        content[place] ^= 0xFF
        file.write_bytes(content)
    return True


def kill_and_go_on(program: Program, home: Path, kills: int, chance: random.Random) -> dict[str, object]:
    """One program, killed this often; says what was found."""
    if program.before:
        first = programs.start(program.before, home)
        if first.wait(programs.LONGEST):
            raise SystemExit(f"what comes before failed: {' '.join(program.before)}")
    begun = time.monotonic()
    whole = programs.start(command(program, home / "whole"), home)
    said, _ = whole.communicate(timeout=programs.LONGEST)
    if whole.returncode:
        raise SystemExit(f"the undisturbed program failed:\n{said.decode()}")
    lasts = time.monotonic() - begun
    tally = {"kills": 0, "damaged states": 0, "starts": 0, "ended before the kill": 0}
    rounds = 0
    while tally["kills"] < kills:
        folder = home / f"killed-{rounds}"
        rounds += 1
        while True:
            last = tally["kills"] >= kills
            running = programs.start(command(program, folder, *program.again), home)
            tally["starts"] += 1
            try:
                said, _ = running.communicate(
                    timeout=programs.LONGEST if last else chance.uniform(0.2, 1) * lasts
                )
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.communicate()
                if last:
                    raise SystemExit(f"hung for {programs.LONGEST} s: {' '.join(running.args)}") from None
                tally["kills"] += 1
                tally["damaged states"] += chance.random() < 0.25 and damage(folder, chance)
                if program.at_once and folder.exists():  # killed after its last act
                    break
                continue
            if running.returncode:
                raise SystemExit(f"{' '.join(running.args)}\n{said.decode()}")
            tally["ended before the kill"] += not last
            break
        left, undisturbed = (home / f"{name}{program.ending}" for name in (folder.name, "whole"))
        if program.content(left) != program.content(undisturbed):
            shutil.copytree(home, KEPT, dirs_exist_ok=True)
            raise SystemExit(
                f"{folder.name} is not what the undisturbed program left in whole; both are kept in {KEPT}"
            )
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="over all programs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", help="comma-separated; by default " + ", ".join(PROGRAMS))
    parser.add_argument("--record", type=Path, help="a json file for the tally")
    given = parser.parse_args()
    names = given.programs.split(",") if given.programs else list(PROGRAMS)
    chance = random.Random(given.seed)
    record = environment(["tests/stress/kills.py", *sys.argv[1:]])
    tallies: dict[str, dict[str, object]] = {}
    total = 0
    for number, name in enumerate(names):
        share = given.kills * (number + 1) // len(names) - given.kills * number // len(names)
        if not share:
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            write_inputs(Path(home))
            tallies[name] = kill_and_go_on(PROGRAMS[name], Path(home), share, chance)
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in tallies[name].items())}", flush=True)
        total = sum(tally["kills"] for tally in tallies.values())
        if given.record:
            given.record.write_text(json.dumps({"tally": tallies, "kills": total, **record}, indent=2) + "\n")
    print(f"{total} kills, each program as if it had not been killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How long `train` and `tune` take from their start to the row of the first epoch.

    python benchmarks/start.py --data_path=../shared/datasets --dataset=ml-100k

Each is started ``--repeats`` times, in turn, with its default settings; the figures are medians, in seconds of a clock,
so nothing else should run on the machine. ``tune`` checks its plan in one process and trains in another, so it starts
Python twice.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import parser, write_record

PROGRAM = Path(__file__).parents[1] / "run_recbole_mqsa.py"
SPACE = "learning_rate: {low: 5e-4, high: 5e-3, log: true}\n"
COMMANDS = {
    "train": ["train"],
    "tune": ["tune", "--max_trials=1", "--seeds=0", "--space={folder}/space.yaml"],
}
EPOCHS = {"train": "run/epochs.csv", "tune": "run/trials/0000/epochs.csv"}


def seconds_to_first_epoch(command: str, arguments: argparse.Namespace) -> float:
    """From the start of a command to the first row of its ``epochs.csv``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "space.yaml").write_text(SPACE, encoding="utf-8")
        words = [word.format(folder=folder) for word in COMMANDS[command]]
        given = [f"--dataset={arguments.dataset}", f"--output_dir={folder}/run", "--epochs=2"]
        given += [f"--data_path={arguments.data_path}"] * bool(arguments.data_path)
        start = time.perf_counter()
        run = subprocess.Popen(
            [sys.executable, str(PROGRAM), *words, *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        file = Path(folder) / EPOCHS[command]
        while not file.exists() or len(file.read_text(encoding="utf-8").splitlines()) < 2:
            if run.poll() is not None:
                raise SystemExit(f"{command} ended without an epoch; run it by hand to see why")
            time.sleep(0.01)
        took = time.perf_counter() - start
        run.wait()
    return took


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--dataset", default="ml-100k")
    options.add_argument("--data_path", help="the folder of data sets; by default RecBole's")
    options.add_argument("--repeats", type=int, default=3)
    arguments = options.parse_args()
    taken: dict[str, list[float]] = {command: [] for command in COMMANDS}
    for _ in range(arguments.repeats):
        for command, seconds in taken.items():
            seconds.append(seconds_to_first_epoch(command, arguments))
    medians = {command: statistics.median(seconds) for command, seconds in taken.items()}
    for command, seconds in medians.items():
        print(f"{command:<6}{seconds:6.1f} s")
    if arguments.output:
        write_record(arguments.output, {"seconds": taken, "medians": medians, "dataset": arguments.dataset})


if __name__ == "__main__":
    main()

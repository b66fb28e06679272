"""What all benchmarks use: contenders in processes of their own, and records."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def parser(description: str | None, of_data: bool = False) -> argparse.ArgumentParser:
    """A parser with ``--output`` and, if ``of_data``, the options that name a data set; a script adds its own."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--output", help="JSON file for the figures")
    if of_data:
        made.add_argument("--dataset", default="ml-100k")
        made.add_argument("--data_path", default="dataset/")
    return made


def config_class(ours: bool) -> Any:
    """This package's ``Config``; unless ``ours``, one that leaves RecBole's models their data set and loaders."""
    from recbole_mqsa.settings.config import Config

    return Config if ours else type("TheirConfig", (Config,), {"one_protocol": False})


def in_own_process(*arguments: str) -> Figures:
    """Start the running script with ``arguments``, and return the JSON in the last line that it prints."""
    command = [sys.executable, sys.argv[0], *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def train_one_epoch(folder: str, given: argparse.Namespace, **settings: object) -> None:
    """Train the data set of ``given`` for one epoch, for benchmarks in which a model's quality changes no speed."""
    named = {"dataset": given.dataset, "data_path": given.data_path, "epochs": 1, "output_dir": folder}
    words = [f"--{name}={value}" for name, value in (named | settings).items()]
    subprocess.run([sys.executable, "-m", "recbole_mqsa", *words], check=True, stdout=subprocess.DEVNULL)


def alternate(contenders: Iterable[str], repeats: int) -> dict[str, list[Figures]]:
    """Start the running script for each ``--contender`` in turn, ``repeats`` times: the figures of each contender."""
    taken: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, runs in taken.items():
            runs.append(in_own_process(*sys.argv[1:], f"--contender={name}"))
    return taken


def medians_of(taken: dict[str, list[Figures]]) -> dict[str, Figures]:
    """The median of each contender's figures."""
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in taken.items()
    }


def peak_mb() -> float:
    """The peak memory of this process so far, in MiB."""
    from recbole_mqsa.runs.provenance import peak_memory_bytes

    return peak_memory_bytes()["process"] / 2**20


def write_record(path: str, figures: Figures) -> None:
    """Write the figures with command, commit, versions and hardware."""
    from recbole_mqsa.runs.provenance import environment

    Path(path).write_text(json.dumps({**figures, **environment()}, indent=2) + "\n", encoding="utf-8")

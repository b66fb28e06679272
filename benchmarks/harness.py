"""What the benchmarks share: contenders in processes of their own, and records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def in_own_process(*arguments: str) -> dict[str, Any]:
    """What the running script prints last, as JSON, when it is started with ``arguments``."""
    command = [sys.executable, sys.argv[0], *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mb() -> float:
    """The largest memory that this process has held so far."""
    from recbole_mqsa.runs.provenance import peak_memory_bytes

    return peak_memory_bytes()["process"] / 2**20


def write_record(path: str, figures: dict[str, Any]) -> None:
    """The figures beside command, commit, versions and hardware."""
    from recbole_mqsa.runs.provenance import environment

    Path(path).write_text(json.dumps({**figures, **environment()}, indent=2) + "\n", encoding="utf-8")

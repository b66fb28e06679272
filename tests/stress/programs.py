"""How the scripts of this folder start this package's programs, and their small settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # nothing has to be installed, helpers of the tests included

LONGEST = 1800
"""Seconds after which a program counts as hung."""
SMALL = (
    "--dataset=chain",
    "--data_path=.",
    "--epochs=12",
    "--stopping_step=50",
    "--train_batch_size=32",
    "--state_interval=0",
    "--show_progress=False",
    "--mask_seen=False",
    "--topk=[1,5]",
    "--valid_metric=NDCG@5",
    "--MAX_ITEM_LIST_LENGTH=12",
)
"""Settings of a training that takes seconds on the tests' data set."""


def start(words: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
    """``recbole-mqsa`` with these words in the folder ``home``, one thread a process, in a process group of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "recbole_mqsa", *words]
    return subprocess.Popen(
        command,
        cwd=home,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

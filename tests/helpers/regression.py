"""Short runs whose every number is kept: what a change of structure must leave as it is, bit for bit.

``python tests/helpers/regression.py FOLDER FILE`` makes the runs in FOLDER and writes FILE; the committed file is
``tests/fixtures/regression.json``. Only the command line is used, so that any version of the program can be recorded.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = {"prefixes": "longest"}
CASES: dict[str, dict[str, Any]] = {
    "MQSATED": {"model": "MQSATED"},
    "MQSATED-plain": {
        "model": "MQSATED",
        "softmax_precision": "float32",
        "softmax_block": 0,
        "attention_groups": 1,
        "distillation_heads": 0,
    },
    "MQSATED-ges": {"model": "MQSATED", "transition": "ges"},
    "MQSATED-grareg": {"model": "MQSATED", "transition": "grareg"},
    "MQSATED-drawn": {"model": "MQSATED", "negatives": 256},
    "MQSATED-sparse": {"model": "MQSATED", "negatives": 256, "sparse_gradients": True},
    "MQSATED-2": {"model": "MQSATED", "nproc": 2},
    "SASRec-ted": {"model": "SASRec", "transition": "ted", "lambda_kd": 0.3, **LONGEST},
    "SASRec-ges": {"model": "SASRec", "transition": "ges", **LONGEST},
    "SASRec-ted-2": {"model": "SASRec", "transition": "ted", "lambda_kd": 0.3, "nproc": 2, **LONGEST},
    "BERT4Rec-ted": {"model": "BERT4Rec", "transition": "ted", "lambda_kd": 0.3, **LONGEST},
    "GRU4Rec": {"model": "GRU4Rec", **LONGEST},
    "LightGCN": {"model": "LightGCN"},
    "LightGCN-2": {"model": "LightGCN", "nproc": 2},
    "BPR-grareg": {"model": "BPR", "transition": "grareg"},
    "FMLPRec": {"model": "FMLPRec", **LONGEST},
    "Pop": {"model": "Pop"},
    "ItemTransition": {"model": "ItemTransition"},
}


def command(settings: dict[str, Any], folder: Path, epochs: int = 3) -> list[str]:
    """The command line of one run on one thread, or on two processes of one thread each."""
    given = {"epochs": epochs, "seed": 2020, "show_progress": False, "output_dir": folder, **settings}
    given["time_order"] = "recbole"  # as when the numbers were recorded
    return [
        sys.executable,
        "-m",
        "recbole_mqsa",
        "train",
        *(f"--{key}={value}" for key, value in given.items()),
    ]


def run(name: str, folder: Path) -> dict[str, Any]:
    """One case's numbers: every line of ``epochs.csv`` but the seconds, the metrics, and a digest of the ranks."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command(CASES[name], folder), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return numbers(folder)


def numbers(folder: Path) -> dict[str, Any]:
    """What is kept of a run's folder; numbers as text, so that no digit is lost."""
    with open(folder / "epochs.csv", newline="") as file:
        epochs = [{k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(file)]
    result = json.loads((folder / "result.json").read_text())
    with np.load(folder / "ranks.npz") as arrays:
        digest = hashlib.sha256(
            b"".join(np.ascontiguousarray(arrays[key]).tobytes() for key in sorted(arrays))
        )
    kept = ("best_epoch", "epochs_run", "valid", "test", "slices", "users", "parameters", "flops")
    return {"epochs": epochs, "ranks": digest.hexdigest(), **{key: result[key] for key in kept}}


def machine() -> dict[str, str]:
    """What the last bits of a number depend on; a processor's name alone may be that of several generations."""
    import torch

    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.M))
    name = found.get("model name", platform.processor())
    return {
        "processor": f"{name} (family {found.get('cpu family')}, model {found.get('model')})",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    folder, file = map(Path, sys.argv[1:])
    found = {name: run(name, folder / name) for name in CASES}
    file.write_text(json.dumps({"machine": machine(), "runs": found}, indent=1) + "\n")

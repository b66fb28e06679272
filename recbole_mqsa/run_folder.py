"""What a run leaves behind: one folder of its own, and nothing outside it.

``result.json`` the figures and all settings, ``run.log`` what was printed, ``checkpoint.pth`` the
best epoch, ``epochs.csv`` losses and metrics by epoch, ``epochs.png`` their picture, ``ranks.npz`` the
rank of each test item.
"""

from __future__ import annotations

import csv
import fcntl
import json
import logging
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import recbole
import torch

from . import __version__
from .compat import NOWHERE, tensorboard_folder
from .errors import UserError
from .properties import PACKAGE

CHECKPOINT, LOG = "checkpoint.pth", "run.log"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def claimed(
    model: str, dataset: str, output_dir: str | os.PathLike[str] | None = None, resume: bool = False
) -> Iterator[Path]:
    """Makes the folder of one run and keeps all other runs out of it.

    Without ``output_dir`` it is one below ``runs/`` whose name no other run can take. If the run ends in a
    :class:`UserError` before its first checkpoint, a folder made here is removed again. With ``resume``
    the folder may hold an unfinished run, but for one that another process is writing.

    Raises:
        UserError: ``output_dir`` holds a run, finished or not, or cannot be made.
    """
    name = f"{model}-{dataset}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    folder = Path(output_dir) if output_dir is not None else Path("runs") / name
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = (folder / LOG).open("a" if resume else "x")  # of two runs at once, one fails here
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or here; the lock ends with the process
    except BlockingIOError as problem:
        raise UserError(
            f"output_dir {folder} is being written by another run; name another folder"
        ) from problem
    except FileExistsError as problem:
        state = "a finished" if (folder / "result.json").exists() else "an unfinished"
        raise UserError(
            f"output_dir {folder} already holds {state} run; name another folder or move it away"
            if folder.is_dir()
            else f"output_dir {folder} is a file; name a folder"
        ) from problem
    except OSError as problem:
        raise UserError(
            f"output_dir {folder} cannot be made ({problem.strerror}); name another folder"
        ) from problem
    try:
        with claim:
            yield folder
    except UserError:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder, ignore_errors=True) if new else (folder / LOG).unlink()
        raise


class _PlainFormatter(logging.Formatter):
    """Without the colours that RecBole writes for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return _COLOUR.sub("", super().format(record))


@contextmanager
def logging_to(folder: Path, level: str = "INFO") -> Iterator[logging.Logger]:
    """RecBole's messages to ``run.log`` and the terminal, its tensorboard events below ``folder``.

    Handlers that the calling program has set up stay, and are back in charge afterwards.
    """
    logger = logging.getLogger()
    before = logger.level
    file, screen = (
        logging.FileHandler(folder / LOG, encoding="utf-8"),
        logging.StreamHandler(sys.stderr),
    )
    file.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    screen.setFormatter((logging.Formatter if sys.stderr.isatty() else _PlainFormatter)("%(message)s"))
    screen.setLevel(level.upper())
    token = tensorboard_folder.set(folder / "tensorboard")
    logger.setLevel(level.upper())
    logger.addHandler(file)
    logger.addHandler(screen)
    try:
        yield logger
    finally:
        tensorboard_folder.reset(token)
        logger.setLevel(before)
        for handler in (file, screen):
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def logging_nowhere() -> Iterator[logging.Logger]:
    """For a process that is not the main one of its run: only errors are told, and nothing is written."""
    logger = logging.getLogger()
    before = logger.level
    token = tensorboard_folder.set(NOWHERE)
    logger.setLevel(logging.ERROR)
    try:
        yield logger
    finally:
        tensorboard_folder.reset(token)
        logger.setLevel(before)


def peak_memory_bytes() -> dict[str, int]:
    """The largest memory that this process has held so far, and the largest on the GPU if there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    memory = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        memory["gpu"] = torch.cuda.max_memory_allocated()
    return memory


def environment() -> dict[str, Any]:
    """Date, command, commit (of a checkout), versions and hardware, for the record."""
    packages = ("recbole", "torch", "numpy", "scipy", "pandas")
    versions = {"recbole_mqsa": __version__, "python": platform.python_version()}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_program(Path(sys.argv[0])), *sys.argv[1:]],
        "commit": _commit(),
        "versions": {**versions, **{package: version(package) for package in packages}},
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _program(path: Path) -> str:
    """The program by its place in this project, else by its name: other paths are this machine's own."""
    path = path.resolve()
    return path.relative_to(PACKAGE.parent).as_posix() if PACKAGE.parent in path.parents else path.name


def _commit() -> str | None:
    if not (PACKAGE.parent / ".git").exists():  # installed, perhaps inside somebody else's repository
        return None
    git = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.MULTILINE))
    name = found.get("model name", platform.processor())
    if {"cpu family", "model"} <= found.keys():  # a name may be that of several generations
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name


def portable(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings in which data inside RecBole's package has no path of this machine."""
    packages = Path(recbole.__file__).resolve().parents[1]
    path = Path(settings["data_path"]).resolve()
    inside = packages in path.parents
    return {**settings, "data_path": path.relative_to(packages).as_posix()} if inside else settings


VOLATILE = {
    *("checkpoint_dir", "data_path", "worker"),
    *("device", "gpu_id", "use_gpu", "nproc", "local_rank", "offset"),
    *("log_wandb", "wandb_project", "show_progress", "state"),
    "softmax_block",
}
"""Settings that say where, how loudly and in which pieces a run computes, not what."""


def differing(settings: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The settings in which two runs differ, but for those that change no result.

    A setting that only one of them has is newer than the other, whose program did what is its default now.
    """
    keys = sorted((settings.keys() & other.keys()) - VOLATILE)
    return [key for key in keys if settings[key] != other[key]]


def read_result(folder: Path) -> dict[str, Any] | None:
    """What ``result.json`` holds; None while the run is not finished."""
    file = folder / "result.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def write_ranks(folder: Path, users: torch.Tensor, ranks: torch.Tensor, frequency: np.ndarray) -> None:
    """``ranks.npz``, of each test sample, [S] each: ``users``, ``ranks`` and ``frequency``.

    A rank is -1 where the item is never hit; the frequency is that of the test item's transition in training.
    """
    limited = ranks.where(ranks < np.iinfo(np.int32).max, -1)
    np.savez_compressed(
        folder / "ranks.npz",
        users=users.numpy().astype(np.int32),
        ranks=limited.numpy().astype(np.int32),
        frequency=frequency.astype(np.int32),
    )


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """``result.json``, whole or not at all: its presence says that the run is finished."""
    draft = folder / "result.json.part"
    draft.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, folder / "result.json")


def write_epochs(folder: Path, history: list[dict[str, Any]]) -> None:
    """``epochs.csv``, a row an epoch; empty where an epoch was not evaluated."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    with open(folder / "epochs.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(history)


def plot_epochs(folder: Path, history: list[dict[str, Any]], metric: str, best_epoch: int | None) -> None:
    """``epochs.png``: the losses and the validation metric by epoch."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its first use announces its fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, score = figure.subplots(1, 2)
    for name in [key for key in history[0] if key.startswith("loss_")] if history else []:
        label = name[len("loss_") :]
        losses.plot([row["epoch"] for row in history], [row[name] for row in history], label=label)
    losses.set(xlabel="epoch", ylabel="training loss")
    if losses.lines:
        losses.legend(frameon=False)
    scored = [row for row in history if metric in row]
    score.plot([row["epoch"] for row in scored], [row[metric] for row in scored], color="tab:green")
    if best_epoch is not None:
        score.axvline(best_epoch, color="grey", linestyle=":", label=f"best epoch, {best_epoch}")
        score.legend(frameon=False)
    score.set(xlabel="epoch", ylabel=f"validation {metric.upper()}")
    for axes in (losses, score):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "epochs.png", dpi=120)

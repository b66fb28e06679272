"""Where a run's numbers come from: command, commit, versions, hardware and memory."""

from __future__ import annotations

import platform
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import recbole
import torch

from ..interfaces import Json
from ..settings.locations import PACKAGE
from ..version import __version__


def peak_memory_bytes() -> dict[str, int]:
    """The peak memory of this process so far, and its peak on the GPU if there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    memory = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        memory["gpu"] = torch.cuda.max_memory_allocated()
    return memory


def environment(command: Sequence[str] | None = None) -> Json:
    """Date, command, commit (of a checkout), versions and hardware, for the record.

    Args:
        command: the command to record; by default that of the process.
    """
    packages = ("recbole", "torch", "numpy", "scipy", "pandas")
    versions = {"recbole_mqsa": __version__, "python": platform.python_version()}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_program(Path(sys.argv[0])), *sys.argv[1:]] if command is None else list(command),
        "commit": _commit(),
        "versions": {**versions, **{package: version(package) for package in packages}},
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def from_start_to_end(start: Json, end: Json) -> Json:
    """The environment at a run's start, and under ``changed_while_running`` what differed at its end."""
    changed = {key: end[key] for key in ("commit", "versions", "hardware") if start.get(key) != end.get(key)}
    return {**start, **({"changed_while_running": changed} if changed else {})}


def _program(path: Path) -> str:
    """The program by its path in this project, else by its name: any other path is private to this machine."""
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
    """The CPU's name and generation."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.MULTILINE))
    name = found.get("model name", platform.processor())
    if {"cpu family", "model"} <= found.keys():  # one name may stand for several generations
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name


def portable(settings: Json) -> Json:
    """Settings without this machine's path to data inside RecBole's package."""
    packages = Path(recbole.__file__).resolve().parents[1]
    path = Path(settings["data_path"]).resolve()
    inside = packages in path.parents
    return {**settings, "data_path": path.relative_to(packages).as_posix()} if inside else settings

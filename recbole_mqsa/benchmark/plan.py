"""What a benchmark runs, written down before it runs: ``benchmark.json``, and every cell's settings checked."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..config import Config
from ..errors import UserError
from ..plain_data import plain
from ..run_folder import differing
from .cells import BENCHMARK, Cell, Row

LOCK = "benchmark.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second benchmark out of the folder, as each writes its own plan and report there.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ends with the process
            if not _is_at(lock, folder / LOCK):  # its former holder has just removed it
                raise BlockingIOError
        except BlockingIOError as problem:
            raise UserError(
                f"another benchmark is writing {folder}; wait for it, or name another output_dir"
            ) from problem
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that ``path`` leads to."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def write_plan(
    folder: Path,
    rows: Sequence[Row],
    datasets: Sequence[str],
    seeds: Sequence[int],
    study: dict[str, Any] | None = None,
) -> None:
    """``benchmark.json`` in ``folder``, in place of any former plan; runs of cells that both have are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],
        "rows": [{"name": row.name, "model": row.model, "settings": row.settings} for row in rows],
        "datasets": list(datasets),
        "seeds": list(seeds),
        "study": study,
    }
    draft = folder / f"{BENCHMARK}.part"
    draft.write_text(json.dumps(plan, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, folder / BENCHMARK)


def check_settings_of(cells: Sequence[Cell], settings: dict[str, Any], allow_unknown: bool = False) -> None:
    """Builds the settings of every cell before any runs, and compares them with those of finished ones.

    Raises:
        UserError: what :class:`recbole_mqsa.config.Config` refuses, or a cell that finished with other settings.
    """
    for cell in cells:
        given = {**settings, **cell.row.settings, "seed": cell.seed}
        try:
            config = Config(cell.row.model, cell.dataset, command_line=given, allow_unknown=allow_unknown)
        except UserError as error:
            raise UserError(f"row '{cell.row.name}' on {cell.dataset}: {error}") from error
        if cell.finished:
            other = differing(cell.result["settings"], plain(config.final_config_dict))
            if other:
                raise UserError(
                    f"{cell.folder} was finished with other settings ({', '.join(other)}); "
                    "give those, remove that folder, or name another output_dir"
                )

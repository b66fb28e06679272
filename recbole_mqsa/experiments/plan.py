"""What a benchmark runs, written down before it runs: ``benchmark.json``, and every cell's settings checked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..runs.atomic import write_text
from ..runs.plain import plain
from ..settings.compare import differing
from ..settings.config import Config
from .cells import BENCHMARK, Cell, Row


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
    write_text(folder / BENCHMARK, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def check_settings_of(cells: Sequence[Cell], settings: dict[str, Any], allow_unknown: bool = False) -> None:
    """Builds the settings of every cell before any runs, and compares them with those of finished ones.

    Raises:
        UserError: what :class:`recbole_mqsa.settings.config.Config` refuses; a cell finished with others.
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

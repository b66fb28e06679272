"""The subcommands that run or read many runs: what they are asked for on the command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import UserError
from .cells import Row, cells_of
from .report.formatting import duration

OPTIONS = {
    "datasets": "Data sets, apart by commas.",
    "seeds": "Seeds, apart by commas; 2020 by default.",
    "config_files": "Yaml files of settings for every cell, apart by commas; those of the command line override.",
    "jobs": "Cells that run at once, the cores divided among them; 1 by default.",
    "output_dir": "The benchmark's folder, where its finished cells are; by default below runs.",
}
RESERVED = {"dataset", "model", "seed"}
"""Settings that a benchmark gives to each cell."""
FLAGS = {"dry_run": "List the cells and the time they will take, and run nothing."}


def benchmark(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Train several models on several data sets with several seeds, and report them side by side."""
    from .variants import PAPER, named_rows, words

    rows = named_rows(words(options.get("models", ",".join(PAPER))))
    return _run("benchmark", rows, None, options, flags, settings)


def sweep(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Train one model with several values of one setting, and report the curve."""
    from .variants import swept_rows, values_of

    if "param" not in options or "values" not in options:
        raise UserError(
            "sweep varies one setting: name it and its values, as in --param=alpha --values=0,0.5,1"
        )
    values = values_of(options["values"])
    param = options["param"]
    if param in RESERVED:
        instead = f"write --{param}s" if param in {"dataset", "seed"} else "name a setting of the model"
        raise UserError(f"sweep cannot vary {param}, which each run has of its own; {instead}")
    if param in settings:
        raise UserError(f"--{param} is what is swept; leave it out of the settings")
    rows = swept_rows(options.get("model", "MQSATED"), param, values)
    return _run(
        f"sweep-{param}", rows, {"kind": "sweep", "param": param, "values": values}, options, flags, settings
    )


def ablation(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Train MQSA-TED without each of its parts, and with others in their place."""
    from .variants import ABLATION

    return _run("ablation", list(ABLATION), {"kind": "ablation"}, options, flags, settings)


def report(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Write the report of a benchmark again, from the runs in its folder."""
    from .report.write import write_report

    if settings or "output_dir" not in options:
        raise UserError("report takes the benchmark's folder alone: --output_dir=FOLDER")
    write_report(Path(options["output_dir"]))
    print(f"the report is {Path(options['output_dir']) / 'report.html'}")
    return 0


def inspect(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Test trained runs further: order of the last two items, retrieval by embeddings and reranking."""
    from .discussion import inspect_runs
    from .variants import words

    if settings or not options.get("runs"):
        raise UserError("inspect takes folders of trained runs: --runs=FOLDER,FOLDER")
    print(inspect_runs([Path(folder) for folder in words(options["runs"])], options.get("output_dir")))
    return 0


def _run(
    name: str,
    rows: Sequence[Row],
    study: dict[str, Any] | None,
    options: dict[str, str],
    flags: set[str],
    settings: dict[str, Any],
) -> int:
    """Plans, checks, runs and reports; 0 if every cell is finished, 1 if one failed."""
    from ..settings.files import read_config_files
    from . import schedule
    from ..runs.atomic import locked
    from .plan import check_settings_of, write_plan
    from .report.write import write_report
    from .variants import words

    settings = {**read_config_files(words(options.get("config_files", ""))), **settings}
    settings.pop("show_progress", None)  # a cell has no terminal to show it on
    for one in sorted(RESERVED & settings.keys()):
        instead = f"write --{one}s" if one != "model" or name == "benchmark" else "leave it out"
        raise UserError(f"{one} is {settings[one]}, but each cell has its own; {instead}")
    datasets = words(options.get("datasets", "amazon-beauty"))
    seeds = [_whole("seeds", word) for word in words(options.get("seeds", "2020"))]
    jobs = _whole("jobs", options.get("jobs", "1"), least=1)
    folder = Path(options.get("output_dir", Path("runs") / name))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output_dir {folder} is a file; name a folder")
    cells = cells_of(folder, rows, datasets, seeds)
    check_settings_of(cells, settings, "allow_unknown" in flags)
    if "dry_run" in flags:
        for cell in cells:
            guess = schedule.estimate(cell, cells)
            about = f"about {duration(guess)}" if guess is not None else "time unknown"
            print(
                f"{cell.dataset}  {cell.row.name}  seed {cell.seed}  {'finished' if cell.finished else about}"
            )
        print(schedule.rest([cell for cell in cells if not cell.finished], cells, jobs))
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "another benchmark"):
        write_plan(folder, rows, datasets, seeds, study)
        try:
            watch = _watch if sys.stdout.isatty() else None
            command = partial(schedule.train_command, flags=sorted(flags & {"allow_unknown"}))
            whole = schedule.run_cells(cells, settings, jobs, _say, watch, command)
        finally:
            write_report(folder)
            print(f"the report is {folder / 'report.html'}")
    return 0 if whole else 1


def _say(line: str) -> None:
    """Prints a line that stays, over the one that ``_watch`` left."""
    print(f"{_CLEAR}{line}" if sys.stdout.isatty() else line, flush=True)


def _watch(line: str) -> None:
    """Shows a line on the terminal until the next."""
    width = shutil.get_terminal_size().columns - 1
    print(f"{_CLEAR}{line[:width]}", end="", flush=True)


_CLEAR = "\r\x1b[K"


def _whole(option: str, word: str, least: int = 0) -> int:
    if not word.isdigit() or int(word) < least:
        raise UserError(f"--{option} has {word}; it takes whole numbers from {least}")
    return int(word)

"""What benchmark, sweep and ablation share: their options, and how their progress looks on a terminal."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..interfaces import Json
from ..settings.files import read_config_files
from .parser import Parser
from .values import whole, wholes, words

if TYPE_CHECKING:
    from ..experiments.study import Study
    from ..experiments.trials import Variant

RESERVED = {"dataset", "model", "seed"}
"""Settings that each trial has of its own."""


def add_options(parser: Parser) -> None:
    """Those of every study."""
    parser.option("datasets", "NAMES", "Data sets, comma-separated.", kind=words, default=["amazon-beauty"])
    parser.option("seeds", "NUMBERS", "Seeds, comma-separated; 2020 by default.", kind=wholes, default=[2020])
    parser.option(
        "config_files",
        "FILES",
        "Yaml files of settings for every trial, comma-separated; settings of the command line override them.",
        kind=words,
        default=[],
    )
    parser.option(
        "jobs",
        "NUMBER",
        "Trials that run at once, with the cores divided among them; 1 by default.",
        whole(1),
        1,
    )
    parser.option("output_dir", "FOLDER", "Where the trials and the report are; by default below runs.")
    parser.flag("dry_run", "List the trials and the time they will take, and run nothing.")
    parser.flag("paper", "Show the paper's own numbers in the report as well.")


def carry_out(
    command: str,
    variants: Sequence[Variant],
    given: Namespace,
    settings: Json,
    kind: Json | None = None,
    tune: int = 0,
    refit: bool = False,
) -> int:
    """Check, run and report a study, or list its trials; 0 if every trial is finished, 1 if one is not.

    Args:
        command: what the study's folder below ``runs`` is called.
        variants, kind: as in :class:`..experiments.study.Study`.
        given, settings: the command line.
        tune: with how many trials each variant is tuned first; 0 for none.
        refit: whether every run is made once more, on the validation part as well.
    """
    from ..experiments.refit import refit_of
    from ..experiments.study import Study

    study = Study(
        folder=Path(given.output_dir or Path("runs") / command),
        variants=variants,
        datasets=given.datasets,
        seeds=given.seeds,
        settings=_of_every_run(command, given.config_files, settings),
        jobs=given.jobs,
        allow_unknown=given.allow_unknown,
        paper=given.paper,
        kind=kind,
    )
    if tune:
        study = _tuned(study, tune, given.dry_run)
    parts = [study, refit_of(study)] if refit else [study]
    for part in parts:
        part.check()
    if given.dry_run:
        print("\n".join(line for part in parts for line in part.outlook()))
        return 0
    finished = [part.run(*speakers()) for part in parts]
    if refit:
        study.report()  # with the second table
    return 0 if all(finished) else 1


def _tuned(study: Study, trials: int, dry_run: bool) -> Study:
    """The study once its variants are tuned, as far as they are if nothing is to run."""
    from ..tuning.fair import found_so_far, searches_of, tuned

    searches = searches_of(study, trials)
    if dry_run:
        for (dataset, variant), search in searches.items():
            print("\n".join([f"tuning {variant} on {dataset}:", *search.outlook(), ""]))
        return found_so_far(study, searches)
    return tuned(study, searches, *speakers())


def speakers() -> tuple[Callable[[str], None], Callable[[str], None] | None]:
    """What shows the lines that stay, and those that last until the next, of which only a terminal is told."""
    return _say, _watch if sys.stdout.isatty() else None


def _of_every_run(command: str, config_files: list[str], settings: Json) -> Json:
    """The settings of the config files, overridden by those of the command line."""
    merged = {**read_config_files(config_files), **settings}
    merged.pop("show_progress", None)  # a trial has no terminal to show it on
    for one in sorted(RESERVED & merged.keys()):
        instead = f"write --{one}s" if one != "model" or command == "benchmark" else "leave it out"
        raise UserError(f"{one} is {merged[one]}, but each trial has its own; {instead}")
    return merged


_CLEAR = "\r\x1b[K"


def _say(line: str) -> None:
    """Print a line that stays, over the one that ``_watch`` left."""
    print(f"{_CLEAR}{line}" if sys.stdout.isatty() else line, flush=True)


def _watch(line: str) -> None:
    """Show a line on the terminal until the next."""
    width = shutil.get_terminal_size().columns - 1
    print(f"{_CLEAR}{line[:width]}", end="", flush=True)

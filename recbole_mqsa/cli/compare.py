"""Show two or more finished runs side by side: the settings in which they differ, and metrics with intervals."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..interfaces import Json
from .parser import Parser


def add_options(parser: Parser) -> None:
    """Which runs."""
    parser.words(
        "runs", "RUN", "The folders of two or more finished runs; the others are compared with the first."
    )
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Print what differs."""
    from ..experiments.compare import read_runs, side_by_side

    print(side_by_side(read_runs([Path(folder) for folder in given.runs])))
    return 0

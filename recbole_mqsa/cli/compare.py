"""Show in which settings runs differ, and their test metrics side by side."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..interfaces import Json
from .parser import Parser
from .values import names


def add_options(parser: Parser) -> None:
    """Which runs."""
    parser.option("runs", "FOLDERS", "Runs, comma-separated, or as words: compare runs/a runs/b.", names, [])
    parser.words_are("runs")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Print both tables."""
    from ..experiments.compare import compare

    print(compare([Path(folder) for folder in given.runs]))
    return 0

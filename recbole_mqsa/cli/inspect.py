"""Test trained runs further: order of the last two items, retrieval by embeddings and reranking."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from .parser import Parser
from .values import words


def add_options(parser: Parser) -> None:
    """Which runs."""
    parser.option("runs", "FOLDERS", "Folders of trained runs, comma-separated.", kind=words, default=[])
    parser.option("output_dir", "FOLDER", "Where the figures are written as well; nowhere by default.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Print the figures."""
    if not given.runs:
        raise UserError("inspect needs folders of trained runs: --runs=FOLDER,FOLDER")

    from ..experiments.discussion import inspect_runs

    print(inspect_runs([Path(folder) for folder in given.runs], given.output_dir))
    return 0

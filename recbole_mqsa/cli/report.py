"""Write the report of a benchmark again, from the runs in its folder."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from .parser import Parser


def add_options(parser: Parser) -> None:
    """Which benchmark, and what its report shows."""
    parser.option("output_dir", "FOLDER", "The benchmark's folder.", kind=Path)
    parser.flag("paper", "Show the paper's own numbers as well.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Write it."""
    if given.output_dir is None:
        raise UserError("report needs the benchmark's folder: --output_dir=FOLDER")

    from ..experiments.report.write import write_report

    write_report(given.output_dir, paper=given.paper)
    print(f"the report is {given.output_dir / 'report.html'}")
    return 0

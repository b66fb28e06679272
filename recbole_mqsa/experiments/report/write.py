"""The report of a benchmark, written into its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...runs.atomic import write_text
from ..trials import BENCHMARK, REFIT, read_benchmark
from .render import latex, markdown, page
from .statistics import summarise
from .tables import long_csv


def write_report(folder: Path, paper: bool = False) -> None:
    """``report.md``, ``results.csv``, ``report.tex`` and ``report.html`` from the runs below ``folder``.

    Runs that have failed or are still to come are shown as such. Each file is replaced whole or not at all.

    Args:
        folder: the benchmark's.
        paper: whether the tables show the paper's own numbers too, as ``published`` and apart from the runs, on the
            data sets that it has. ``results.csv`` holds the runs of the first table alone.

    Raises:
        UserError: ``benchmark.json``, or a finished run's file, is missing or damaged.
    """
    results = summarise(*read_benchmark(folder), paper)
    if (Path(folder) / REFIT / BENCHMARK).exists():
        results = replace(results, refit=summarise(*read_benchmark(Path(folder) / REFIT), paper))
    files = {
        "report.md": markdown(results),
        "results.csv": long_csv(results),
        "report.tex": latex(results),
        "report.html": page(results),
    }
    for name, text in files.items():
        write_text(Path(folder) / name, text)

"""The report of a benchmark, written into its folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..cells import read_benchmark
from .page import page
from .statistics import summarise
from .tables import latex, long_csv, markdown


def write_report(folder: Path) -> None:
    """``report.md``, ``results.csv``, ``report.tex`` and ``report.html`` from the runs below ``folder``.

    Runs that have failed or are still to come are shown as such. Each file is replaced whole or not at all.

    Raises:
        UserError: ``benchmark.json``, or a finished run's file, is missing or damaged.
    """
    results = summarise(*read_benchmark(folder))
    files = {
        "report.md": markdown(results),
        "results.csv": long_csv(results),
        "report.tex": latex(results),
        "report.html": page(results),
    }
    for name, text in files.items():
        draft = Path(folder) / f"{name}.part"
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, Path(folder) / name)

"""The report of a benchmark, written into its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...runs.atomic import write_text
from ...settings.compare import differing_refit
from ..trials import BENCHMARK, REFIT, Trial, read_benchmark
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
        plan, trials = read_benchmark(Path(folder) / REFIT)
        stale = tuple(trial for trial in trials if trial.tested and not _is_of(results.trials, trial))
        present = [trial for trial in trials if trial not in stale]
        refit = summarise(plan, present, paper) if any(trial.tested for trial in present) else None
        results = replace(results, refit=refit, stale=stale)
    files = {
        "report.md": markdown(results),
        "results.csv": long_csv(results),
        "report.tex": latex(results),
        "report.html": page(results),
    }
    for name, text in files.items():
        write_text(Path(folder) / name, text)


def _is_of(runs: Sequence[Trial], refit: Trial) -> bool:
    """Whether a run was made once more from one of these."""
    same = [run for run in runs if run.name == refit.name and run.tested]
    return any(not differing_refit(run.result, refit.result) for run in same)

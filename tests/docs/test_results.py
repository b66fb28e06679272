"""The committed records: whole, as their runs wrote them, and of no machine's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mqsa.experiments.report.statistics import summarise
from recbole_mqsa.experiments.report.tables import long_csv
from recbole_mqsa.experiments.trials import read_benchmark
from recbole_mqsa.runs.folder import read_result

RESULTS = Path(__file__).parents[2] / "results"


def test_each_result_is_what_its_run_wrote() -> None:
    """A checksum renewed by hand would pass as well; the commit that renews one says why."""
    folders = [file.parent for file in RESULTS.rglob("result.json")]
    assert len(folders) > 100
    for folder in folders:
        assert read_result(folder), folder


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("benchmark.json")), ids=lambda file: file.parent.name)
def test_the_table_of_each_benchmark_has_the_numbers_of_its_runs(file: Path) -> None:
    results = summarise(*read_benchmark(file.parent))
    assert any(trial.tested for trial in results.trials)
    assert (file.parent / "results.csv").read_text(encoding="utf-8") == long_csv(results)


def test_no_record_names_a_folder_of_the_machine() -> None:
    texts = [file for file in RESULTS.rglob("*") if file.suffix in (".json", ".yaml", ".csv", ".md")]
    assert [
        file
        for file in texts
        if any(place in file.read_text(encoding="utf-8") for place in ("/tmp/", "/root/", "/home/"))
    ] == []

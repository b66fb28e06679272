"""What a report says in words: the outcome, and how to read its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made_up import write_cell, write_plan

from recbole_mqsa.experiments.report.results import Results
from recbole_mqsa.experiments.report.statistics import summarise
from recbole_mqsa.experiments.report.wording import outcome, table_notes
from recbole_mqsa.experiments.trials import read_benchmark


def results_of(
    folder: Path, rows: Sequence[tuple[str, str, Sequence[float | None]]], metric: str = "ndcg@20", **options
) -> Results:
    """Those of variants with a name, a model and a value for each of the seeds 1, 2, ...; None is a missing run."""
    seeds = range(1, 1 + max(len(values) for _, _, values in rows))
    write_plan(folder, [(name, model, {}) for name, model, _ in rows], ["d"], seeds)
    for name, _, values in rows:
        for seed, value in zip(seeds, values):
            if value is not None:
                write_cell(folder, "d", name, seed, {metric: value}, **options)
    return summarise(*read_benchmark(folder))


def test_the_outcome_is_about_the_baselines_and_names_a_better_variant_of_ours(tmp_path: Path) -> None:
    rows = [
        ("SASRec", "SASRec", [0.0604, 0.0605, 0.0606]),
        ("MQSATED-plain", "MQSATED", [0.0720, 0.0721, 0.0722]),
        ("MQSATED", "MQSATED", [0.0704, 0.0706, 0.0705]),
    ]
    assert outcome(results_of(tmp_path, rows)) == (
        "MQSATED is better than the best baseline in 1 of 1 column (each metric on each data set), in 1 of them with "
        "corrected p < 0.05 over seeds. In 1 column another variant of MQSATED has the best mean (MQSATED-plain)."
    )


def test_the_outcome_says_where_a_baseline_is_better_whatever_our_other_variants_do(tmp_path: Path) -> None:
    rows = [("A", "A", [0.2]), ("mine", "MQSATED", [0.3]), ("MQSATED", "MQSATED", [0.1])]
    assert outcome(results_of(tmp_path, rows)) == (
        "MQSATED is better than the best baseline in 0 of 1 column (each metric on each data set). In 1 it is worse. "
        "In 1 column another variant of MQSATED has the best mean (mine)."
    )


@pytest.mark.parametrize(
    ("metric", "theirs", "ours", "says"),
    [
        ("averagepopularity@10", 80.0, 60.0, "in 1 of 1 column (each metric on each data set)."),
        ("averagepopularity@10", 60.0, 80.0, "In 1 it is worse."),
        ("ndcg@20", 0.1, 0.1, "In 1 the two means are equal."),
        # In percent of 0 there is no improvement, but better it is.
        ("ndcg@20", 0.0, 0.1, "in 1 of 1 column (each metric on each data set)."),
    ],
)
def test_the_outcome_knows_what_better_is(
    tmp_path: Path, metric: str, theirs: float, ours: float, says: str
) -> None:
    rows = [("A", "A", [theirs]), ("MQSATED", "MQSATED", [ours])]
    assert outcome(results_of(tmp_path, rows, metric)).endswith(says)


def test_the_outcome_names_the_baselines_that_are_missing(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "B", "C", "MQSATED"], ["d"], [1])
    for row, score in (("A", 0.1), ("MQSATED", 0.3)):
        write_cell(tmp_path, "d", row, 1, {"ndcg@20": score})
    text = outcome(summarise(*read_benchmark(tmp_path)))
    assert "better than the best baseline in 1 of 1 column" in text
    assert "No run of B and C has a result." in text
    for row in "BC":
        write_cell(tmp_path, "d", row, 1, {"ndcg@20": 0.2})
    assert "No run" not in outcome(summarise(*read_benchmark(tmp_path)))


@pytest.mark.parametrize(
    ("theirs", "ours", "says", "note"),
    [
        (
            [0.0600, 0.0605, 0.0610],
            [0.0591, 0.0597, 0.0600, 0.0700, 0.0711],
            "In 1 it is worse, in 1 of them with corrected p < 0.05 over seeds.",
            "Unequal seeds on d: improvement, interval and p are of the seeds in common alone (1, 2 and 3), each mean "
            "in the table is of all that are finished.",
        ),
        ([None, 0.2], [0.3, None], "", "No seed in common on d: no improvement and no p."),
    ],
)
def test_unequal_seeds_are_said(tmp_path: Path, theirs: list, ours: list, says: str, note: str) -> None:
    results = results_of(tmp_path, [("A", "A", theirs), ("MQSATED", "MQSATED", ours)])
    assert outcome(results).endswith(says) and bool(outcome(results)) == bool(says)
    assert note in table_notes(results)


def test_equal_seeds_are_not_said_to_be_unequal(tmp_path: Path) -> None:
    rows = [("A", "A", [0.1, 0.2]), ("B", "B", [0.1, None]), ("MQSATED", "MQSATED", [0.2, 0.3])]
    notes = " ".join(table_notes(results_of(tmp_path, rows)))
    assert "Improvement: MQSATED over" in notes and "seeds on d" not in notes


def test_a_note_names_only_the_tests_that_there_are(tmp_path: Path) -> None:
    rows = [("A", "A", [0.1, 0.2, 0.3]), ("MQSATED", "MQSATED", [0.2, 0.3, 0.5])]
    plain = results_of(tmp_path / "plain", rows)
    slices = {part: {"samples": 5, "ndcg@20": 0.2} for part in ("0", ">0", "all")}
    sliced = results_of(tmp_path / "sliced", rows, slices=slices)
    said = "such tests: those over all test samples, of all metrics on all data sets, together."
    for results, more in (
        (plain, " The interval of the improvement"),
        (sliced, " The tests within slices are corrected together, apart from these;"),
        (
            replace(plain, refit=plain),
            " Those after training on the validation part as well are corrected together,",
        ),
    ):
        (note,) = [note for note in table_notes(results) if "Holm" in note]
        assert said + more in note

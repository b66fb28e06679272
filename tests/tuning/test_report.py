"""What the page of a search says: numbers by hand, and no name that can break it."""

from __future__ import annotations

import csv
import io

import pytest
from helpers.toy_trial import toy_plan

from recbole_mqsa.tuning.figures import best_so_far, log_ticks, place
from recbole_mqsa.tuning.parameters import Choice, Range, Space
from recbole_mqsa.tuning.record import Tried, best_yaml, ranked, trials_csv
from recbole_mqsa.tuning.report import Found, _outcome, costs, counts, facts, write_page

TRIALS = [
    Tried(0, "finished", {"learning_rate": 0.001, "tau": 0.1}, 0.4, {1: 0.3, 2: 0.4}, 1, 10, 20.0),
    Tried(1, "pruned", {"learning_rate": 0.2, "tau": "x"}, 0.6, {1: 0.6}, 0, 2, 6.0),
    Tried(2, "failed", {"learning_rate": 0.9, "tau": [1, 2]}, reason="<b>NaN</b>"),
    Tried(3, "finished", {"learning_rate": 0.01, "tau": [1, 2]}, 0.5, {1: 0.5}, 0, 20, 50.0),
    Tried(4, "running", {"learning_rate": 0.02}, curve={1: 0.1}),
]


def found(tmp_path, trials=TRIALS, **more) -> Found:  # type: ignore[no-untyped-def]
    return Found(tmp_path, toy_plan(**more), trials, {"learning_rate": 0.75, "tau": 0.25}, 0)


def test_what_pruning_saved_is_what_finished_trials_take() -> None:
    told = costs(TRIALS)
    assert told["All trials together"] == "1.3 min in 32 epochs"
    assert told["A finished trial"] == "35.0 s in 15.0 epochs on average"
    # The pruned one took 3 s an epoch and lacks 13 of the usual 15.
    assert told["Saved by pruning"].startswith("about 39.0 s and 13 epochs")
    assert list(costs(TRIALS[1:3])) == ["All trials together"]


def test_the_outcome_compares_with_the_models_own_settings() -> None:
    best = ranked(TRIALS, True)[0]
    assert best.number == 3 and ranked(TRIALS, False)[0].number == 0
    assert "Trial 3 has the best NDCG@20 on validation, 0.5000" in _outcome(toy_plan(), TRIALS, best)
    assert "0.4000 there (+25.0 %)" in _outcome(toy_plan(), TRIALS, best)
    assert "with which the search began" in _outcome(toy_plan(), TRIALS, TRIALS[0])
    assert _outcome(toy_plan(), TRIALS[2:3], None) == "No trial is finished."
    assert counts(TRIALS) == "2 finished, 1 pruned, 1 failed, 1 running"


def test_the_best_so_far_never_gets_worse_and_leaves_pruned_trials_out() -> None:
    assert best_so_far(toy_plan(), TRIALS) == [(0, 0.4), (1, 0.4), (2, 0.4), (3, 0.5), (4, 0.5)]
    assert best_so_far(toy_plan(bigger=False), TRIALS)[-1] == (4, 0.4)


def test_a_logarithmic_axis_has_round_numbers() -> None:
    assert log_ticks(1e-4, 5e-3) == [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005]
    assert log_ticks(1e-6, 1e-2) == [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
    assert log_ticks(0.3, 0.4) == [0.3, 0.4]


def test_a_value_has_its_place_between_the_ends() -> None:
    assert place(Range("x", 0.01, 1.0, log=True), 0.1) == pytest.approx(0.5)
    assert place(Range("x", 1, 5), 2) == 0.25
    assert place(Choice("x", ("a", [1], "c")), [1]) == 0.5
    assert place(Range("x", 1, 1), 1) == place(Choice("x", ("a",)), "a") == 0.5


def test_the_page_escapes_what_it_shows_and_needs_nothing_else(tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_page(found(tmp_path))
    page = (tmp_path / "tune.html").read_text()
    assert "&lt;b&gt;NaN&lt;/b&gt;" in page and "<b>NaN" not in page
    assert page.count("<svg") == 4 + 2  # progress, curves, importance, parallel coordinates, two settings
    assert "default-src 'none'" in page and " src=" not in page
    for anchor in ("found", "progress", "importance", "parallel", "values", "time", "trials", "failed"):
        assert f'<section id="{anchor}">' in page
    assert '<section id="final">' not in page


def test_a_search_without_a_finished_trial_has_a_page(tmp_path) -> None:  # type: ignore[no-untyped-def]
    shown = facts(found(tmp_path, TRIALS[1:3]))
    assert shown["sections"].keys().isdisjoint({"found", "progress", "parallel", "final"})  # type: ignore[attr-defined]
    write_page(found(tmp_path, TRIALS[1:3]))


def test_the_record_is_read_back_as_it_is() -> None:
    space = Space([Range("learning_rate", 0.0001, 1.0, log=True), Choice("tau", (0.1, [1, 2], "x"))])
    rows = list(csv.DictReader(io.StringIO(trials_csv(space, "ndcg@20", TRIALS))))
    assert [row["state"] for row in rows] == [one.state for one in TRIALS]
    assert (
        rows[3]["valid_ndcg@20"] == "0.5" and rows[3]["tau"] == "[1, 2]" and rows[2]["reason"] == "<b>NaN</b>"
    )
    text = best_yaml(toy_plan(settings={"epochs": 4, "eval_args": {"mode": "full"}}), TRIALS[3], 5)
    import yaml

    assert yaml.safe_load(text) == {
        **{"model": "MQSATED", "dataset": "toy", "epochs": 4, "eval_args": {"mode": "full"}, "seed": 7},
        **TRIALS[3].settings,
    }

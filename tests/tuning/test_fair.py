"""A benchmark whose variants are tuned first, with trials that take no time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from helpers.toy_trial import WORKER

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.plan import write_plan
from recbole_mqsa.experiments.report.wording import tuning_notes
from recbole_mqsa.experiments.schedule import train_command
from recbole_mqsa.experiments.study import Study
from recbole_mqsa.experiments.trials import read_benchmark
from recbole_mqsa.experiments.variants import named_variants

pytest.importorskip("optuna")

from recbole_mqsa.tuning import fair
from recbole_mqsa.tuning.search import Search


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that take no time."""
    monkeypatch.setattr(fair, "Search", partial(Search, worker=WORKER))


def study(folder: Path, *names: str, **more: object) -> Study:
    return Study(folder, named_variants(names), ["ml-100k"], [1, 2], **more)  # type: ignore[arg-type]


def test_every_variant_gets_its_own_settings_from_as_many_trials(tmp_path: Path, toys: None) -> None:
    before = study(tmp_path, "Pop", "MQSATED")
    searches = fair.searches_of(before, 2)
    assert list(searches) == [("ml-100k", "MQSATED")]
    after = fair.tuned(before, searches, lambda _: None)
    found = searches["ml-100k", "MQSATED"].best.settings
    assert after.tuned == {"ml-100k": {"MQSATED": found}}
    counted, _, tuned, again = after.trials
    assert counted.settings == {"seed": 1} and tuned.settings == {**found, "seed": 1}
    assert f"--learning_rate={found['learning_rate']!r}" in train_command(again, {})
    after.check()
    write_plan(tmp_path, after.variants, after.datasets, after.seeds, None, after.tuned, after.tuning)
    plan, trials = read_benchmark(tmp_path)
    assert trials == after.trials and trials[2].settings == tuned.settings
    (note,) = tuning_notes(plan)
    assert "with 2 trials" in note and note.endswith("There is nothing to tune in Pop.")
    assert searches["ml-100k", "MQSATED"].plan.seed not in before.seeds
    assert tuning_notes({"tuning": None}) == []


def test_what_cannot_be_tuned_is_told_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no variant has a space"):
        fair.searches_of(study(tmp_path, "Pop"), 2)
    with pytest.raises(UserError, match=r"learning_rate is in the space, and 0\.1 is given"):
        fair.searches_of(study(tmp_path, "MQSATED", settings={"learning_rate": 0.1}), 2)
    untested = {"split": {"LS": "valid_only"}, "order": "TO", "mode": "full"}
    with pytest.raises(UserError, match="leaves no test part"):
        fair.searches_of(study(tmp_path, "MQSATED", settings={"eval_args": untested}), 2)
    words = [
        "benchmark",
        "--models=MQSATED",
        "--datasets=ml-100k",
        "--tune=3",
        f"--output_dir={tmp_path / 'out'}",
    ]
    assert main([*words, "--dry_run"]) == 0
    shown = capsys.readouterr().out
    assert "tuning MQSATED on ml-100k:" in shown and "3 trials of MQSATED" in shown
    assert not (tmp_path / "out").exists()


def test_no_variant_has_more_trials_than_another(tmp_path: Path, toys: None) -> None:
    """The report names one budget for all."""
    once = study(tmp_path, "MQSATED")
    fair.tuned(once, fair.searches_of(once, 2), lambda _: None)
    with pytest.raises(UserError, match="holds a search of 2 trials, more than --tune=1; use --tune=2"):
        fair.searches_of(study(tmp_path, "MQSATED", "SASRec-whole"), 1)
    assert len(fair.searches_of(once, 3)) == 1  # which goes on


def test_a_search_does_not_go_on_once_runs_have_taken_its_best(tmp_path: Path, toys: None) -> None:
    once = study(tmp_path, "MQSATED")
    searches = fair.searches_of(once, 2)
    after = fair.tuned(once, searches, lambda _: None)
    assert fair.found_so_far(once, searches).tuned == after.tuned
    finished = after.trials[0].folder
    finished.mkdir(parents=True)
    (finished / "result.json").write_text("{}")
    with pytest.raises(UserError, match="seed-1 was finished with the best of 2 trials, fewer than --tune=5"):
        fair.searches_of(once, 5)
    assert fair.found_so_far(once, fair.searches_of(once, 2)).tuned == after.tuned


def test_an_interrupted_search_says_how_the_benchmark_goes_on(tmp_path: Path, toys: None) -> None:
    once = study(tmp_path, "MQSATED")

    def interrupt(line: str) -> None:
        if "running" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="interrupted; the same command goes on"):
        fair.tuned(once, fair.searches_of(once, 2), interrupt)

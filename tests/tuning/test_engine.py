"""The study: what is drawn, what is kept, and that neither a kill nor another search can spoil it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.toy_trial import EPOCHS, score, toy_plan

from recbole_mqsa.errors import UserError

pytest.importorskip("optuna")

from recbole_mqsa.tuning.engine import Engine
from recbole_mqsa.tuning.plan import Plan
from recbole_mqsa.tuning.record import best_of


def journal(folder: Path) -> str:
    return str(folder / "study.journal")


def finish(engine: Engine, number: int, value: float) -> None:
    engine.end(number, "finished", {"value": value, "best_epoch": 0, "epochs": EPOCHS, "seconds": 1.0})


def searched(folder: Path, plan: Plan, count: int, anew: bool = False) -> list[dict[str, object]]:
    """The settings of a serial search; ``anew`` opens the study for each trial, as after a kill."""
    folder.mkdir()
    engine = Engine(journal(folder), plan)
    for _ in range(count):
        engine = Engine(journal(folder), plan) if anew else engine
        trial = engine.draw()
        finish(engine, trial.number, score(trial.settings, EPOCHS))
    return [trial.settings for trial in engine.trials()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp", "cmaes"])
def test_a_serial_search_can_be_repeated_even_if_it_was_killed(tmp_path: Path, sampler: str) -> None:
    count = 13 if sampler == "tpe" else 5  # tpe draws at random ten times
    first = searched(tmp_path / "1", toy_plan(sampler=sampler), count)
    assert searched(tmp_path / "2", toy_plan(sampler=sampler), count, anew=True) == first
    assert searched(tmp_path / "3", toy_plan(sampler=sampler, seed=8), count)[1:] != first[1:]
    assert first[0] == toy_plan().defaults  # the model's own settings come first
    assert len({json.dumps(one) for one in first}) == count


def test_tpe_finds_the_peak_better_than_chance(tmp_path: Path) -> None:
    def best(sampler: str, seed: int) -> float:
        found = searched(tmp_path / f"{sampler}{seed}", toy_plan(sampler=sampler, seed=seed), 30)
        return max(score(settings, EPOCHS) for settings in found)

    assert sum(best("tpe", seed) for seed in (0, 1)) > sum(best("random", seed) for seed in (0, 1))


def test_a_grid_is_searched_whole_and_no_settings_twice(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.1, "high": 0.3, "step": 0.1}, "tau": [0.1, [1, 2]]}
    plan = toy_plan(space, sampler="grid")
    assert plan.space.size == 6
    found = searched(tmp_path / "grid", plan, 6, anew=True)
    assert sorted({one["learning_rate"] for one in found}) == [0.1, 0.2, 0.3]  # type: ignore[type-var]
    assert len({json.dumps(one) for one in found}) == 6


def test_another_search_is_refused(tmp_path: Path) -> None:
    Engine(journal(tmp_path), toy_plan())
    Engine(journal(tmp_path), toy_plan(settings={"data_path": "elsewhere"}))  # changes no result
    for other in (
        toy_plan(seed=1),
        toy_plan(pruner="median"),
        toy_plan({"tau": [1, 2]}),
        toy_plan(settings={"a": 1}),
    ):
        with pytest.raises(UserError, match="holds another search, which differs in"):
            Engine(journal(tmp_path), other)
    assert Engine(journal(tmp_path)).plan.as_json() == toy_plan().as_json()


def test_a_search_of_other_data_is_refused(tmp_path: Path) -> None:
    Engine(journal(tmp_path), toy_plan(), "one")
    Engine(journal(tmp_path), toy_plan())  # the data are not there
    with pytest.raises(UserError, match="is of other data than toy here; use those with which it began"):
        Engine(journal(tmp_path), toy_plan(), "another")


def test_a_trial_ends_once_and_a_pruned_one_is_never_the_best(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan())
    for value in (0.5, 0.9, 0.7):
        number = engine.draw().number
        if value == 0.9:
            engine.end(number, "pruned", {"value": 0.9, "best_epoch": 0, "epochs": 1, "seconds": 1.0})
        else:
            finish(engine, number, value)
    finish(engine, 1, 1.0)
    engine.end(0, "failed", reason="late")
    trials = engine.trials()
    assert [(one.state, one.value) for one in trials] == [
        ("finished", 0.5),
        ("pruned", 0.9),
        ("finished", 0.7),
    ]
    best, worst = best_of(trials, bigger=True), best_of(trials, bigger=False)
    assert best is not None and best.number == 2 and worst is not None and worst.number == 0


def test_settings_that_were_drawn_in_part_are_completed(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan())
    finish(engine, engine.draw().number, 0.5)
    trial = engine.study.ask()  # and then the process is killed
    trial.suggest_float("learning_rate", 1e-4, 1.0, log=True)
    again = Engine(journal(tmp_path), toy_plan())
    before = again.trial(1).settings
    assert set(before) == {"learning_rate"}
    after = again.complete(1).settings
    assert set(after) == {"learning_rate", "tau"} and after["learning_rate"] == before["learning_rate"]
    assert len(again.trials()) == 2


def test_half_a_line_of_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan())
    finish(engine, engine.draw().number, 0.5)
    with open(journal(tmp_path), "a") as file:
        file.write('{"op_code":5,"trial_')  # while the study is open elsewhere
    finish(engine, engine.draw().number, 0.6)
    with open(journal(tmp_path), "a") as file:
        file.write('{"op')
    assert [one.value for one in Engine(journal(tmp_path)).trials()] == [0.5, 0.6]
    assert [one.value for one in engine.trials()] == [0.5, 0.6]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from recbole_mqsa.tuning.storage import _JournalLock; from pathlib import Path;"
        "_JournalLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    Engine(journal(tmp_path), toy_plan())
    subprocess.run([sys.executable, "-c", code, journal(tmp_path)], check=False)
    assert Engine(journal(tmp_path), toy_plan()).draw().number == 0


def test_pruning_follows_the_others_and_a_repeated_epoch_counts_once(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan(pruner="median"))
    for _ in range(5):
        number = engine.draw().number
        report = engine.report(number)
        assert not any(report(epoch, 0.5) for epoch in range(1, EPOCHS + 1))
        finish(engine, number, 0.5)
    number = engine.draw().number
    worse = engine.report(number)
    assert [worse(epoch, 0.1) for epoch in (1, 2)] == [False, True]
    resumed = Engine(journal(tmp_path)).report(number)  # killed before its end was recorded
    assert [resumed(epoch, 0.1) for epoch in (1, 2)] == [False, True]
    assert Engine(journal(tmp_path)).trial(number).curve == {1: 0.1, 2: 0.1}


def test_a_trial_at_its_last_epoch_is_not_pruned(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan(pruner="median", epochs=2))
    for value in (*[0.5] * 5, 0.1):
        number = engine.draw().number
        report = engine.report(number)
        assert not any(report(epoch, value) for epoch in (1, 2))
        finish(engine, number, value)


def test_pruning_knows_which_way_is_better(tmp_path: Path) -> None:
    engine = Engine(journal(tmp_path), toy_plan(pruner="median", bigger=False))
    for _ in range(5):
        number = engine.draw().number
        report = engine.report(number)
        for epoch in range(1, EPOCHS + 1):
            report(epoch, 0.5)
        finish(engine, number, 0.5)
    for value, pruned in ((0.1, False), (0.9, True)):
        report = engine.report(engine.draw().number)
        assert [report(epoch, value) for epoch in (1, 2)][-1] is pruned

"""What holds when several machines share a search, each case in one process; real workers die in test_machines.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.runs import settings
from helpers.toy_trial import EPOCHS, WORKER, score, toy_plan

from recbole_mqsa.errors import UserError

pytest.importorskip("optuna")

from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from recbole_mqsa.tuning import shared, storage, worker
from recbole_mqsa.tuning.address import open_address
from recbole_mqsa.tuning.chains import BEAT, REVIVES, SURPLUS, has_ended
from recbole_mqsa.tuning.check import make_plan
from recbole_mqsa.tuning.claim import Claim
from recbole_mqsa.tuning.engine import Engine, GivenUp
from recbole_mqsa.tuning.plan import Plan
from recbole_mqsa.tuning.record import folder_of
from recbole_mqsa.tuning.shared import SharedSearch, take_over
from recbole_mqsa.tuning.shared_engine import MOST_SILENCES, SharedEngine
from recbole_mqsa.tuning.space import read_space

MEMORY = "sqlite:///memory/"


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps studies at addresses that begin so in this process; a database on the disk takes longer."""
    kept: dict[str, InMemoryStorage] = {}

    def opened(url: str) -> BaseStorage:
        return kept.setdefault(url, InMemoryStorage()) if url.startswith(MEMORY) else open_address(url)

    monkeypatch.setattr(storage, "open_address", opened)


def place_of(folder: Path) -> str:
    return f"{MEMORY}{folder}#toy"


def joined(folder: Path, wanted: int = 3, **more: object) -> SharedEngine:
    """One more worker."""
    return SharedEngine(place_of(folder), toy_plan(**more), wanted)  # type: ignore[arg-type]


def finish(engine: Engine, number: int) -> None:
    value = score(engine.trial(number).settings, EPOCHS)
    engine.end(number, "finished", {"value": value, "best_epoch": 0, "epochs": EPOCHS, "seconds": 1.0})


def begun(engine: SharedEngine) -> int:
    tried = engine.begin()
    assert tried is not None
    return tried.number


def ended(engine: SharedEngine) -> list[int]:
    return [one.number for one in engine.all() if has_ended(one)]


# Joining.


def test_the_first_worker_makes_the_study_and_others_join_it(tmp_path: Path) -> None:
    first, second = joined(tmp_path), joined(tmp_path, wanted=5)
    assert first.created and not second.created and first.identity == second.identity
    assert first.begin().settings == toy_plan().defaults  # type: ignore[union-attr]
    assert first.wanted == second.wanted == 5  # the most that any asks for
    assert joined(tmp_path, wanted=1).wanted == 5


def test_another_plan_or_other_data_are_refused(tmp_path: Path) -> None:
    place, plan = place_of(tmp_path), toy_plan()
    SharedEngine(place, plan, 3)
    SharedEngine(place, plan, 3, "data")  # the first had none yet
    with pytest.raises(UserError, match=r"study 'toy' in sqlite.* differs in space; name another --study"):
        SharedEngine(place, toy_plan({"tau": [1, 2]}), 3)
    with pytest.raises(UserError, match="is of other data than toy here; copy the files"):
        SharedEngine(place, plan, 3, "other")
    assert SharedEngine(place, plan, 3).identity


def test_who_finds_a_study_without_a_plan_waits_for_its_maker_and_then_describes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recbole_mqsa.tuning import shared_engine
    from recbole_mqsa.tuning.storage import create

    assert create(place_of(tmp_path), True) and not create(place_of(tmp_path), True)
    monkeypatch.setattr(shared_engine, "PATIENCE", 0.2)  # the maker was killed
    assert joined(tmp_path).begin().number == 0  # type: ignore[union-attr]


# Drawing.


def test_two_workers_draw_what_one_would_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    alone = joined(tmp_path / "one", 4)
    for _ in range(4):
        finish(alone, begun(alone))
    first, second = joined(tmp_path, 4), joined(tmp_path, 4)
    for engine in (first, second, first, second):
        finish(engine, begun(engine))
    assert first.begin() is None and second.begin() is None
    assert [one.settings for one in first.trials()] == [one.settings for one in alone.trials()]


def test_a_worker_that_was_overtaken_draws_other_settings_and_drops_what_is_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = joined(tmp_path, 3), joined(tmp_path, 3)
    begun(first)
    asked, overtaking = SharedEngine._asked, [True, True]

    def overtaken(self: SharedEngine):  # type: ignore[no-untyped-def]
        if self is first and overtaking:
            overtaking.pop()
            begun(second)
        return asked(self)

    monkeypatch.setattr(SharedEngine, "_asked", overtaken)
    assert begun(first) == 2  # the other was faster and has 1
    seen = {json.dumps(one.settings) for one in first.trials()}
    assert len(seen) == 3
    monkeypatch.setattr(SharedEngine, "_needed", lambda self: self is first or len(self.chains()) < 4)
    first.asked = second.asked = 4
    monkeypatch.setattr(SharedEngine, "_asked", overtaken)
    assert [chain.tip.number for chain in first.chains()] == [0, 1, 2]


def test_a_trial_too_many_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = joined(tmp_path, 1), joined(tmp_path, 1)
    needed = SharedEngine._needed
    begun(second)
    answers = iter([True])  # it looked before the other had drawn, and asks after it
    monkeypatch.setattr(SharedEngine, "_needed", lambda self: next(answers, False) or needed(self))
    assert first.begin() is None
    assert first.all()[1].user_attrs[SURPLUS] and first.all()[1].state == TrialState.FAIL
    finish(second, 0)
    assert [one.number for one in first.trials()] == [0]


def test_workers_share_a_grid_and_each_point_is_tried_once(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.1, "high": 0.3, "step": 0.1}, "tau": [0.1, [1, 2]]}
    engines = [joined(tmp_path, 6, space=space, sampler="grid") for _ in range(2)]
    numbers = [begun(engines[turn % 2]) for turn in range(3)]
    engines[0].revive(numbers[1])
    numbers += [begun(engines[turn % 2]) for turn in range(4)]
    assert engines[0].begin() is None
    points = {json.dumps(one.settings) for one in engines[1].trials()}
    assert len(points) == len(engines[1].trials()) == 6


# Silence.


def test_a_worker_gives_signs_until_the_trial_gives_its_own(tmp_path: Path) -> None:
    engine = joined(tmp_path)
    number = begun(engine)
    seen = []
    for _ in range(2):
        engine.starting(number)
        seen.append(tuple(engine.all()[number].user_attrs[BEAT]))
    Engine(engine.place).report(number)
    engine.starting(number)
    seen.append(tuple(engine.all()[number].user_attrs[BEAT]))
    assert seen == [(0, 0.0, 1), (0, 0.0, 2), (1, 0.0)]


# Reviving.


def test_two_workers_that_revive_a_trial_at_once_revive_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, first, second = (joined(tmp_path, 1) for _ in range(3))
    lost = begun(dead)
    give_up = SharedEngine._give_up

    def meanwhile(self: SharedEngine, trial: FrozenTrial) -> None:
        monkeypatch.setattr(SharedEngine, "_give_up", give_up)
        self.study.enqueue_trial({}, user_attrs={REVIVES: lost})  # the other had not seen the first one's
        give_up(self, trial)

    monkeypatch.setattr(SharedEngine, "_give_up", meanwhile)
    assert first.revive(lost) and not second.revive(lost)
    heir = begun(second)
    assert first.begin() is None and second.begin() is None
    assert second.trial(heir).settings == first.trial(lost).settings
    assert [(chain.tip.number, [one.number for one in chain.lost]) for chain in first.chains()] == [
        (heir, [lost])
    ]
    finish(second, heir)
    finish(dead, lost)  # too late
    assert ended(first) == [heir] and [one.number for one in first.trials()] == [heir]
    assert first.is_given_up(lost) and not first.is_given_up(heir)
    with pytest.raises(GivenUp):
        Engine(dead.place).report(lost)


def test_a_reviver_killed_halfway_loses_nothing_and_a_slow_worker_that_ends_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = joined(tmp_path, 2), joined(tmp_path, 2)
    lost, slow = begun(first), begun(first)
    give_up = SharedEngine._give_up
    monkeypatch.setattr(SharedEngine, "_give_up", lambda *_: None)  # killed before it marks the trials
    first.revive(lost)
    first.revive(slow)
    monkeypatch.setattr(SharedEngine, "_give_up", give_up)
    finish(first, slow)
    heir = begun(second)
    assert second.all()[lost].state == TrialState.FAIL and second.begin() is None
    finish(second, heir)
    assert sorted(ended(second)) == sorted([slow, heir]) and len(second.trials()) == 2


def test_a_report_of_a_trial_that_was_given_up_ends_it(tmp_path: Path) -> None:
    engine = joined(tmp_path)
    number = begun(engine)
    report = Engine(engine.place).report(number)
    report(1, 0.5)
    engine.revive(number)
    with pytest.raises(GivenUp):
        report(2, 0.5)


def test_a_trial_whose_workers_always_fall_silent_has_failed(tmp_path: Path) -> None:
    engine = joined(tmp_path, 1)
    for time in range(1, MOST_SILENCES + 1):
        assert engine.revive(begun(engine)) == (time < MOST_SILENCES)
    (only,) = engine.trials()
    assert only.state == "failed" and only.reason == "its workers fell silent 3 times"
    assert engine.begin() is None


def test_a_worker_that_leaves_is_not_counted_as_silent(tmp_path: Path) -> None:
    engine = joined(tmp_path, 1)
    for _ in range(MOST_SILENCES + 2):
        assert engine.revive(begun(engine), silent=False)


def test_a_trial_goes_on_from_the_state_of_the_lost_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = read_space({"learning_rate": {"low": 0.001, "high": 0.02}})
    plan: Plan = make_plan("MQSATED", "chain", space, settings(home, "MQSATED", epochs=4), pruner="off")
    ends, signs, report = [], [], Engine.report

    def broken(self: Engine, number: int):  # type: ignore[no-untyped-def]
        inner = report(self, number)

        def call(epochs: int, score: float) -> bool:
            if inner(epochs, score) or epochs == 3:
                raise KeyboardInterrupt
            return False

        return call

    for reachable in (True, False):
        engine = SharedEngine(place_of(home / str(reachable)), plan, 1)
        lost, folder = begun(engine), home / str(reachable)
        monkeypatch.setattr(Engine, "report", broken)
        with pytest.raises(KeyboardInterrupt):
            worker.work(engine.place, lost, folder_of(folder, lost))
        monkeypatch.setattr(Engine, "report", report)
        engine.revive(lost)
        heir = begun(engine)
        where = folder if reachable else home / "elsewhere"
        assert take_over(folder_of(where, lost), folder_of(where, heir)) == reachable
        if reachable:
            engine.inherit(heir, lost)
            assert set(engine.trial(heir).curve) == {1, 2, 3}
        worker.work(engine.place, heir, folder_of(where, heir))
        ends.append(engine.trial(heir))
        signs.append(engine.all()[heir].user_attrs[BEAT][0])
    first, second = ends
    assert first.state == second.state == "finished" and set(first.curve) == {1, 2, 3, 4}
    assert (first.value, first.best_epoch, first.curve) == (second.value, second.best_epoch, second.curve)
    resumed, begun_anew = signs
    assert resumed < begun_anew == 1 + 4  # a sign for its start, and one for each epoch


# The end of a search.


def test_one_worker_ends_the_search_and_another_takes_over_from_a_silent_one(tmp_path: Path) -> None:
    said: list[str] = []

    def claim(host: str, what: str = "trial 3") -> Claim:
        return Claim(place_of(tmp_path), what, host, f"/{host}", patience=0.05, pause=0.01)

    with claim("dead").held(said.append) as mine:  # it is killed: neither settled nor given up
        assert mine
        watched = claim("late")
        with watched.held(said.append) as taken:
            assert taken and not said
            watched.watched(None)("a line")
            watched.settled = True
    with claim("third").held(said.append) as mine:
        assert not mine
    assert said == ["late has ended the search; its report is in /late"]
    with claim("fourth", "trial 4").held(said.append) as mine:  # another trial is the best by now
        assert mine
    with claim("fifth", "trial 4").held(said.append) as mine:
        assert mine  # the fourth did not settle it


def test_a_worker_yields_to_one_that_is_alive(tmp_path: Path) -> None:
    said: list[str] = []
    first = Claim(place_of(tmp_path), "it", "a", "/a")
    second = Claim(place_of(tmp_path), "it", "b", "/b", patience=60)
    with first.held(said.append):
        look = second._trials

        def looked() -> list[FrozenTrial]:
            first.beat()
            return look()

        second._trials = looked  # type: ignore[method-assign]
        second.pause = 0.01
        with second.held(said.append) as mine:
            assert not mine
    assert said == ["a ends the search; its report will be in /a"]


# A worker's whole way.


def search(folder: Path, url: str, count: int = 2, **more: object) -> SharedSearch:
    plan = toy_plan(settings={"data_path": str(folder)})
    return SharedSearch(folder, plan, count, seeds=0, worker=WORKER, storage=url, look_seconds=0.1, **more)  # type: ignore[arg-type]


def test_who_is_interrupted_leaves_his_trial_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    said: list[str] = []

    def interrupting(line: str) -> None:
        said.append(line)
        if "running" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="the same command joins again"):
        search(tmp_path / "a", url).run(interrupting)
    other = search(tmp_path / "b", url)
    told: list[int] = []
    other.callback = lambda tried: told.append(tried.number)
    assert other.run(said.append)
    (first, *_) = other.engine.chains()
    assert first.lost and first.tip.params == first.lost[0].params and len(other.trials) == 2
    assert (
        sorted(told) == sorted(one.number for one in other.trials) and (tmp_path / "b" / "tune.html").exists()
    )
    again = search(tmp_path / "a", url)  # all has ended, and the record comes to his folder too
    assert again.run(said.append) and "has ended the search; its report is in" in said[-1]
    assert (tmp_path / "a" / "trials.csv").read_text() == (tmp_path / "b" / "trials.csv").read_text()
    with pytest.raises(UserError, match="is that of another search"):
        search(tmp_path / "b", f"sqlite:///{tmp_path}/other.db").run(said.append)


def test_an_outage_leaves_the_trial_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "away.py"
    program.write_text(
        f"import sys\nprint('recbole-mqsa: storage x does not answer', file=sys.stderr)\nsys.exit({worker.LEFT})\n"
    )
    one = search(tmp_path / "a", f"sqlite:///{tmp_path}/study.db", 1)
    one.worker = (WORKER[0], str(program))
    with pytest.raises(UserError, match="storage x does not answer"):
        one.run(lambda _: None)
    assert [chain.tip.state for chain in one.engine.chains()] == [TrialState.WAITING]


def test_a_folder_of_a_search_without_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "study.journal").touch()
    with pytest.raises(UserError, match="holds a search of this machine alone"):
        search(tmp_path / "a", f"sqlite:///{tmp_path}/study.db").check()
    assert shared.MARK not in [one.name for one in (tmp_path / "a").iterdir()]

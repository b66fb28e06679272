"""When a trial on another machine counts as gone, and which trials count then."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna")

from optuna.trial import FrozenTrial, TrialState, create_trial

from recbole_mqsa.tuning.chains import BEAT, REASON, REVIVES, SURPLUS, chains_of
from recbole_mqsa.tuning.silence import LEAST_SECONDS, UNKNOWN_SECONDS, Beating, Watcher


def listed(*trials: tuple[TrialState, dict[str, object]]) -> list[FrozenTrial]:
    made = []
    for number, (state, attributes) in enumerate(trials):
        value = 1.0 if state == TrialState.COMPLETE else None
        made.append(create_trial(state=state, value=value, user_attrs=attributes))
        made[-1].number = number
    return made


RUNNING, FAIL, COMPLETE, WAITING = (
    *(TrialState.RUNNING, TrialState.FAIL),
    *(TrialState.COMPLETE, TrialState.WAITING),
)


@pytest.mark.parametrize(
    ("trials", "tips"),
    [
        ([(COMPLETE, {}), (RUNNING, {}), (FAIL, {REASON: "NaN"})], [0, 1, 2]),
        ([(FAIL, {}), (COMPLETE, {}), (WAITING, {REVIVES: 0})], [2, 1]),
        ([(FAIL, {}), (FAIL, {REVIVES: 0}), (RUNNING, {REVIVES: 1})], [2]),
        ([(FAIL, {}), (WAITING, {REVIVES: 0}), (WAITING, {REVIVES: 0})], [1]),  # revived by two at once
        ([(COMPLETE, {}), (WAITING, {REVIVES: 0})], [0]),  # it was slow, and ended after all
        ([(RUNNING, {}), (WAITING, {REVIVES: 0})], [1]),  # who revived it was killed in between
        ([(COMPLETE, {}), (FAIL, {SURPLUS: True}), (RUNNING, {})], [0, 2]),
    ],
)
def test_what_counts_is_read_from_the_study(
    trials: list[tuple[TrialState, dict[str, object]]], tips: list[int]
) -> None:
    assert [chain.tip.number for chain in chains_of(listed(*trials))] == tips
    assert [chain.tip.number for chain in chains_of(listed(*trials), wanted=1)] == tips[:1]


def test_a_trial_is_silent_after_several_of_its_own_epochs() -> None:
    now = [0.0]
    watcher = Watcher(clock=lambda: now[0])
    trials = listed((RUNNING, {BEAT: (0, 0.0)}), (RUNNING, {BEAT: (0, 0.0)}))
    assert watcher.patience(trials[0], trials) == UNKNOWN_SECONDS
    trials[1].set_user_attr(BEAT, (3, 40.0))
    assert watcher.patience(trials[1], trials) == 200.0 == watcher.patience(trials[0], trials)
    trials[0].set_user_attr(BEAT, (2, 1.0))
    assert watcher.patience(trials[0], trials) == LEAST_SECONDS
    assert not watcher.silent(trials)
    now[0] = 199.0
    trials[0].set_user_attr(BEAT, (3, 1.0))
    assert watcher.silent(trials) == []
    now[0] = 201.0
    assert watcher.silent(trials) == [trials[1]]
    assert watcher.silent(trials, own=[1]) == []
    trials[1].state = COMPLETE
    assert watcher.silent(trials) == []
    assert Watcher(7).patience(trials[0], trials) == 7


def test_signs_of_life_measure_the_longest_epoch() -> None:
    now, signs = [5.0], []
    beating = Beating(signs.append, clock=lambda: now[0])
    for seconds in (0, 3, 1):
        now[0] += seconds
        beating.beat()
    assert signs == [(1, 0.0), (2, 3.0), (3, 3.0)]

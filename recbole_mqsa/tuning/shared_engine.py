"""A study that several machines share: joined, drawn from, and kept whole when a worker dies.

What counts is read from the study by the rules of :mod:`recbole_mqsa.tuning.chains`; what has to happen once is one
operation of the storage, which only one of several workers can do.
"""

from __future__ import annotations

import random
import time
import uuid
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from .address import steadily
from .chains import BEAT, REVIVES, SILENCES, SURPLUS, Chain, chains_of, counts, has_ended
from .engine import PLAN, Engine, same, sampler_of, text_of
from .parameters import Choice, Parameter, Scalar
from .plan import Plan
from .record import Tried
from .storage import create

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

IDENTITY, WANTED = "identity", "max_trials"
"""User attributes of a study: what tells it from others, and how many trials it is to have."""
MOST_SILENCES = 3
"""A trial whose workers fall silent so often is to blame itself: it has failed."""
PATIENCE = 30.0
"""Seconds in which the worker that makes a study has to describe it."""


class SharedEngine(Engine):
    """A study in a storage of several machines, made by the first worker and joined by the others.

    Args:
        place: address and name.
        wanted: how many trials this worker asks for; the largest number of all workers holds.
        data: a fingerprint of the data; None where they are not there yet.

    Raises:
        UserError: the storage does not answer, or has another search, or one of other data.
    """

    def __init__(self, place: str, plan: Plan, wanted: int, data: str | None = None) -> None:
        self.asked = wanted
        self.created = create(place, plan.bigger)
        super().__init__(place, plan, data)
        self.identity = str(self._attributes()[IDENTITY])
        assert self.wanted >= wanted  # recorded for all workers as it is read

    def _begin(self, kept: str | None) -> None:
        if kept is None and not self.created:
            kept = self._described_by_another()
            same(kept, self.plan, self.place)
        if kept is None:
            self._enqueue_defaults()
            self.study.set_user_attr(IDENTITY, uuid.uuid4().hex)
            self.study.set_user_attr(PLAN, text_of(self.plan))  # the last: with it the study is whole

    def _described_by_another(self) -> str | None:
        """What the study's maker says of it; None if it does not come to it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            kept = self._attributes().get(PLAN)
            if kept is not None:
                return str(kept)
            time.sleep(0.1)
        return None

    def _attributes(self) -> dict[str, object]:
        return self.study.user_attrs

    # What counts.

    def all(self) -> list[FrozenTrial]:
        """Every trial of the study, also those that do not count."""
        return steadily(lambda: self.study.get_trials(deepcopy=False), self.place)

    @property
    def wanted(self) -> int:
        """How many trials the study is to have."""
        known = steadily(lambda: self._attributes().get(WANTED), self.place)
        if not isinstance(known, int) or known < self.asked:
            steadily(lambda: self.study.set_user_attr(WANTED, self.asked), self.place)
            return self.asked
        return known

    def chains(self) -> list[Chain]:
        """The trials that count, as many as were asked for or fewer."""
        return chains_of(self.all(), self.wanted)

    def trials(self) -> list[Tried]:
        """Those that count and have begun; of a trial that changed its worker the last."""
        tips = [chain.tip for chain in self.chains()]
        return [self._tried(one) for one in tips if one.params or one.state.is_finished()]

    def starting(self, number: int) -> None:
        """Give a sign of life for a trial whose process does not yet give its own."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial = self._frozen(number)
        signs, _, *starts = trial.user_attrs.get(BEAT, (0, 0.0))
        if signs == 0 and not trial.state.is_finished():
            with suppress(UpdateFinishedTrialError):
                sign = (0, 0.0, sum(starts) + 1)
                self.study._storage.set_trial_user_attr(trial._trial_id, BEAT, sign)

    def is_given_up(self, number: int) -> bool:
        """Whether a trial is not to go on, as another takes its place or it is one too many."""
        trial = self._frozen(number)
        return trial.state.is_finished() and not has_ended(trial)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.all()[number]

    # Drawing.

    def begin(self) -> Tried | None:
        """Begin a trial: one whose worker is gone, or a new one; None where there are as many as were asked for."""
        while self._needed():
            trial = self._asked()
            if self._counts(trial):
                self._draw_rest(self._on_grid(trial))
                return self.trial(trial.number)
            self._drop(self.all()[trial.number])
        return None

    def _needed(self) -> bool:
        chains = self.chains()
        return len(chains) < self.wanted or any(chain.tip.state.name == "WAITING" for chain in chains)

    def _asked(self) -> Trial:
        import optuna

        guess = len(self._begun())
        self.study.sampler = sampler_of(self.plan, guess)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self.study.ask()
            if trial.number != guess:  # another worker was faster, and what it drew is not to be drawn again
                self.study.sampler = sampler_of(self.plan, trial.number)
                trial = optuna.trial.Trial(self.study, trial._trial_id)
        trial.set_user_attr(BEAT, (0, 0.0))
        return trial

    def _counts(self, trial: Trial) -> bool:
        """Whether a trial counts that this worker has just begun."""
        trials = self.all()
        former = trials[trial.number].user_attrs.get(REVIVES)
        if (
            former is not None and trials[former].state.name == "RUNNING"
        ):  # who revived it was killed in between
            self._give_up(trials[former])
        return counts(trial.number, self.chains())

    def _on_grid(self, trial: Trial) -> Trial:
        """The trial with the settings of its place in the grid, if that is what is searched."""
        import optuna

        ranks = {chain.tip.number: rank for rank, chain in enumerate(self.chains())}
        if self.plan.sampler != "grid":
            return trial
        point = self._grid_point(ranks[trial.number])
        self.study._storage.set_trial_system_attr(trial._trial_id, "fixed_params", point)
        return optuna.trial.Trial(self.study, trial._trial_id)

    def _grid_point(self, rank: int) -> dict[str, Scalar]:
        """One point of the grid, another for each rank; in an order that the seed alone decides."""
        size = self.plan.space.size
        assert size is not None
        index = random.Random(self.plan.seed).sample(range(size), size)[rank]
        point = {}
        for one in self.plan.space:
            index, place = divmod(index, one.count or 1)
            point[one.key] = _value(one, place)
        return point

    # Reviving.

    def revive(self, number: int, silent: bool = True) -> bool:
        """Give up a trial, so that another takes its place; whether one does.

        Of several workers that do so at once, the trial of the first one counts.

        Args:
            silent: whether its worker has died, rather than left.
        """
        trials = self.all()
        former, silences = trials[number], trials[number].user_attrs.get(SILENCES, 0) + silent
        if number not in [chain.tip.number for chain in self.chains()]:
            self._drop(former)  # or another worker has seen to it
            return False
        if silences >= MOST_SILENCES:
            self.end(number, "failed", reason=f"its workers fell silent {silences} times")
            return False
        known = {**former.system_attrs.get("fixed_params", {}), **former.params}
        # First the new one, so that no kill in between loses the settings.
        self.study.enqueue_trial(known, user_attrs={REVIVES: number, SILENCES: silences})
        self._give_up(former)
        return True

    def _drop(self, trial: FrozenTrial) -> None:
        """Leave out a trial that is one too many."""
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):
            if REVIVES not in trial.user_attrs and trial.number not in self._succeeded():
                self.study._storage.set_trial_user_attr(trial._trial_id, SURPLUS, True)
        self._give_up(trial)

    def _succeeded(self) -> set[int]:
        return {one.user_attrs[REVIVES] for one in self.all() if REVIVES in one.user_attrs}

    def _give_up(self, trial: FrozenTrial) -> None:
        """Let a trial be lost, unless it has ended: the storage lets it end once."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with suppress(UpdateFinishedTrialError):
            self.study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def inherit(self, number: int, former: int) -> None:
        """Let a trial have the validation scores of one that it goes on with."""
        trials = self.all()
        for epochs, score in trials[former].intermediate_values.items():
            self.study._storage.set_trial_intermediate_value(trials[number]._trial_id, epochs, score)

    def ancestors(self, number: int) -> list[int]:
        """The numbers of the trials whose place a trial takes, the last one first."""
        trials, found = self.all(), []
        while (former := trials[number].user_attrs.get(REVIVES)) is not None:
            found.append(former)
            number = former
        return found


def _value(parameter: Parameter, place: int) -> Scalar:
    """One of the values of a parameter of a grid, as the study keeps it."""
    if isinstance(parameter, Choice):
        return parameter.labels[place]
    step = parameter.step or 1
    value = parameter.low + place * step
    return int(value) if parameter.whole else min(float(f"{value:.12g}"), parameter.top)

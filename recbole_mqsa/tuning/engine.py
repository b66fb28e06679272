"""Optuna behind a few words: a study with its plan, and trials that are drawn, judged and recorded.

The sampler of a trial is made for that trial, with a seed of its own: what is drawn depends on the trial's number and
the trials before it alone. So a serial search can be repeated, even if it was killed and resumed.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import UserError
from ..interfaces import Json
from ..settings.compare import VOLATILE
from .address import is_address, shown, steadily
from .chains import BEAT, REASON
from .parameters import Choice, Parameter, Scalar
from .plan import Plan
from .record import State, Tried
from .silence import Beating
from .storage import open_study

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

PLAN, DATA = "plan", "data"
"""User attributes of a study."""
FIGURES = ("value", "best_epoch", "epochs", "seconds")
"""What a trial records of itself when it ends."""


class GivenUp(Exception):
    """The trial was silent for so long that another worker has taken its place."""


class Engine:
    """A study in its storage.

    Args:
        place: where it is kept.
        plan: what it has to be; None takes what is there, as a trial does.
        data: a fingerprint of the data; None where they are not there yet.

    Raises:
        UserError: the place holds another search, or one of other data.
    """

    def __init__(self, place: str, plan: Plan | None = None, data: str | None = None) -> None:
        self.place = place
        self.study = open_study(place, None if plan is None else plan.bigger)
        kept = self.study.user_attrs.get(PLAN)
        if plan is not None:
            same(kept, plan, place)
            self.plan = plan
            self._begin(kept)
            self._keep(data)
        elif kept is None:
            raise UserError(f"{shown(place)} holds no search")
        else:
            self.plan = Plan.from_json(json.loads(kept))
        self.study.pruner = pruner_of(self.plan)

    def _begin(self, kept: str | None) -> None:
        """Let a new study begin with the model's own settings, and keep its plan."""
        if kept is not None:
            return
        self._enqueue_defaults()
        self.study.set_user_attr(PLAN, text_of(self.plan))

    def _keep(self, data: str | None) -> None:
        """Keep of which data the study is, or compare."""
        known = self.study.user_attrs.get(DATA)
        if known is None and data is not None:
            self.study.set_user_attr(DATA, data)
        elif data is not None and known != data:
            do = (
                "copy the files from a machine that has begun, or name another --study"
                if is_address(self.place)
                else "use those with which it began, or name another output_dir"
            )
            raise UserError(f"{shown(self.place)} is of other data than {self.plan.dataset} here; {do}")

    def _enqueue_defaults(self) -> None:
        if self.plan.starts_from_defaults and not self.study.get_trials(deepcopy=False):
            labels = {one.key: one.label_of(self.plan.defaults[one.key]) for one in self.plan.space}
            self.study.enqueue_trial(labels)

    def trials(self) -> list[Tried]:
        """All that have begun, by number."""
        return [self._tried(one) for one in self._begun()]

    def trial(self, number: int) -> Tried:
        """One that has begun."""
        return self._tried(self._frozen(number))

    def draw(self) -> Tried:
        """Begin the next trial, with settings from the sampler."""
        import optuna

        number = len(self._begun())
        self.study.sampler = sampler_of(self.plan, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self.study.ask()
            self._draw_rest(trial)
        return self.trial(trial.number)

    def complete(self, number: int) -> Tried:
        """A trial that was interrupted, with settings drawn where it has none yet."""
        import optuna

        frozen = self._frozen(number)
        if len(frozen.params) < len(self.plan.space):
            self.study.sampler = sampler_of(self.plan, number)
            self._draw_rest(optuna.trial.Trial(self.study, frozen._trial_id))
        return self.trial(number)

    def _draw_rest(self, trial: Trial) -> None:
        for one in self.plan.space:
            suggest(trial, one)

    def report(self, number: int) -> Callable[[int, float], bool]:
        """A function that records a trial's validation score after some epochs, and says whether to prune it.

        In a storage of several machines it is a sign of life too, and raises :class:`GivenUp` where none is wanted.
        """
        import optuna

        frozen = self._frozen(number)
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        last = max(frozen.intermediate_values, default=0)
        beating = Beating(lambda sign: trial.set_user_attr(BEAT, sign))
        if is_address(self.place):
            self._alive(beating)

        def report(epochs: int, score: float) -> bool:
            if is_address(self.place):
                return self._alive(beating, lambda: judge(epochs, score))
            return judge(epochs, score)

        def judge(epochs: int, score: float) -> bool:
            if epochs < last:  # a resumed trial repeats what came after its last state, and was judged by it
                return False
            if epochs > last:
                trial.report(score, epochs)
            return epochs < self.plan.epochs and bool(
                trial.should_prune()
            )  # after the last there is nothing to spare

        return report

    def score(self, number: int, epochs: int, score: float) -> None:
        """Record a trial's validation score after some epochs, where something else judges it."""
        frozen = self._frozen(number)
        if epochs not in frozen.intermediate_values and not frozen.state.is_finished():
            self.study._storage.set_trial_intermediate_value(frozen._trial_id, epochs, score)

    def _alive(self, beating: Beating, judge: Callable[[], bool] = lambda: False) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            steadily(beating.beat, self.place)
            return steadily(judge, self.place)
        except UpdateFinishedTrialError as error:
            raise GivenUp from error

    def end(
        self,
        number: int,
        state: State,
        figures: Mapping[str, float | None] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record the end of a trial, with ``FIGURES`` as far as they are known, unless it has ended already."""
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):
            steadily(lambda: self._end(number, state, {**(figures or {}), REASON: reason}), self.place)

    def _end(self, number: int, state: State, known: Mapping[str, str | float | None]) -> None:
        from optuna.samplers import RandomSampler
        from optuna.trial import TrialState

        frozen = self._frozen(number)
        if frozen.state.is_finished():
            return
        for name, value in known.items():
            if value is not None:
                self.study._storage.set_trial_user_attr(frozen._trial_id, name, value)
        # Drawing is over, and some samplers stop the study at the end of their last trial, which only its own loop can.
        self.study.sampler = RandomSampler()
        ends = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        value = known["value"] if state == "finished" else None
        assert not isinstance(value, str)
        self.study.tell(number, value, state=ends[state], skip_if_finished=True)

    def importance(self) -> dict[str, float]:
        """How much of the difference between good trials and the others each setting explains; sums to 1."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return optuna.importance.get_param_importances(self.study)
            except (RuntimeError, ValueError, ZeroDivisionError):  # too few trials, or all alike
                return {}

    def _begun(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        trials = self.study.get_trials(deepcopy=False)
        return [one for one in trials if one.state != TrialState.WAITING]

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _tried(self, frozen: FrozenTrial) -> Tried:
        attributes = frozen.user_attrs
        states: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
        return Tried(
            number=frozen.number,
            state=states.get(frozen.state.name, "running"),
            settings=self.plan.space.settings_of(frozen.params),
            curve=dict(sorted(frozen.intermediate_values.items())),
            reason=attributes.get(REASON),
            **{name: attributes.get(name) for name in FIGURES},
        )


def text_of(plan: Plan) -> str:
    """A plan as a study keeps it."""
    return json.dumps(plan.as_json())


def same(kept: str | None, plan: Plan, place: str) -> None:
    """Compare what a storage keeps with a plan.

    Raises:
        UserError: it is another search.
    """
    if kept is None:
        return
    before, now = json.loads(kept), json.loads(text_of(plan))
    before["settings"], now["settings"] = _lasting(before["settings"]), _lasting(now["settings"])
    other = [key for key in now if before.get(key) != now[key]]
    if other:
        raise UserError(
            f"{shown(place)} holds another search, which differs in {', '.join(other)}; name another "
            f"{'--study' if is_address(place) else 'output_dir'}, or repeat its command"
        )


def _lasting(settings: Json) -> Json:
    return {key: value for key, value in settings.items() if key not in VOLATILE}


def suggest(trial: Trial, parameter: Parameter) -> Scalar:
    """Let the sampler draw a setting, unless the trial has it already."""
    if isinstance(parameter, Choice):
        return trial.suggest_categorical(parameter.key, parameter.labels)
    if parameter.whole:
        step = int(parameter.step or 1)
        return trial.suggest_int(
            parameter.key, int(parameter.low), int(parameter.top), step=step, log=parameter.log
        )
    return trial.suggest_float(
        parameter.key, parameter.low, parameter.top, step=parameter.step, log=parameter.log
    )


def sampler_of(plan: Plan, number: int) -> BaseSampler:
    """The sampler that draws one trial.

    Raises:
        UserError: it needs a package that is not installed.
    """
    import optuna

    seed = (plan.seed * 1_000_003 + number) % 2**32
    samplers: dict[str, Callable[[], BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "grid": lambda: optuna.samplers.BruteForceSampler(seed=seed),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return samplers[plan.sampler]()
    except ImportError as error:
        raise UserError(
            f'sampler {plan.sampler} needs a package that is not installed: pip install "recbole-mqsa[tune]"'
        ) from error


def pruner_of(plan: Plan) -> BasePruner:
    """What ends a trial early, by its validation scores so far and those of the others after as many epochs."""
    import optuna

    warm = max(2, plan.epochs // 10)  # what starts slowly may end well
    pruners: dict[str, Callable[[], BasePruner]] = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warm),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(plan.epochs, 2)),
        "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1),
        "off": optuna.pruners.NopPruner,
    }
    return pruners[plan.pruner]()

"""A search from beginning to end: trials side by side, each in a process of its own, then the test of the best."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import UserError
from ..experiments.report.formatting import listing, plural
from ..experiments.schedule import Queue, Running
from ..experiments.study import Study
from ..experiments.trials import Variant
from ..runs.atomic import locked
from ..settings.locations import PACKAGE
from .data import fingerprint
from .engine import Engine
from .plan import Plan
from .record import BEST, PAGE, Tried, best_of, final_of, folder_of, ranked, write_record
from .storage import JOURNAL

TUNED, DEFAULTS = "tuned", "defaults"


class Slot:
    """A place for one trial: its record, once it has begun."""

    def __init__(self, search: Search, tried: Tried | None = None) -> None:
        self.search, self.tried = search, tried
        self.variant, self.dataset = Variant(search.plan.model, search.plan.model, {}), search.plan.dataset

    @property
    def number(self) -> int:
        assert self.tried is not None
        return self.tried.number

    @property
    def folder(self) -> Path:
        return folder_of(self.search.folder, self.number)

    @property
    def title(self) -> str:
        settings = {} if self.tried is None or self.ended else self.tried.settings
        return "  ".join([self.name, *(f"{key}={value}" for key, value in settings.items())])

    @property
    def name(self) -> str:
        return f"trial {self.number}"

    @property
    def ended(self) -> bool:
        return self.tried is not None and self.tried.state != "running"

    @property
    def finished(self) -> bool:
        return self.ended and self.tried is not None and self.tried.state != "failed"

    @property
    def seconds(self) -> float:
        return (self.tried.seconds if self.tried else None) or 0.0

    @property
    def outcome(self) -> str:
        """Its validation score, whether it was pruned, and the best so far."""
        tried, plan = self.tried, self.search.plan
        assert tried is not None
        pruned = f"pruned after {plural(tried.epochs or 0, 'epoch')}, " if tried.state == "pruned" else ""
        best = best_of(self.search.trials, plan.bigger)
        others = f" (best {best.value:.4f}, trial {best.number})" if best else ""
        return f"{pruned}{plan.metric.upper()} {tried.value:.4f}{others}"


class _Trials(Queue[Slot]):
    """The slots of a search; a trial's settings are drawn when it begins, from what is known by then."""

    def __init__(self, search: Search, say: Callable[[str], None]) -> None:
        known = [Slot(search, tried) for tried in search.trials]
        new = [Slot(search) for _ in range(search.max_trials - len(known))]
        super().__init__([*known, *new], search.jobs, say, self._drawn)
        self.search = search
        self.waiting = [slot for slot in self.trials if not slot.ended]

    def _drawn(self, slot: Slot) -> list[str]:
        """Give a slot its trial, a new one or one that was interrupted; the command line of its process."""
        engine = self.search.engine
        slot.tried = engine.draw() if slot.tried is None else engine.complete(slot.number)
        self.search.note()
        return [*self.search.worker, engine.place, str(slot.number), str(slot.folder)]

    def end(self, one: Running) -> str | None:
        slot = one.trial
        assert isinstance(slot, Slot)
        slot.tried = self.search.engine.trial(slot.number)
        reason = super().end(one)
        if reason is not None:
            self.search.engine.end(slot.number, "failed", reason=reason)
            slot.tried = self.search.engine.trial(slot.number)
        self.search.note()
        self.search.tell(slot.tried)
        return reason


@dataclass
class Search:
    """A search in its folder.

    Args:
        folder: where the study, its trials and its record are.
        max_trials: how many trials are to end, those of earlier starts included.
        jobs: how many run at once, with the cores divided among them.
        seeds: with how many fresh seeds the best settings are tested, beside the model's own.
        callback: gets the record of each trial that ends.
        worker: the program that runs a trial, given storage, number and folder.
    """

    folder: Path
    plan: Plan
    max_trials: int = 40
    jobs: int = 1
    seeds: int = 3
    resume: bool = False
    callback: Callable[[Tried], None] | None = None
    worker: Sequence[str] = (sys.executable, "-m", f"{PACKAGE.name}.tuning.worker")

    @cached_property
    def engine(self) -> Engine:
        """The study, opened when it is first needed."""
        return Engine(
            str(self.folder / JOURNAL), self.plan, fingerprint(self.plan.dataset, self.plan.settings)
        )

    @property
    def trials(self) -> list[Tried]:
        """The record of each trial that has begun."""
        return self._trials

    def begun(self) -> list[Tried]:
        """The trials that have begun, before this start of the program; nothing is written."""
        return self.engine.trials() if (self.folder / JOURNAL).exists() else []

    def note(self) -> None:
        """Read the trials from the study again, and write their record."""
        self._trials = self.engine.trials()
        self.write()

    def write(self) -> None:
        """Write the record of the trials."""
        write_record(self.folder, self.plan, self._trials)

    def tell(self, tried: Tried) -> None:
        """Tell the caller of a trial that has ended."""
        if self.callback is not None:
            self.callback(tried)

    @property
    def best(self) -> Tried:
        """The finished trial with the best validation score.

        Raises:
            UserError: none is finished.
        """
        best = best_of(self.trials, self.plan.bigger)
        if best is None:
            reasons = [one.reason for one in self.trials if one.reason]
            why = f"; the last one failed: {reasons[-1]}" if reasons else ""
            raise UserError(f"no trial of {self.folder} is finished{why}")
        return best

    def check(self) -> None:
        """See that the search can begin here.

        Raises:
            UserError: the folder is none, or holds a search that is not to be resumed.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"output_dir {self.folder} is a file; name a folder")
        if (self.folder / JOURNAL).exists() and not self.resume:
            raise UserError(
                f"output_dir {self.folder} holds a search already; go on with it by --resume, or name another folder"
            )
        size = self.plan.space.size
        if self.plan.sampler == "grid" and size is not None:
            self.max_trials = min(self.max_trials, size)

    def run(self, say: Callable[[str], None] = print, watch: Callable[[str], None] | None = None) -> bool:
        """Run what has not ended, test the best settings, write the record; whether all was tested that was to be.

        Raises:
            UserError: another search is in the folder, or no trial is finished.
        """
        self.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder, "another search"):
            self.note()
            try:
                self.work(say, watch)
                best = self.best
                metric, score = self.plan.metric.upper(), f"{best.value:.4f}"
                say(f"trial {best.number} is the best: {metric} {score} on validation")
                tested = self._test(say, watch)
            except KeyboardInterrupt as stop:
                stop.args = (
                    f"interrupted; go on with the same command and --resume --output_dir={self.folder}",
                )
                raise
            finally:
                self._report(say)
        return tested

    def work(self, say: Callable[[str], None], watch: Callable[[str], None] | None) -> None:
        """Run what has not ended."""
        _Trials(self, say).work(watch)

    def _test(self, say: Callable[[str], None], watch: Callable[[str], None] | None) -> bool:
        final = self.final
        if final is None:
            return True
        final.check()
        return final.run(say, watch)

    def _report(self, say: Callable[[str], None]) -> None:
        if any(one.value is not None for one in self.trials):
            from .report import Found, write_page  # draws, which takes a second to import

            several = len(ranked(self.trials, self.plan.bigger)) > 2
            shares = self.engine.importance() if several else {}
            write_page(Found(self.folder, self.plan, self.trials, shares, self.seeds))
            say(f"the best settings are {self.folder / BEST}, the report is {self.folder / PAGE}")

    @property
    def final(self) -> Study | None:
        """The best settings and the model's own with fresh seeds, trained and tested; None if that is not asked for."""
        plan = self.plan
        best = best_of(self.trials, plan.bigger)
        if not self.seeds or not plan.tested or best is None:
            return None
        variants = [Variant(TUNED, plan.model, best.settings)]
        if best.settings != {one.key: plan.defaults[one.key] for one in plan.space}:
            variants.append(Variant(DEFAULTS, plan.model, {}))
        return Study(
            folder=final_of(self.folder, best),
            variants=variants,
            datasets=[plan.dataset],
            seeds=[plan.seed + number for number in range(1, self.seeds + 1)],
            settings={key: value for key, value in plan.settings.items() if key != "seed"},
            jobs=self.jobs,
            allow_unknown=plan.allow_unknown,
            kind={"kind": "tuning"},
        )

    def outlook(self) -> list[str]:
        """The space and the budget, as lines."""
        plan, size = self.plan, self.plan.space.size
        width = max(len(one.key) for one in plan.space)
        of = f" of {size:,}" if size is not None else ""
        lines = [f"{key:<{width}}  {text}" for key, text in plan.space.described().items()]
        lines.append(
            f"{plural(self.max_trials, 'trial')}{of} of {plan.model} on {plan.dataset}, at most "
            f"{plural(plan.epochs, 'epoch')} each, {self.jobs} at once; sampler {plan.sampler}, pruner {plan.pruner}"
        )
        if plan.outside:
            own = listing([f"{key} {plan.defaults[key]}" for key in plan.outside])
            lines.append(f"no trial has the model's own settings, as the space lacks {own}")
        if self.seeds and plan.tested:
            lines.append(
                f"then the best settings and the defaults with {plural(self.seeds, 'fresh seed')} each"
            )
        return lines

"""Many trials side by side: planned, checked, run and reported as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Callable

from ..errors import UserError
from ..interfaces import Json
from ..runs.atomic import locked
from ..settings.files import read_config_files
from ..settings.presets import own_files
from . import schedule
from .plan import check_same_data, check_settings_of, write_plan
from .report.formatting import duration
from .report.write import write_report
from .trials import Trial, Tuned, Variant, trials_of


@dataclass(frozen=True)
class Study:
    """Every variant on every data set with every seed, in one folder.

    Args:
        folder: where the trials and the report are written; a trial that is finished there is not run again.
        variants: models, each with settings of its own.
        datasets, seeds: what each variant is run on, and with.
        settings: of every trial; a variant's own override them.
        jobs: how many trials run at once.
        allow_unknown: whether settings may pass that nothing here knows.
        paper: whether the report shows the paper's own numbers too.
        kind: what the report calls this study where it is no benchmark, such as {'kind': 'ablation'}.
        tuned: what searches have found for variants on data sets; it overrides their settings.
        tuning: how these searches were made, for the report: {'trials': 40, 'untuned': ['Pop']}, say.
    """

    folder: Path
    variants: Sequence[Variant]
    datasets: Sequence[str]
    seeds: Sequence[int]
    settings: Mapping[str, object] = field(default_factory=dict)
    jobs: int = 1
    allow_unknown: bool = False
    paper: bool = False
    kind: Json | None = None
    tuned: Tuned = field(default_factory=dict)
    tuning: Json | None = None

    @cached_property
    def trials(self) -> list[Trial]:
        """Its trials, whether finished or not."""
        return trials_of(self.folder, self.variants, self.datasets, self.seeds, self.tuned)

    def check(self) -> None:
        """See that every trial can start, before any does.

        Raises:
            UserError: a bad name or setting, a split without a test part, a trial that was finished with other
                settings, or a file in the way.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"output_dir {self.folder} is a file; name a folder")
        self._check(self.trials)
        check_same_data(self.trials)

    def check_unfinished(self) -> None:
        """The same of what is not finished, as far as it is known before searches have found its settings.

        Raises:
            UserError: a bad name or setting, or a split without a test part.
        """
        self._check([trial for trial in self.trials if not trial.finished])

    def _check(self, trials: Sequence[Trial]) -> None:
        check_settings_of(trials, lambda trial: self.given(trial.variant, trial.dataset), self.allow_unknown)

    def outlook(self) -> Iterator[str]:
        """A line for each trial with the time that it will take, and one for all that are not finished."""
        for trial in self.trials:
            guess = schedule.estimate(trial, self.trials)
            about = f"about {duration(guess)}" if guess is not None else "time unknown"
            state = "finished" if trial.finished else about
            yield f"{trial.dataset}  {trial.variant.name}  seed {trial.seed}  {state}"
        yield schedule.rest([trial for trial in self.trials if not trial.finished], self.trials, self.jobs)

    def given(self, variant: Variant, dataset: str) -> Json:
        """The settings of every trial, over what a preset among them says of the variant alone."""
        preset = {**self.settings, **variant.settings}.get("preset")
        files = own_files(preset, variant.name, dataset) if variant.name != variant.model else []
        return {**read_config_files(files), **self.settings}

    def ready(self, trial: Trial) -> bool:
        """Whether what a trial needs is there."""
        return True

    def command(self, trial: Trial) -> list[str]:
        """The command line of a trial."""
        given = self.given(trial.variant, trial.dataset)
        return schedule.train_command(trial, given, ["allow_unknown"] * self.allow_unknown)

    def run(self, say: Callable[[str], None] = print, watch: Callable[[str], None] | None = None) -> bool:
        """Run what is not finished, write the report in any case, and return whether all is finished now.

        Args:
            say: gets a line when a trial begins and when it ends, and one about the report.
            watch: gets, every second, a line about all that is running.

        Raises:
            UserError: another process is writing the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder, "another benchmark"):
            write_plan(
                *(self.folder, self.variants, self.datasets, self.seeds, self.kind, self.tuned, self.tuning)
            )
            ready = [trial for trial in self.trials if self.ready(trial)]
            try:
                schedule.run_trials(
                    ready, dict(self.settings), self.jobs, say, watch, lambda trial, _: self.command(trial)
                )
                check_same_data(self.trials)
                return all(trial.finished for trial in self.trials)
            finally:
                self.report()
                say(f"the report is {self.folder / 'report.html'}")

    def report(self) -> None:
        """Write the report of what is finished."""
        write_report(self.folder, paper=self.paper)

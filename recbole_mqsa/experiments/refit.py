"""The second table of a benchmark: every run once more, trained on the validation part as well."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ..errors import UserError
from ..settings.compare import differing_refit
from . import schedule
from .study import Study
from .trials import REFIT, Trial, trials_of

SPLIT = "train+valid"


@dataclass(frozen=True)
class Refit(Study):
    """Each run of a benchmark with new weights, on training and validation part, for the epochs that it had chosen.

    It has that run's settings, is tested on the same items, and lies in a folder within the benchmark's.

    Args:
        chosen: by folder, the run whose epochs each trial takes.
    """

    chosen: dict[str, Trial] = field(default_factory=dict)

    def check(self) -> None:
        """See that each run can be made once more, and that what is finished here is of the runs that are there now.

        Raises:
            UserError: the runs are split in another way, or naming the folder of what is of another run.
        """
        if any("eval_args" in given for given in (self.settings, *(one.settings for one in self.variants))):
            raise UserError(
                "refit tests each user's last action among all items, but eval_args says otherwise; leave one of the "
                "two out"
            )
        for trial in self.trials:
            if not (trial.finished and self.ready(trial)):
                continue
            if other := differing_refit(self._run(trial).result, trial.result):
                raise UserError(
                    f"{trial.folder} was trained once more from another run than the present one "
                    f"({', '.join(other)}); remove that folder"
                )

    def ready(self, trial: Trial) -> bool:
        """Whether the run that chose its epochs is finished."""
        return self._run(trial).finished

    def command(self, trial: Trial) -> list[str]:
        """The command line that trains once more from a run."""
        flags = [f"epochs_from={self._run(trial).folder}", f"split={SPLIT}"]
        return schedule.train_command(trial, {}, flags + ["allow_unknown"] * self.allow_unknown)

    def _run(self, trial: Trial) -> Trial:
        return self.chosen[str(trial.folder)]


def refit_of(study: Study) -> Refit:
    """The refit of a study, whether or not its runs are finished."""
    folder = study.folder / REFIT
    trials = trials_of(folder, study.variants, study.datasets, study.seeds, study.tuned)
    own = {
        "folder": folder,
        "kind": {"kind": REFIT},
        "chosen": {str(trial.folder): run for trial, run in zip(trials, study.trials)},
    }
    return Refit(**{**{one.name: getattr(study, one.name) for one in fields(study)}, **own})

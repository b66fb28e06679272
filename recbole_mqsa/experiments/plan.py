"""The plan of a benchmark, ``benchmark.json``, and the check of every trial's settings before any trial runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..data.identity import IDS, Identity
from ..errors import UserError
from ..interfaces import Json
from ..runs.atomic import write_text
from ..runs.plain import plain
from ..settings.accuracy import tests
from ..settings.compare import differing
from ..settings.config import Config
from ..settings.unable import refuse_unable
from .trials import BENCHMARK, Trial, Tuned, Variant


def write_plan(
    folder: Path,
    variants: Sequence[Variant],
    datasets: Sequence[str],
    seeds: Sequence[int],
    study: Json | None = None,
    tuned: Tuned | None = None,
    tuning: Json | None = None,
) -> None:
    """Write ``benchmark.json`` to ``folder``, over any earlier plan; the trials of both plans are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],
        "rows": [{"name": one.name, "model": one.model, "settings": one.settings} for one in variants],
        "datasets": list(datasets),
        "seeds": list(seeds),
        "study": study,
        **({"tuned": tuned, "tuning": tuning} if tuning else {}),
    }
    write_text(folder / BENCHMARK, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def check_settings_of(
    trials: Sequence[Trial], given_of: Callable[[Trial], Json], allow_unknown: bool = False
) -> None:
    """Build the settings of every trial before any runs, and compare them with those of finished trials.

    Args:
        given_of: the settings that a trial is given besides its own, which override them.

    Raises:
        UserError: :class:`recbole_mqsa.settings.config.Config` refuses the settings, they leave nothing to test, or a
            trial was finished with others.
    """
    for trial in trials:
        model, given = trial.variant.model, {**given_of(trial), **trial.settings}
        try:
            config = Config(model, trial.dataset, command_line=given, allow_unknown=allow_unknown)
            refuse_unable(config)
            _check_test_part(config)
        except UserError as error:
            raise UserError(f"variant '{trial.variant.name}' on {trial.dataset}: {error}") from error
        if trial.finished:
            other = differing(trial.result["settings"], plain(config.final_config_dict))
            if other:
                raise UserError(
                    f"{trial.folder} was finished with other settings ({', '.join(other)}); "
                    "use those, remove that folder, or name another output_dir"
                )


def _check_test_part(config: Config) -> None:
    """Raise where the split leaves no test part, so that hours of training would end in nothing to compare."""
    if not tests(config):
        ((kind, value),) = config["eval_args"]["split"].items()
        raise UserError(
            f"eval_args splits {kind} {value}, which leaves no test part, but a report compares tests; choose a split "
            "with one, such as LS: valid_and_test"
        )


DATA_SETTINGS = (
    *("time_order", "rm_dup_inter", "val_interval", "user_inter_num_interval", "item_inter_num_interval"),
    *("filter_inter_by_user_or_item", "benchmark_filename", "load_col", "unload_col"),
)
"""Settings of which a run's data come; with others, other data are meant."""


def check_same_data(trials: Sequence[Trial]) -> None:
    """See that the finished runs on a data set had the same data, as far as their folders say which.

    Raises:
        UserError: files of the same name had other contents; naming two runs.
    """
    first: dict[tuple[str, str], tuple[Trial, str]] = {}
    for trial in trials:
        file = trial.folder / IDS
        if not trial.finished or not file.exists():
            continue
        settings = trial.result["settings"]
        meant = json.dumps([settings.get(key) for key in DATA_SETTINGS])
        mine = Identity.read(file).fingerprint
        other, theirs = first.setdefault((trial.dataset, meant), (trial, mine))
        if mine != theirs:
            raise UserError(
                f"{trial.folder} had other data than {other.folder}, although both are of {trial.dataset}; remove the "
                "one whose data are not meant"
            )

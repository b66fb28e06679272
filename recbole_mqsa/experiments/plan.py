"""The plan of a benchmark, ``benchmark.json``, and the check of every trial's settings before any trial runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from ..runs.atomic import write_text
from ..runs.plain import plain
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


def check_settings_of(trials: Sequence[Trial], settings: Json, allow_unknown: bool = False) -> None:
    """Build the settings of every trial before any runs, and compare them with those of finished trials.

    Raises:
        UserError: :class:`recbole_mqsa.settings.config.Config` refuses the settings, or a trial was finished with
            others.
    """
    for trial in trials:
        model, given = trial.variant.model, {**settings, **trial.settings}
        try:
            config = Config(model, trial.dataset, command_line=given, allow_unknown=allow_unknown)
            refuse_unable(config)
        except UserError as error:
            raise UserError(f"variant '{trial.variant.name}' on {trial.dataset}: {error}") from error
        if trial.finished:
            other = differing(trial.result["settings"], plain(config.final_config_dict))
            if other:
                raise UserError(
                    f"{trial.folder} was finished with other settings ({', '.join(other)}); "
                    "use those, remove that folder, or name another output_dir"
                )

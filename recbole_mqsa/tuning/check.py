"""What is checked before the first trial, so that no mistake in a space costs an hour."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping

from ..errors import UnknownSetting, UserError
from ..interfaces import Json
from ..settings.accuracy import tests, validates
from ..settings.check import check_settings
from ..settings.config import Config
from ..settings.names import hint
from .parameters import Space
from .plan import PRUNERS, SAMPLERS, Plan

ONE_YARDSTICK = {
    *("model", "dataset", "data_path", "seed", "epochs", "eval_step", "stopping_step", "repeatable"),
    *("metrics", "topk", "valid_metric", "valid_metric_bigger", "metric_decimal_place", "eval_args"),
    *("mask_seen", "time_order", "rm_dup_inter", "val_interval", "user_inter_num_interval"),
    *("item_inter_num_interval", "filter_inter_by_user_or_item", "benchmark_filename", "load_col"),
    *("unload_col", "checkpoint_dir", "state_interval", "show_progress", "device", "gpu_id", "nproc"),
}
"""Settings that are the same for all trials: they say what is measured, on which data, and for how long at most."""

COMPLETIONS = 64
"""How many settings of the others are tried with a value that the defaults do not allow."""


def make_plan(
    model: str | None,
    dataset: str | None,
    space: Space,
    settings: Mapping[str, object],
    sampler: str = "tpe",
    pruner: str = "median",
    allow_unknown: bool = False,
    defaults: Mapping[str, object] | None = None,
) -> Plan:
    """Check all that can be checked before the first trial.

    Args:
        settings: of every trial.
        defaults: a model and a data set where nobody names them.

    Raises:
        UserError: one sentence that names the setting, and its line in the space.
    """
    _known("sampler", sampler, SAMPLERS)
    _known("pruner", pruner, PRUNERS)
    _check_keys(space, settings)
    given = {key: value for key, value in settings.items() if key not in ("model", "dataset")}
    named = {name: settings[name] for name in ("model", "dataset") if name in settings}
    base = Config(
        model, dataset, command_line={**named, **given}, allow_unknown=allow_unknown, defaults=defaults
    )
    own = {one.key: base[one.key] for one in space}
    _check_split(base)
    _check_values(base, space, given, allow_unknown)
    if sampler == "grid":
        _check_grid(space)
    return Plan(
        *(base["model"], base["dataset"], space, given, sampler, pruner),
        metric=str(base["valid_metric"]).lower(),
        bigger=bool(base["valid_metric_bigger"]),
        epochs=base["epochs"],
        seed=base["seed"],
        defaults=own,
        tested=tests(base),
        allow_unknown=allow_unknown,
    )


def _known(kind: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise UserError(f"unknown {kind} '{name}'{hint(name, names)}; there are {', '.join(names)}")


def _check_keys(space: Space, settings: Mapping[str, object]) -> None:
    for one in space:
        if one.key in ONE_YARDSTICK:
            raise UserError(
                f"{one.where}{one.key} has to be the same for all trials, or they could not be compared; "
                "take it out of the space"
            )
        if one.key in settings:
            raise UserError(
                f"{one.where}{one.key} is in the space, and {settings[one.key]} is given for it; leave one of them out"
            )
    if settings.get("nproc", 1) not in (1, None):
        raise UserError(
            f"nproc is {settings['nproc']}, but a trial trains in one process; use --jobs for several at once"
        )


def _check_split(base: Config) -> None:
    """Raise where there is no validation part to choose by."""
    ((kind, value),) = base["eval_args"]["split"].items()
    if not validates(base):
        raise UserError(
            f"eval_args splits {kind} {value}, which leaves no validation part; settings are chosen on validation alone"
        )


def _check_values(base: Config, space: Space, given: Json, allow_unknown: bool) -> None:
    """Raise for the first value that no settings of the others make possible."""
    for one in space:
        first = {**given, one.key: one.extremes()[0]}
        if not allow_unknown and one.key not in base.final_config_dict:
            try:
                Config(base["model"], base["dataset"], command_line=first)
            except UnknownSetting as error:
                raise UserError(f"{one.where}{error}") from error
            except UserError:  # of its value, which is held against the rules below
                pass
        for value in one.extremes():
            refusal = refused(base, {one.key: value})
            if refusal and all(refused(base, {**other, one.key: value}) for other in _others(space)):
                raise UserError(f"{one.where}{refusal}")


def refused(base: Config, settings: Json) -> str | None:
    """What the rules say against settings that override those of ``base``."""
    changed = copy.copy(base)
    changed.final_config_dict = {**base.final_config_dict, **copy.deepcopy(settings)}
    changed.external_config_dict = {**base.external_config_dict, **settings}
    try:
        check_settings(changed)
    except UserError as error:
        return str(error)
    return None


def _others(space: Space) -> list[Json]:
    """Some settings of the space: what the rules are asked about where they look at several settings at once."""
    drawn = random.Random(0)
    return [{one.key: drawn.choice(one.extremes()) for one in space} for _ in range(COMPLETIONS)]


def _check_grid(space: Space) -> None:
    for one in space:
        if one.count is None:
            raise UserError(
                f"{one.where}{one.key} has no step, so that there is no grid; give it one, or a list of values"
            )

"""From what a user asks for to a search that can start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Union

from ..errors import UserError
from ..runs.folder import new_folder
from ..settings.files import read_config_files
from ..settings.locations import FOLDER
from ..settings.names import DATASET, MODEL, hint
from .address import check_address
from .check import make_plan
from .cluster import PRUNERS, ClusterSearch, require_ray
from .record import Tried
from .search import Search
from .shared import SharedSearch
from .space import read_space
from .storage import require_optuna

ENGINES = ("optuna", "ray")
SPACES = FOLDER / "tune"
"""The spaces that come with this package; those of a preset are in a folder of its name."""
SpaceLike = Union[str, "os.PathLike[str]", Mapping[str, object]]


def prepared(
    model: str | None,
    dataset: str | None,
    space: SpaceLike | None,
    folder: Path | None,
    *,
    config_files: Sequence[str | os.PathLike[str]] = (),
    settings: Mapping[str, object],
    sampler: str = "tpe",
    pruner: str | None = None,
    allow_unknown: bool = False,
    max_trials: int = 40,
    jobs: int = 1,
    seeds: int = 3,
    resume: bool = False,
    callback: Callable[[Tried], None] | None = None,
    storage: str | None = None,
    study: str | None = None,
    silent_after: float | None = None,
    engine: str = "optuna",
    address: str | None = None,
) -> Search:
    """A search whose settings, space and folder are checked.

    Raises:
        UserError: Optuna is not installed, or anything that is asked for is wrong.
    """
    require_optuna()
    refuse_alone(storage, study, silent_after)
    pruner = _pruner(engine, pruner, storage, address)
    merged = {**read_config_files([Path(file) for file in config_files]), **settings}
    merged.pop("show_progress", None)  # a trial has no terminal to show it on
    model = model or str(merged.get("model") or MODEL)
    plan = make_plan(
        model,
        dataset,
        read_space(default_space(model, merged.get("preset")) if space is None else space),
        {key: value for key, value in merged.items() if key != "model"},
        sampler,
        pruner,
        allow_unknown,
        {"dataset": DATASET},
    )
    search = Search(
        folder or Path(f"{new_folder(plan.model, plan.dataset)}-tune"),
        plan,
        max_trials,
        jobs,
        seeds,
        resume,
        callback,
    )
    own = {one.name: getattr(search, one.name) for one in fields(search)}
    if storage is not None:
        search = SharedSearch(**own, storage=storage, study=study, silent_after=silent_after)
    if engine == "ray":
        search = ClusterSearch(**own, address=address or "auto")
    search.check()
    return search


def _pruner(engine: str, pruner: str | None, storage: str | None, address: str | None) -> str:
    """The pruner, the engine's own if none is named.

    Raises:
        UserError: the engine is none, lacks the pruner, or does not go with the other options.
    """
    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'{hint(engine, ENGINES)}; there are {', '.join(ENGINES)}")
    if engine != "ray":
        if address is not None:
            raise UserError(
                "--address is that of a Ray cluster; use it with --engine=ray, or --storage=URL instead"
            )
        return pruner or "median"
    if storage is not None:
        raise UserError("--engine=ray has machines of its own, and --storage others; leave one of them out")
    require_ray()
    if pruner not in (None, *PRUNERS):
        raise UserError(f"engine ray has no pruner '{pruner}'; it has {' and '.join(PRUNERS)}")
    return pruner or "halving"


def refuse_alone(storage: str | None, study: str | None, silent_after: float | None) -> None:
    """Refuse what says nothing without a storage.

    Raises:
        UserError: as above, or the storage is no address.
    """
    if storage is not None:
        return check_address(storage)
    given = {"study": study, "silent_after": silent_after}
    for name, value in given.items():
        if value is not None:
            raise UserError(f"--{name} is of a search by several machines; name their storage with --storage")
    return None


def own_space(name: str, preset: object = None) -> Path | None:
    """The space that comes with this package for a model or variant, that of a preset if it has one; None without."""
    files = (SPACES / str(preset) / f"{name}.yaml", SPACES / f"{name}.yaml")
    return next((file for file in files if file.is_file()), None)


def default_space(model: str, preset: object = None) -> Path:
    """The space of :func:`own_space`.

    Raises:
        UserError: there is none.
    """
    file = own_space(model, preset)
    if file is None:
        known = ", ".join(sorted(one.stem for one in SPACES.glob("*.yaml")))
        raise UserError(f"there is no space for {model}; name one with --space (there are some for {known})")
    return file

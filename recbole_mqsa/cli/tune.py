"""Search for a model's best settings on validation, and test them with fresh seeds."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from ..settings.names import DATASET, MODEL
from . import studies
from .parser import Parser
from .values import whole, words

SAMPLERS = "tpe, random, grid, gp or cmaes; tpe by default."
PRUNERS = (
    "median, hyperband, halving or off; median by default, halving with --engine=ray, which has no other."
)
STORAGES = "postgresql://NAME@HOST/DATABASE or grpc://HOST:PORT; each runs this same command"


def add_options(parser: Parser) -> None:
    """The search, and what every trial of it has in common."""
    parser.option("model", "NAME", f"The model; {MODEL} where no config file names another.")
    parser.option("dataset", "NAME", f"The data set; {DATASET} where no config file names another.")
    parser.option(
        "space", "FILE", "What is searched: a yaml file, or RecBole's lines; by default the model's own."
    )
    parser.option("max_trials", "NUMBER", "Trials that are to end; 40 by default.", whole(1), 40)
    parser.option("sampler", "NAME", f"How settings are drawn: {SAMPLERS}", default="tpe")
    parser.option("pruner", "NAME", f"What ends a trial early: {PRUNERS}")
    parser.option(
        "seeds",
        "NUMBER",
        "Fresh seeds with which the best settings and the model's own are tested at the end; 3 by default, 0 for none.",
        whole(0),
        3,
    )
    parser.option(
        "config_files",
        "FILES",
        "Yaml files of settings for every trial, comma-separated; settings of the command line override them.",
        kind=words,
        default=[],
    )
    parser.option("jobs", "NUMBER", "Trials that run at once; 1 by default.", whole(1), 1)
    parser.option("output_dir", "FOLDER", "Where the search is kept; by default below runs.")
    parser.option("storage", "URL", f"Where any number of machines share the search: {STORAGES}.")
    parser.option("study", "NAME", "The name of the search in --storage; by default MODEL-DATASET.")
    parser.option(
        "silent_after",
        "SECONDS",
        "With --storage: when a worker without a sign of life counts as gone; by default five of its epochs.",
        whole(1),
    )
    parser.option(
        "engine",
        "NAME",
        "What runs the trials: optuna, by default, or ray on a cluster of Ray's.",
        default="optuna",
    )
    parser.option(
        "address", "HOST:PORT", "Of the Ray cluster; by default the one that this machine is part of."
    )
    parser.flag("resume", "Go on with the search in --output_dir, if there is one.")
    parser.flag("dry_run", "Check everything, list the space and the budget, and run nothing.")


def run(given: Namespace, settings: Json) -> int:
    """Search, and say what was found; 1 if a run of the final test failed."""
    for name in settings.keys() & {"callback", "say"}:  # arguments of api.tune, but no settings
        raise UserError(f"unknown setting '{name}' (train --help lists the settings)")
    if given.resume and given.output_dir is None:
        raise UserError("--resume goes on with a search: name its folder with --output_dir")
    from ..tuning.start import prepared

    search = prepared(
        given.model,
        given.dataset,
        given.space,
        Path(given.output_dir) if given.output_dir is not None else None,
        config_files=given.config_files,
        settings=settings,
        sampler=given.sampler,
        pruner=given.pruner,
        allow_unknown=given.allow_unknown,
        max_trials=given.max_trials,
        jobs=given.jobs,
        seeds=given.seeds,
        resume=given.resume,
        storage=given.storage,
        study=given.study,
        silent_after=given.silent_after,
        engine=given.engine,
        address=given.address,
    )
    if given.dry_run:
        print("\n".join(search.outlook()))
        return 0
    say, watch = studies.speakers()
    return 0 if search.run(say, watch) else 1

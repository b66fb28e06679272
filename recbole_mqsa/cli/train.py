"""Train a model, choose its epoch on validation, test it."""

from __future__ import annotations

import itertools
import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from ..errors import UserError
from ..experiments.report.formatting import metric_label, metric_order
from ..interfaces import Json
from ..model.registry import MODELS
from ..settings.help import describe_settings
from ..settings.names import DATASET, MODEL, hint, model_names
from .parser import Formatter, Parser
from .values import words


def add_options(parser: Parser) -> None:
    """Those of a run."""
    parser.option("model", "NAME", f"The model; {MODEL} where no config file names another.")
    parser.option("dataset", "NAME", f"The data set; {DATASET} where no config file names another.")
    parser.option(
        "config_files",
        "FILES",
        "Yaml files of settings, separated by commas or spaces; a later one overrides an earlier one.",
        kind=words,
        default=[],
    )
    parser.option("output_dir", "FOLDER", "Where the run is written; by default a new folder below runs.")
    parser.flag("resume", "Go on with the run in --output_dir if one was interrupted there.")
    parser.option(
        "split",
        "all",
        "Train on all actions, for serving; nothing is left to validate or test. Or train+valid: on all but the test "
        "actions, to be tested.",
    )
    parser.option(
        "epochs_from", "FOLDER", "A run whose settings and number of epochs to use, as for --split."
    )
    parser.option(
        "init",
        "FOLDER",
        "A run whose settings to use and whose weights to begin with; the data may be newer, with other items.",
    )
    parser.settings_help = settings_of


def run(given: Namespace, settings: Json) -> int:
    """Train, and print the metrics."""
    if given.resume and given.output_dir is None:
        raise UserError("--resume goes on with a run: name its folder with --output_dir")
    for name in settings.keys() & {"callback", "command"}:  # arguments of api.train, but no settings
        raise UserError(f"unknown setting '{name}' (train --help lists the settings)")

    from ..api import train
    from ..parallel import group
    from ..parallel.launch import PARENT, end_with_parent
    from ..runs.atomic import wait_until_free

    if PARENT in os.environ and given.resume:  # a trial of a benchmark that was killed may not have ended yet
        wait_until_free(Path(given.output_dir))
    end_with_parent()
    finished = train(
        given.model,
        given.dataset,
        given.output_dir,
        config_files=given.config_files,
        resume=given.resume,
        allow_unknown=given.allow_unknown,
        split=given.split,
        epochs_from=given.epochs_from,
        init=given.init,
        **settings,
    )
    if group.is_main():
        print(table(finished.result))
        print(f"everything is in {finished.folder}")
    return 0


def table(result: Json) -> str:
    """The metrics of a run as text: HR and NDCG first, a row each, validation beside test, then the best epoch."""
    valid, test = result.get("valid") or {}, result.get("test") or {}
    if not valid and not test:
        epochs = f"{result['epochs_run']} epoch{'' if result['epochs_run'] == 1 else 's'}"
        return f"trained on all actions for {epochs}; this run has no validation and no test"
    rows = [f"{'':12}{'validation':>12}{'test':>12}"]
    for key in sorted({**valid, **test}, key=metric_order):
        scores = (f"{side[key]:.4f}" if key in side else "-" for side in (valid, test))
        rows.append(f"{metric_label(key):<12}" + "".join(f"{score:>12}" for score in scores))
    if result.get("best_epoch") is not None:
        rows.append(f"best epoch {result['best_epoch']}")
    repeated = (result.get("repeat_targets") or {}).get("test")
    if repeated:
        rows.append(
            f"{repeated:,} of {result['users']['test']:,} test items are repeat purchases, which lists leave out "
            "(mask_seen); --mask_seen=False ranks them"
        )
    return "\n".join(rows)


def settings_of(given: Namespace) -> str:
    """Group by group, every setting of the model that was asked about, with its default.

    Raises:
        UserError: there is no such model.
    """
    model, dataset = given.model or MODEL, given.dataset or DATASET
    if model not in (names := model_names().union(MODELS)):
        raise UserError(f"unknown model '{model}'{hint(model, names)}")
    listing = ArgumentParser(usage=SUPPRESS, add_help=False, formatter_class=Formatter)
    listing.description = f"settings of {model} on {dataset} (defaults in brackets):"
    described = describe_settings(model, dataset, ours=model in MODELS)
    for group, members in itertools.groupby(described, key=lambda one: one.group):
        section = listing.add_argument_group(group or f"Of {model} itself")
        for one in members:
            shown = str(one.default) if str(one.default).strip() else repr(one.default)
            section.add_argument(f"--{one.key}", metavar=f"({shown})", help=one.text.replace("%", "%%"))
    return listing.format_help().rstrip()

"""The command line: reads the arguments, runs a subcommand, prints its table, turns errors into exit codes."""

from __future__ import annotations

import difflib
import itertools
import os
import shutil
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import SPEAKER, PeerLost, UserError
from ..experiments import commands as many
from ..experiments.report.formatting import metric_label, metric_order

MODEL, DATASET = "MQSATED", "ml-100k"
FLAGS = {
    "allow_unknown": "Let settings pass that nothing here knows, such as those of other plugins.",
    "debug": "Show the traceback of a mistake in data or settings.",
    "help": "This text, with the defaults of --model on --dataset.",
    "version": "The version of this package.",
}
"""What every subcommand knows besides its own options."""
EXAMPLES = (
    "recbole-mqsa",
    "recbole-mqsa --dataset=amazon-beauty --query_windows=[1,4] --alpha=learned",
    'recbole-mqsa --config_files="mine.yaml tuned.yaml" --seed 2021',
    "recbole-mqsa benchmark --datasets=amazon-beauty --models=Pop,SASRec,MQSATED --seeds=1,2,3",
    "recbole-mqsa sweep --param=alpha --values=0,0.25,0.5,0.75,1 --epochs=40",
)


@dataclass
class Arguments:
    """A command line taken apart: the subcommand, its options as text, its flags, settings as values."""

    command: str
    options: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)


def parse(words: list[str]) -> Arguments:
    """Take a command line apart; ``--key=value`` and ``--key value`` are the same, a value is a literal.

    Raises:
        UserError: an unknown subcommand, a word that is no option, an option without its value or with two.
    """
    from ..settings.literals import literal

    rest = list(words)
    arguments = Arguments(rest.pop(0) if rest and not rest[0].startswith("-") else "train")
    if arguments.command not in COMMANDS:
        nearest = difflib.get_close_matches(arguments.command, COMMANDS, n=1) or list(COMMANDS)
        raise UserError(f"unknown command '{arguments.command}'; did you mean '{nearest[0]}'?")
    options = COMMANDS[arguments.command].options
    flags = {*COMMANDS[arguments.command].flags, *FLAGS}
    given: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        key, equals, text = ("help", "", "") if word == "-h" else word[2:].partition("=")
        if word != "-h" and not (word.startswith("--") and key):
            raise UserError(f"stray word '{word}'; settings look like --tau=0.1")
        if not equals and key in flags:
            text = "True"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} has no value; write --{key}=VALUE")
            text = rest.pop(0)
        if given.setdefault(key, text) != text:
            raise UserError(f"--{key} is given twice, as {given[key]} and as {text}; keep one")
        if key in options:
            arguments.options[key] = text
        elif key not in flags:
            arguments.settings[key] = literal(text)
        elif literal(text) is True:
            arguments.flags.add(key)
        elif literal(text) is not False:
            raise UserError(f"--{key} is {text}; it has to be True or False")
    return arguments


def train(options: dict[str, str], flags: set[str], settings: dict[str, Any]) -> int:
    """Train a model, choose its epoch on validation, test it."""
    from ..api import train as run
    from ..parallel import group
    from ..parallel.launch import PARENT, end_with

    if (parent := os.environ.pop(PARENT, None)) is not None:  # it is not for the processes of this one
        end_with(int(parent))
    if "resume" in flags and "output_dir" not in options:
        raise UserError("--resume goes on with a run: name its folder with --output_dir")
    finished = run(
        options.get("model"),
        options.get("dataset"),
        options.get("output_dir"),
        config_files=options.get("config_files", "").replace(",", " ").split(),
        resume="resume" in flags,
        allow_unknown="allow_unknown" in flags,
        **settings,
    )
    if group.is_main():
        print(table(finished.result))
        print(f"everything is in {finished.folder}")
    return 0


@dataclass(frozen=True)
class Command:
    """A subcommand: the first line of its function's docstring is its help.

    Args:
        run: takes the options, flags and settings given, and returns the exit code.
        options, flags: what it knows besides settings, with their help.
    """

    run: Callable[[dict[str, str], set[str], dict[str, Any]], int]
    options: Mapping[str, str]
    flags: Mapping[str, str] = field(default_factory=dict)


_MODEL = {"model": f"The model; {MODEL} where no config file names another."}
COMMANDS = {
    "train": Command(
        train,
        {
            **_MODEL,
            "dataset": f"The data set; {DATASET} where no config file names another.",
            "config_files": "Yaml files of settings, apart by spaces or commas; a later one overrides.",
            "output_dir": "Where the run is written; by default a new folder under runs.",
        },
        {"resume": "Go on with the run in --output_dir, if it was interrupted there."},
    ),
    "benchmark": Command(
        many.benchmark,
        {
            "models": "Rows, apart by commas: models, or SASRec-whole; by default those of the paper.",
            **many.OPTIONS,
        },
        many.FLAGS,
    ),
    "sweep": Command(
        many.sweep,
        {
            "param": "The setting that is varied.",
            "values": "Its values, apart by commas, as in 0,0.5,1 or [1,3],[1,4].",
            **_MODEL,
            **many.OPTIONS,
        },
        many.FLAGS,
    ),
    "ablation": Command(many.ablation, many.OPTIONS, many.FLAGS),
    "report": Command(many.report, {"output_dir": "The benchmark's folder."}),
    "inspect": Command(
        many.inspect,
        {
            "runs": "Folders of trained runs, apart by commas.",
            "output_dir": "Where the figures are written as well; nowhere by default.",
        },
    ),
}


def table(result: Mapping[str, Any]) -> str:
    """The metrics of a run as text: HR and NDCG first, a row each, validation beside test, then the best epoch."""
    valid, test = result.get("valid") or {}, result.get("test") or {}

    rows = [f"{'':12}{'validation':>12}{'test':>12}"]
    for key in sorted({**valid, **test}, key=metric_order):
        cells = (f"{side[key]:.4f}" if key in side else "-" for side in (valid, test))
        rows.append(f"{metric_label(key):<12}" + "".join(f"{cell:>12}" for cell in cells))
    if result.get("best_epoch") is not None:
        rows.append(f"best epoch {result['best_epoch']}")
    return "\n".join(rows)


def help_text(model: str, dataset: str, width: int) -> str:
    """Usage, subcommands, options and, group by group, every setting of a model with its default.

    Raises:
        UserError: there is no such model.
    """
    from ..settings.help import describe_settings

    def section(title: str, lines: Mapping[str, str]) -> str:
        return f"{title}:\n" + "\n".join(_entry(name, text, width) for name, text in lines.items())

    parts = [
        "usage: recbole-mqsa [COMMAND] [--OPTION ...] [--SETTING=VALUE ...]",
        section("commands", {name: (of.run.__doc__ or "").splitlines()[0] for name, of in COMMANDS.items()}),
        "examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES),
        *(
            section(
                f"options of {name}", {f"--{key}": text for key, text in {**of.options, **of.flags}.items()}
            )
            for name, of in COMMANDS.items()
        ),
        section("options of all", {f"--{key}": text for key, text in FLAGS.items()}),
        f"settings of {model} on {dataset} (default):",
    ]
    rows = describe_settings(model, dataset)
    for group, members in itertools.groupby(rows, key=lambda row: row[0]):
        parts.append(
            section(group, {f"--{key} ({_shown(default)})": text for _, key, default, text in members})
        )
    return "\n\n".join(parts)


def _shown(value: Any) -> str:
    return str(value) if str(value).strip() else repr(value)


def _entry(name: str, text: str, width: int, indent: int = 34) -> str:
    head = f"  {name}".ljust(indent - 2) + "  "
    return textwrap.fill(
        head + text, max(width, indent + 20), subsequent_indent=" " * indent, break_on_hyphens=False
    )


def main(argv: list[str] | None = None) -> int:
    """Run a command line (that of the process by default) and return its exit code.

    0 is success, 1 a benchmark in which a run failed, 2 a mistake in data, settings or arguments (one
    sentence on stderr), 130 an interruption; whatever else goes wrong is a bug and keeps its traceback.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        with _terminated_as_interrupted():
            return _command(words)
    except UserError as error:
        if "--debug" in words:
            traceback.print_exc()
        print(SPEAKER, " ".join(str(error).split()), file=sys.stderr)
        return 2
    except PeerLost as error:  # under torchrun: the other one has told, or will
        print(SPEAKER, str(error).partition(":")[0], file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(SPEAKER, "interrupted", file=sys.stderr)
        return 130


def _command(words: list[str]) -> int:
    arguments = parse(words)
    if "version" in arguments.flags:
        from .. import __version__

        print(f"recbole-mqsa {__version__}")
        return 0
    if "help" in arguments.flags:
        options, width = arguments.options, shutil.get_terminal_size().columns
        print(help_text(options.get("model", MODEL), options.get("dataset", DATASET), width))
        return 0
    return COMMANDS[arguments.command].run(arguments.options, arguments.flags, arguments.settings)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Within, SIGTERM ends the program as Ctrl-C does, so that a run keeps what it has learnt."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

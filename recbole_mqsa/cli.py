"""The command line: reads the arguments, runs a subcommand, prints its table, turns errors into exit codes."""

from __future__ import annotations

import difflib
import itertools
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import UserError

MODEL, DATASET = "MQSATED", "ml-100k"
OPTIONS = {
    "model": f"The model; {MODEL} where no config file names another.",
    "dataset": f"The data set; {DATASET} where no config file names another.",
    "config_files": "Yaml files of settings, apart by spaces or commas; a later one overrides.",
    "output_dir": "Where the run is written; by default a new folder under runs.",
    "resume": "Go on with the run in --output_dir, if it was interrupted there.",
    "allow_unknown": "Let settings pass that nothing here knows, such as those of other plugins.",
    "debug": "Show the traceback of a mistake in data or settings.",
    "help": "This text, with the defaults of --model on --dataset.",
    "version": "The version of this package.",
}
FLAGS = ("resume", "allow_unknown", "debug", "help", "version")
EXAMPLES = (
    "recbole-mqsa",
    "recbole-mqsa --dataset=amazon-beauty --query_windows=[1,4] --alpha=learned",
    'recbole-mqsa --config_files="mine.yaml tuned.yaml" --seed 2021',
)
SHORT = {"hit": "HR", "ndcg": "NDCG"}


@dataclass
class Arguments:
    """A command line taken apart: the subcommand, this program's own options as text, settings as values."""

    command: str
    options: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)


def parse(words: list[str]) -> Arguments:
    """Take a command line apart; ``--key=value`` and ``--key value`` are the same, a value is a literal.

    Raises:
        UserError: an unknown subcommand, a word that is no option, an option without its value or with two.
    """
    from .plain_data import literal

    rest = list(words)
    arguments = Arguments(rest.pop(0) if rest and not rest[0].startswith("-") else "train")
    if arguments.command not in COMMANDS:
        nearest = difflib.get_close_matches(arguments.command, COMMANDS, n=1) or list(COMMANDS)
        raise UserError(f"unknown command '{arguments.command}'; did you mean '{nearest[0]}'?")
    given: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        key, equals, text = ("help", "", "") if word == "-h" else word[2:].partition("=")
        if word != "-h" and not (word.startswith("--") and key):
            raise UserError(f"stray word '{word}'; settings look like --tau=0.1")
        if not equals and key in FLAGS:
            text = "True"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} has no value; write --{key}=VALUE")
            text = rest.pop(0)
        if given.setdefault(key, text) != text:
            raise UserError(f"--{key} is given twice, as {given[key]} and as {text}; keep one")
        if key not in OPTIONS:
            arguments.settings[key] = literal(text)
        elif key not in FLAGS:
            arguments.options[key] = text
        elif literal(text) is True:
            arguments.flags.add(key)
        elif literal(text) is not False:
            raise UserError(f"--{key} is {text}; it has to be True or False")
    return arguments


def train(arguments: Arguments) -> None:
    """Train a model, choose its epoch on validation, test it."""
    from .config import Config
    from .pipeline import run

    options = arguments.options
    config = Config(
        options.get("model"),
        options.get("dataset"),
        options.get("config_files", "").replace(",", " ").split(),
        command_line=arguments.settings,
        allow_unknown="allow_unknown" in arguments.flags,
        defaults={"model": MODEL, "dataset": DATASET},
    )
    if "resume" in arguments.flags and "output_dir" not in options:
        raise UserError("--resume goes on with a run: name its folder with --output_dir")
    finished = run(config, options.get("output_dir"), resume="resume" in arguments.flags)
    print(table(finished.result))
    print(f"everything is in {finished.folder}")


COMMANDS: dict[str, Callable[[Arguments], None]] = {"train": train}
"""Each subcommand; the first line of its docstring is its help."""


def table(result: Mapping[str, Any]) -> str:
    """The metrics of a run as text: HR and NDCG first, a row each, validation beside test, then the best epoch."""
    valid, test = result.get("valid") or {}, result.get("test") or {}

    def rank(key: str) -> tuple[int, str, int]:
        metric, _, cut_off = key.partition("@")
        known = list(SHORT)
        return known.index(metric) if metric in known else len(known), metric, int(cut_off or 0)

    rows = [f"{'':12}{'validation':>12}{'test':>12}"]
    for key in sorted({**valid, **test}, key=rank):
        metric, at, cut_off = key.partition("@")
        cells = (f"{side[key]:.4f}" if key in side else "-" for side in (valid, test))
        rows.append(
            f"{SHORT.get(metric, metric) + at + cut_off:<12}" + "".join(f"{cell:>12}" for cell in cells)
        )
    if result.get("best_epoch") is not None:
        rows.append(f"best epoch {result['best_epoch']}")
    return "\n".join(rows)


def help_text(model: str, dataset: str, width: int) -> str:
    """Usage, subcommands, options and, group by group, every setting of a model with its default.

    Raises:
        UserError: there is no such model.
    """
    from .config import describe_settings

    def section(title: str, lines: Mapping[str, str]) -> str:
        return f"{title}:\n" + "\n".join(_entry(name, text, width) for name, text in lines.items())

    parts = [
        "usage: recbole-mqsa [COMMAND] [--OPTION ...] [--SETTING=VALUE ...]",
        section("commands", {name: (run.__doc__ or "").splitlines()[0] for name, run in COMMANDS.items()}),
        "examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES),
        section("options", {f"--{name}": text for name, text in OPTIONS.items()}),
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

    0 is success, 2 a mistake in data, settings or arguments (one sentence on stderr), 130 an interruption;
    whatever else goes wrong is a bug and keeps its traceback.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = parse(words)
        if "version" in arguments.flags:
            from . import __version__

            print(f"recbole-mqsa {__version__}")
        elif "help" in arguments.flags:
            options, width = arguments.options, shutil.get_terminal_size().columns
            print(help_text(options.get("model", MODEL), options.get("dataset", DATASET), width))
        else:
            COMMANDS[arguments.command](arguments)
    except UserError as error:
        if "--debug" in words:
            traceback.print_exc()
        print("recbole-mqsa:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recbole-mqsa: interrupted", file=sys.stderr)
        return 130
    return 0

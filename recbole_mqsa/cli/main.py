"""The command line: finds the command, runs it, and turns what goes wrong into exit codes."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
import traceback
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from ..errors import SPEAKER, PeerLost, UserError
from ..interfaces import Json
from ..settings.names import nearest
from ..version import __version__
from . import (
    ablation,
    benchmark,
    compare,
    export,
    inspect,
    prepare,
    recommend,
    report,
    similar,
    sweep,
    train,
    tune,
)
from .parser import Formatter, Parser, wrapped


class Command(Protocol):
    """A module of a command; the first line of its docstring is its help."""

    __doc__: str | None

    def add_options(self, parser: Parser, /) -> None:
        """Say which options it has besides settings."""

    def run(self, given: Namespace, settings: Json, /) -> int:
        """Do it, and return the exit code."""


COMMANDS: dict[str, Command] = {
    "train": train,
    "benchmark": benchmark,
    "sweep": sweep,
    "ablation": ablation,
    "tune": tune,
    "report": report,
    "inspect": inspect,
    "compare": compare,
    "prepare": prepare,
    "recommend": recommend,
    "similar": similar,
    "export": export,
}
"""To add a command, write its module and a line here."""

EXAMPLES = (
    "recbole-mqsa",
    "recbole-mqsa --dataset=amazon-beauty --query_windows=[1,4] --alpha=learned",
    'recbole-mqsa --config_files="mine.yaml tuned.yaml" --seed 2021',
    "recbole-mqsa benchmark --datasets=amazon-beauty --models=Pop,SASRec,MQSATED --seeds=1,2,3",
    "recbole-mqsa tune --dataset=amazon-beauty --max_trials=40 --jobs=2 --output_dir=runs/tune",
    "recbole-mqsa sweep --param=alpha --values=0,0.25,0.5,0.75,1 --epochs=40",
)
PIPE_CLOSED = 128 + signal.SIGPIPE
"""The exit code of a program whose reader has gone, as a shell shows it."""


def main(argv: Sequence[str] | None = None, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Run a command line (that of the process by default) and return its exit code.

    0 is success, 1 a benchmark in which a run failed, 2 a mistake in data, settings or arguments (one sentence
    on stderr), 130 an interruption, 141 that nobody reads what is printed, as under ``| head``; whatever else
    goes wrong is a bug and keeps its traceback.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        with _terminated_as_interrupted():
            code = _run(words, commands)
            sys.stdout.flush()
            return code
    except UserError as error:
        if "--debug" in words:
            traceback.print_exc()
        return _end(" ".join(str(error).split()), 2)
    except PeerLost as error:  # under torchrun: the process to blame says why
        return _end(str(error).partition(":")[0], 1)
    except KeyboardInterrupt as stop:
        return _end(" ".join(map(str, stop.args)) or "interrupted", 130)
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still holds
        return PIPE_CLOSED
    except OSError as error:
        if "--debug" in words or error.filename is None:
            raise
        return _end(f"{os.fsdecode(error.filename)}: {error.strerror}; correct its path or its rights", 2)


def _run(words: Sequence[str], commands: Mapping[str, Command]) -> int:
    if words and not set(words) - {"-h", "--help"}:
        print(overview(commands), end="")
        return 0
    name, rest = ("train", words) if not words or words[0].startswith("-") else (words[0], words[1:])
    if name not in commands:
        like = nearest(name, commands)
        instead = f"did you mean '{like}'?" if like else f"there are {', '.join(commands)}"
        raise UserError(f"unknown command '{name}'; {instead}")
    parser = parser_of(name, commands[name])
    given, settings = parser.read(rest)
    if given.version:
        print(f"recbole-mqsa {__version__}")
    elif given.help:
        print(parser.help_beside(given), end="")
    else:
        return commands[name].run(given, settings)
    return 0


def parser_of(name: str, command: Command) -> Parser:
    """The parser of a command: its options, and those of all."""
    parser = Parser(name, _headline(command))
    command.add_options(parser)
    if parser.settings_help:
        parser.flag(
            "allow_unknown", "Let settings pass that nothing here knows, such as those of other plugins."
        )
    parser.flag("debug", "Show the traceback of a mistake in data or settings.")
    parser.flag("help", "Show this text.")
    parser.flag("version", "Show the version of this package.")
    return parser


def overview(commands: Mapping[str, Command]) -> str:
    """What ``recbole-mqsa --help`` says: the commands and some examples."""
    parser = argparse.ArgumentParser(
        prog="recbole-mqsa",
        usage="%(prog)s [COMMAND] [--OPTION=VALUE ...] [--SETTING=VALUE ...]",
        description=wrapped(
            "Train and compare sequential recommenders on RecBole, MQSA-TED above all. Without a command: train. "
            "recbole-mqsa COMMAND --help lists a command's options, recbole-mqsa train --help all settings."
        ),
        epilog="\n  ".join(["examples:", *EXAMPLES]),
        formatter_class=Formatter,
        add_help=False,
    )
    listed = parser.add_argument_group("commands")
    for name, command in commands.items():
        listed.add_argument(name, help=_headline(command))
    return parser.format_help()


def _headline(command: Command) -> str:
    return (command.__doc__ or "").partition("\n")[0]


def _end(sentence: str, code: int) -> int:
    print(SPEAKER, sentence, file=sys.stderr)
    return code


def _nobody_reads() -> bool:
    """Whether stdout is a pipe whose reader has gone; pipes between processes break, too."""
    poll = select.poll()
    with suppress(OSError, ValueError):  # in a notebook stdout is no file
        poll.register(sys.stdout, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Within, SIGTERM ends the program as Ctrl-C does, so that a run keeps what it has learnt."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

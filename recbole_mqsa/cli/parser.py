"""A command's options on argparse, open at the end: ``--key=value`` that is no option is a setting."""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

from ..errors import UserError
from ..interfaces import Json
from ..settings.literals import literal
from ..settings.names import nearest

MAY_BE_EMPTY = {"config_files"}
"""Options that may be given without a value, as by ``--config_files="$FILES"`` in a script."""

SettingsHelp = Callable[[argparse.Namespace], str]
"""What ``--help`` says about settings, given the options beside it."""


def elsewhere(_: argparse.Namespace) -> str:
    """Where the settings are listed."""
    return wrapped("Settings may be given as well, as in --epochs=40; recbole-mqsa train --help lists them.")


class Parser(argparse.ArgumentParser):
    """The options of one command.

    Words are split here, not by argparse, as only a flag can stand without a value: ``--key value`` and
    ``--key=value`` are the same for options and settings alike.

    Attributes:
        settings_help: for a command that takes settings, what ``--help`` says about them; None for others.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"recbole-mqsa {command}",
            description=wrapped(description),
            usage="%(prog)s [--OPTION=VALUE ...]",
            formatter_class=Formatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.settings_help: SettingsHelp | None = elsewhere
        self.options: set[str] = set()
        self.flags: set[str] = set()
        self._words: str | None = None

    def option(
        self, name: str, metavar: str, text: str, kind: Callable[[str], object] = str, default: object = None
    ) -> None:
        """Add an option with a value; ``kind`` makes it of its text, or raises ``argparse.ArgumentTypeError``."""
        self.options.add(name)
        self.add_argument(
            f"--{name}", metavar=metavar, help=text.replace("%", "%%"), type=kind, default=default
        )

    def flag(self, name: str, text: str) -> None:
        """Add an option that is True where it is given; it may have the value True or False."""
        self.flags.add(name)
        self.add_argument(f"--{name}", action="store_true", help=text.replace("%", "%%"))

    def words_are(self, option: str) -> None:
        """Let words before the first option stand for the values of this one."""
        self._words = option

    def read(self, words: Sequence[str]) -> tuple[argparse.Namespace, Json]:
        """The options, and the settings as values.

        Raises:
            UserError: a word that is no option, one without its value or with two, a bad or empty value, or an
                unknown option of a command that takes no settings.
        """
        options: list[str] = []
        settings: Json = {}
        free = list(itertools.takewhile(lambda word: not word.startswith("-"), words)) if self._words else []
        words = words[len(free) :]
        for key, text in pairs(words, self.flags, self.options).items():
            if key in self.flags:
                options += [f"--{key}"] if _is_true(key, text) else []
            elif key in self.options:
                if not text.strip(" ") and key not in MAY_BE_EMPTY:
                    raise UserError(f"--{key} is empty; give it a value, or leave it out")
                options.append(f"--{key}={text}")
            elif self.settings_help:
                settings[key] = literal(text)
            else:
                self._refuse(key)
        given = self.parse_args(options)
        if self._words and free:
            setattr(given, self._words, [*free, *getattr(given, self._words)])
        return given, settings

    def help_beside(self, given: argparse.Namespace) -> str:
        """Usage and options, and what there is to say about settings."""
        if self.settings_help:
            self.usage = "%(prog)s [--OPTION=VALUE ...] [--SETTING=VALUE ...]"
        return self.format_help() + (f"\n{self.settings_help(given)}\n" if self.settings_help else "")

    def error(self, message: str) -> NoReturn:
        """Raise what argparse says of a bad value: in place of its exit, and without its 'argument'."""
        raise UserError(re.sub(r"^argument (--\w+): ", r"\1 ", message))

    def _refuse(self, key: str) -> NoReturn:
        known = {*self.options, *self.flags}
        name = nearest(key, known)
        instead = (
            f"did you mean --{name}?" if name else f"it has {', '.join(f'--{one}' for one in sorted(known))}"
        )
        raise UserError(f"{self.prog} has no option --{key}; {instead}")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with room for long names, as wide as the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


def pairs(words: Sequence[str], flags: set[str], options: Collection[str] = ()) -> dict[str, str]:
    """The text of each key on a command line; a flag without a value has the text True.

    Flags and options may be written with dashes in place of underscores, as in --dry-run.

    Raises:
        UserError: a word that is no option, an option without its value, or with two that differ.
    """
    rest, given = list(words), dict[str, str]()
    while rest:
        word = rest.pop(0)
        key, equals, text = ("help", "", "") if word == "-h" else word[2:].partition("=")
        if word != "-h" and not (word.startswith("--") and key):
            raise UserError(f"stray word '{word}'; settings look like --tau=0.1")
        if (underscored := key.replace("-", "_")) in {*flags, *options}:
            key = underscored
        if not equals and key in flags:
            text = "True"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} has no value; write --{key}=VALUE")
            text = rest.pop(0)
        if given.setdefault(key, text) != text:
            raise UserError(f"--{key} is given twice, as {given[key]} and as {text}; keep one")
    return given


def wrapped(text: str) -> str:
    """A paragraph at the width of argparse's help."""
    return textwrap.fill(text, max(shutil.get_terminal_size().columns - 2, 20), break_on_hyphens=False)


def _is_true(key: str, text: str) -> bool:
    value = literal(text)
    if not isinstance(value, bool):
        raise UserError(f"--{key} is {text}; it has to be True or False")
    return value

"""The exceptions that the command line knows."""

from __future__ import annotations

import re

SPEAKER = "recbole-mqsa:"
"""How the command line begins each message on stderr."""


class UserError(ValueError):
    """Bad settings or bad data: one sentence that names the culprit and says what to do.

    The command line prints it without a traceback and exits with code 2; a library caller sees an
    ordinary ``ValueError``. What it quotes from files, settings and other errors stays on one line: a line's end
    becomes a blank, and other characters that do not print are shown as Python escapes them.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_printable(arg) if isinstance(arg, str) else arg for arg in args))


def _printable(text: str) -> str:
    joined = re.sub(r"\s*[\r\n]\s*", " ", text)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in joined)


class UnknownSetting(UserError):
    """A setting that the model does not have, or that nobody knows."""


class PeerLost(RuntimeError):
    """Another process of the run has ended or does not answer, so this one cannot continue."""

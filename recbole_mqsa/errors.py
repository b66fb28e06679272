"""The exceptions that the command line knows."""

from __future__ import annotations

SPEAKER = "recbole-mqsa:"
"""How the command line begins each message on stderr."""


class UserError(ValueError):
    """Bad settings or bad data: one sentence that names the culprit and says what to do.

    The command line prints it without a traceback and exits with code 2; a library caller sees an
    ordinary ``ValueError``.
    """


class UnknownSetting(UserError):
    """A setting that the model does not have, or that nobody knows."""


class PeerLost(RuntimeError):
    """Another process of the run has ended or does not answer, so this one cannot continue."""

"""The one exception that is meant for the person at the keyboard."""

from __future__ import annotations


class UserError(ValueError):
    """Bad settings or bad data: one sentence that names the culprit and says what to do.

    The command line prints it without a traceback and exits with code 2; a library caller sees an
    ordinary ``ValueError``.
    """

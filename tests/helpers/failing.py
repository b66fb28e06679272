"""Processes of which one dies; apart, as they start sooner the less they import."""

from __future__ import annotations

import os
import signal
import time

import torch

from recbole_mqsa.errors import UserError
from recbole_mqsa.parallel import group


def fail(how: str) -> None:
    """The second process ends in this way, while the first waits for it."""
    signal.alarm(100)  # instead of a hang
    with group.joined(
        {"device": torch.device("cpu"), "nproc": 2, "rank_timeout": 2.0 if how == "hang" else 60.0}
    ):
        group.sum_over_ranks([1.0])
        if group.rank() == 1:
            if how == "user":
                raise UserError("this file is bad; take another")
            if how == "error":
                raise ZeroDivisionError("a bug")
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "hang":
                time.sleep(90)
            os._exit(9)
        while True:
            group.sum_over_ranks([1.0])

"""Starts the processes of a run on this machine, and ends all when one fails; ``torchrun`` does it as well."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import torch
import torch.distributed as dist

from ..errors import PeerLost, UserError

PARENT = "RECBOLE_MQSA_PARENT"
"""The environment's name for the id of the process without which a run shall not go on."""
HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that a failed process may take to end, and that the one to blame may take to fail after its peers."""
LONGEST = 20_000
"""Characters of a traceback that are handed on: a pipe holds no more than 64 K until somebody reads it."""


class RankFailed(RuntimeError):
    """A process of the run has failed: its own traceback, or how it ended."""


@dataclass(frozen=True)
class _Failure:
    """How a process ended: to blame is the one with the lowest ``guilt``."""

    guilt: int
    error: BaseException


def spawn(function: Callable[..., Any], nproc: int, *args: Any) -> None:
    """Calls ``function(*args)`` in ``nproc`` new processes, each of which finds its place in the environment.

    The first one that fails ends all others, and its error is raised here: a :class:`UserError` as such.

    Args:
        function: of a module, as the processes import it.

    Raises:
        UserError: what a process raised.
        RankFailed: a process raised something else, or ended without a word.
        KeyboardInterrupt: somebody interrupted the processes.
    """
    context = multiprocessing.get_context("spawn")
    # The store in which they meet: it chooses a free port by itself, and outlives each of them.
    store = dist.TCPStore(HOST, 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    members = []
    try:
        for rank in range(nproc):
            reader, writer = context.Pipe(duplex=False)
            own = (rank, nproc, store.port, multiprocessing.get_start_method(), writer)
            process = context.Process(target=_member, args=(*own, function, args))
            process.start()
            writer.close()
            members.append((rank, process, reader))
        failures = _wait(members)
    finally:
        for _, process, _ in members:
            if process.is_alive():
                process.terminate()
        for _, process, _ in members:
            process.join(PATIENCE)
            process.kill()
            process.join()
    if failures:
        raise min(failures, key=lambda failure: failure.guilt).error


def _wait(members: list[tuple[int, Any, Any]]) -> list[_Failure]:
    """The failures, as soon as it is known who is to blame; none when all are done."""
    running = {process.sentinel: (rank, process, reader) for rank, process, reader in members}
    failures: list[_Failure] = []
    deadline = float("inf")
    while running and time.monotonic() < deadline:
        for sentinel in connection.wait(list(running), timeout=None if not failures else 0.1):
            rank, process, reader = running.pop(sentinel)
            process.join()
            if process.exitcode:
                failures.append(_failure(rank, process.exitcode, reader))
        if any(failure.guilt < _LOST for failure in failures):
            break
        if failures:
            deadline = min(deadline, time.monotonic() + PATIENCE)
    return failures


_USER, _ERROR, _SILENT, _LOST = range(4)


def _failure(rank: int, exit_code: int, reader: Any) -> _Failure:
    try:
        guilt, sentence, trace = reader.recv()
    except EOFError:  # it had no time for a word
        if exit_code in (INTERRUPTED, -signal.SIGINT):
            return _Failure(_USER, KeyboardInterrupt())
        how = f"exit code {exit_code}"
        if exit_code < 0:
            how = f"signal {signal.Signals(-exit_code).name}"
            how += " (the system may have run out of memory)" if exit_code == -signal.SIGKILL else ""
        return _Failure(_SILENT, RankFailed(f"rank {rank} ended without an error of its own, by {how}"))
    failed = RankFailed(f"rank {rank} failed:\n{trace}")
    if guilt != _USER:
        return _Failure(guilt, failed)
    error = UserError(sentence)
    error.__cause__ = failed
    return _Failure(guilt, error)


INTERRUPTED = 130


def _member(
    rank: int,
    nproc: int,
    port: int,
    start_method: str,
    writer: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    """What a new process does."""
    multiprocessing.set_start_method(start_method, force=True)  # for loaders' workers; it inherits "spawn"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // nproc))
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": nproc, "LOCAL_WORLD_SIZE": nproc}
    os.environ.update({name: str(value) for name, value in own.items()})
    os.environ.update(MASTER_ADDR=HOST, MASTER_PORT=str(port))
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # there is a store already: nobody has to open one
    try:
        function(*args)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        guilt = _USER if isinstance(error, UserError) else _LOST if isinstance(error, PeerLost) else _ERROR
        writer.send((guilt, str(error), traceback.format_exc()[-LONGEST:]))
        sys.exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def end_with(parent: int) -> None:
    """Terminates this process, which keeps what it has learnt, once ``parent`` (an id) is no longer its parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()

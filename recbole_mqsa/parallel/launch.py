"""Start the processes of a run on this machine, and end all when one fails; ``torchrun`` can do it as well."""

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
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch
import torch.distributed as dist

from ..errors import PeerLost, UserError

PARENT = "RECBOLE_MQSA_PARENT"
"""The environment variable with the id of the process without which a run ends."""
HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that a failed process may take to end, and seconds to wait for the error that made its peers fail."""
LONGEST = 20_000
"""Characters of a traceback that are passed on: a pipe holds only 64 K until it is read."""


class RankFailed(RuntimeError):
    """A process of the run has raised an error that is a bug; the message has its traceback."""


class _Started(NamedTuple):
    """A process of the run, and where to read the error that it sends."""

    rank: int
    process: BaseProcess
    reader: Connection


@dataclass(frozen=True)
class _Failure:
    """How a process ended; the one with the lowest ``guilt`` is to blame."""

    guilt: int
    error: BaseException


def spawn(function: Callable[..., object], nproc: int, *args: object) -> None:
    """Call ``function(*args)`` in ``nproc`` new processes, each of which finds its place in the environment.

    The first that fails ends all others, and its error is raised here.

    Args:
        function: importable, as each process imports it.

    Raises:
        UserError: what a process raised.
        RankFailed: a process raised something else.
        PeerLost: a process ended without raising, or did not answer the others within ``rank_timeout``.
        KeyboardInterrupt: the processes were interrupted.
    """
    context = multiprocessing.get_context("spawn")
    # The store in which they meet chooses a free port by itself, and outlives all of them.
    store = dist.TCPStore(HOST, 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    members: list[_Started] = []
    try:
        for rank in range(nproc):
            reader, writer = context.Pipe(duplex=False)
            own = (rank, nproc, store.port, multiprocessing.get_start_method(), writer)
            process = context.Process(target=_member, args=(*own, function, args))
            process.start()
            writer.close()
            members.append(_Started(rank, process, reader))
        failures = _wait(members)
    finally:
        for member in members:
            if member.process.is_alive():
                member.process.terminate()
        for member in members:
            member.process.join(PATIENCE)
            member.process.kill()
            member.process.join()
    if failures:
        raise min(failures, key=lambda failure: failure.guilt).error


def _wait(members: list[_Started]) -> list[_Failure]:
    """The failures, as soon as it is clear which process is to blame; none if all finished."""
    running = {member.process.sentinel: member for member in members}
    failures: list[_Failure] = []
    deadline = float("inf")
    while running and time.monotonic() < deadline:
        ended = connection.wait(list(running), timeout=None if not failures else 0.1)
        for sentinel in [one for one in running if one in ended]:
            rank, process, reader = running.pop(sentinel)
            process.join()
            if process.exitcode:
                failures.append(_failure(rank, process.exitcode, reader))
        if any(failure.guilt < _LOST for failure in failures):
            break
        if failures:
            deadline = min(deadline, time.monotonic() + PATIENCE)
    if running and all(failure.guilt == _LOST for failure in failures):
        failures.append(_hung([member.rank for member in running.values()]))
    return failures


_USER, _ERROR, _SILENT, _LOST = range(4)


def _hung(ranks: list[int]) -> _Failure:
    """The others have given these up, and they have not failed themselves."""
    who = f"rank {ranks[0]} has" if len(ranks) == 1 else f"each of ranks {', '.join(map(str, ranks))} has"
    advice = "raise rank_timeout if its disk is slow or it has more to do than the others"
    return _Failure(_SILENT, PeerLost(f"{who} not answered within rank_timeout and was ended; {advice}"))


def _failure(rank: int, exit_code: int, reader: Connection) -> _Failure:
    """How a process with this exit code ended, by its own account if it has sent one."""
    try:
        guilt, sentence, trace = reader.recv()
    except EOFError:  # it ended before it could send anything
        if exit_code in (INTERRUPTED, -signal.SIGINT):
            return _Failure(_USER, KeyboardInterrupt())
        how = f"with exit code {exit_code}"
        if exit_code < 0:
            how = f"by signal {signal.Signals(-exit_code).name}"
            how += " (the system may have run out of memory)" if exit_code == -signal.SIGKILL else ""
        return _Failure(_SILENT, PeerLost(f"rank {rank} ended {how}, without raising an error"))
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
    writer: Connection,
    function: Callable[..., object],
    args: tuple[object, ...],
) -> None:
    """What a new process does."""
    multiprocessing.set_start_method(start_method, force=True)  # or loaders' workers would be spawned
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // nproc))
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": nproc, "LOCAL_WORLD_SIZE": nproc}
    os.environ.update({name: str(value) for name, value in own.items()})
    os.environ.update(MASTER_ADDR=HOST, MASTER_PORT=str(port))
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # the store exists already; no rank has to open one
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
    """Terminate this process, which saves its state, once the process ``parent`` (an id) is no longer its parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def end_with_parent() -> None:
    """Do so with the process that is named in the environment, if one is; what this one starts is not told of it."""
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        end_with(int(parent))

"""A server in front of a journal, by which machines without a database share a search.

Run it on one machine: ``python -m recbole_mqsa.tuning.serve study.journal --host=HOST --port=13000``. It asks nobody
for a password, so that it listens to its own machine alone unless it is told otherwise.
"""

from __future__ import annotations

import argparse
import socket
import sys
import warnings
from collections.abc import Sequence

from ..errors import SPEAKER, UserError
from .address import INSTALL, found
from .storage import open_storage

HOST, PORT = "127.0.0.1", 13000


def serve(journal: str, host: str, port: int) -> None:
    """Let machines read and write a journal until the process is ended.

    Raises:
        UserError: the journal cannot be opened, or the port is taken.
    """
    if not found("grpc"):
        raise UserError(f"the server {INSTALL}")
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port} cannot be listened to ({error}); choose another --port") from error
    storage = open_storage(journal)
    from optuna.storages import run_grpc_proxy_server

    print(f"serving {journal}; workers take --storage=grpc://{host}:{port}", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is called experimental
        run_grpc_proxy_server(storage, host=host, port=port)


def main(words: Sequence[str] | None = None) -> int:
    """What the command line does."""
    parser = argparse.ArgumentParser(prog="python -m recbole_mqsa.tuning.serve", description=__doc__)
    parser.add_argument("journal", help="the file of the study; it is made if there is none")
    parser.add_argument("--host", default=HOST, help=f"the address to listen at; {HOST} by default")
    parser.add_argument("--port", default=PORT, type=int, help=f"the port; {PORT} by default")
    given = parser.parse_args(words)
    try:
        serve(given.journal, given.host, given.port)
    except UserError as error:
        print(SPEAKER, error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Studies that several machines reach: their addresses, and how each mistake in one is told.

An address is a URL. What it holds between the name and the host is a secret: it is in no message, no record and no
command line but the user's own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from ..errors import UserError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

INSTALL = 'needs a package that is not installed: pip install ".[tune-server]"'
DRIVERS = {"postgresql": "psycopg2", "postgresql+psycopg2": "psycopg2", "grpc": "grpc", "sqlite": "sqlite3"}
EXAMPLES = "postgresql://NAME@HOST/DATABASE or grpc://HOST:PORT"
ADDRESS = "RECBOLE_MQSA_STORAGE"
"""The environment variable with the address of the study, from a search to its trials."""
CONNECT_SECONDS, OUTAGE_SECONDS = 10.0, 300.0
"""How long a storage may take to answer at first, and how long it may be away once a search has begun."""
RACING, ATTEMPTS = "already exists|duplicate key|UNIQUE constraint", 8
"""What databases say to two workers that make the same tables, and how often a worker tries."""

T = TypeVar("T")


class Unreachable(UserError):
    """A storage does not answer: what was to be recorded is not, and others may go on with it."""


def is_address(place: str) -> bool:
    """Whether a place is that of a server or a database, rather than a file."""
    return "://" in place


def placed(url: str, study: str) -> str:
    """The place of a study at an address."""
    return f"{url}#{study}"


def parted(place: str) -> tuple[str, str]:
    """The address and the study of a place."""
    url, _, study = place.rpartition("#")
    return url, study


def hidden(text: str) -> str:
    """A text with the passwords of the addresses in it left out."""
    text = re.sub(r"(://[^:/@\s]*:)\S*@", r"\1***@", text)
    return re.sub(r"((?:password|passwd|passfile|sslpassword)=)[^&#\s]*", r"\1***", text)


def shown(place: str) -> str:
    """What a place is called in a message."""
    if not is_address(place):
        return place
    url, study = parted(place)
    return f"study '{study}' in {hidden(url)}"


def handed_over(place: str) -> str:
    """A word for a trial's command line that says where its study is; the address itself is in the environment."""
    if not is_address(place):
        return place
    os.environ[ADDRESS] = place
    return hidden(place)


def taken_over(word: str) -> str:
    """The place that :func:`handed_over` stands for."""
    place = os.environ.get(ADDRESS, "")
    return place if place and hidden(place) == word else word


def check_address(url: str) -> None:
    """See that an address is one, and that its driver is there.

    Raises:
        UserError: it is none, or of a kind that is not known here.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not rest:
        raise UserError(f"storage '{hidden(url)}' is no address; name one like {EXAMPLES}")
    if scheme not in DRIVERS:
        raise UserError(f"storage {hidden(url)} is of an unknown kind, '{scheme}'; name one like {EXAMPLES}")
    if "#" in url:
        raise UserError(
            f"storage {hidden(url)} has a '#'; write %23 for one in a password, and name a study by --study"
        )
    if scheme == "grpc":
        _host(url)
    if not found(DRIVERS[scheme]):
        raise UserError(f"storage {hidden(url)} {INSTALL}")


def found(module: str) -> bool:
    """Whether a module is installed; it is not imported."""
    return importlib.util.find_spec(module) is not None


def open_address(url: str) -> BaseStorage:
    """The storage at an address; its tables are made if there are none.

    Raises:
        UserError: there is no such address, or nothing answers there.
    """
    check_address(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the proxy is called experimental
            return _proxy(url) if url.startswith("grpc:") else _database(url)
    except UserError:
        raise
    except Exception as error:  # drivers raise what they like
        raise Unreachable(
            f"storage {hidden(url)} cannot be used ({why(error)}); correct it, or start it"
        ) from error


def _host(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port and parts.path in ("", "/"):
            return parts.hostname, parts.port
    except ValueError:  # the port is no number
        pass
    raise UserError(f"storage {hidden(url)} needs a host and a port; name one like grpc://HOST:PORT")


def _proxy(url: str) -> BaseStorage:
    from optuna.storages import GrpcStorageProxy

    host, port = _host(url)
    proxy = GrpcStorageProxy(host=f"[{host}]" if ":" in host else host, port=port)
    try:
        proxy.wait_server_ready(CONNECT_SECONDS)
    except ConnectionError as error:
        raise Unreachable(
            f"storage {url} does not answer within {CONNECT_SECONDS:.0f} s; start its server, or correct the address"
        ) from error
    return proxy


def _database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage

    options = {"timeout": 60} if url.startswith("sqlite") else {"connect_timeout": int(CONNECT_SECONDS)}
    driven = re.sub("^postgresql:", "postgresql+psycopg2:", url)  # SQLAlchemy's default is another driver
    escaped = driven.replace("{", "%7B").replace("}", "%7D")  # Optuna formats the address
    attempt = 0
    while True:
        attempt += 1
        try:
            return RDBStorage(escaped, {"pool_pre_ping": True, "connect_args": options})
        except Exception as error:
            if not re.search(RACING, str(error)) or attempt == ATTEMPTS:
                raise
            time.sleep(0.1 * attempt)


def why(error: BaseException) -> str:
    """The first line of what a driver says, without passwords."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    original = getattr(cause, "orig", None) or cause
    details = getattr(original, "details", None)  # of gRPC
    text = str(details() if callable(details) else original).strip() or type(original).__name__
    return hidden(" ".join(text.splitlines()[0].split()))


def outages() -> tuple[type[BaseException], ...]:
    """What is raised when a storage does not answer."""
    from optuna.exceptions import StorageInternalError

    kinds: list[type[BaseException]] = [StorageInternalError, ConnectionError]
    if "sqlalchemy" in sys.modules:
        kinds.append(sys.modules["sqlalchemy.exc"].DBAPIError)
    if "grpc" in sys.modules:
        kinds.append(sys.modules["grpc"].RpcError)
    return tuple(kinds)


def steadily(action: Callable[[], T], place: str, patience: float = OUTAGE_SECONDS) -> T:
    """Do something with a storage that may be away for a while, as when its server is started anew.

    What is done has to be harmless if it is done twice.

    Raises:
        Unreachable: it stays away.
    """
    if not is_address(place):
        return action()
    deadline, pause = time.monotonic() + patience, 0.2
    while True:
        try:
            return action()
        except outages() as error:  # noqa: PERF203 - to try again is the point
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"{shown(place)} does not answer any more ({why(error)}); the same command goes on once it does"
                ) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

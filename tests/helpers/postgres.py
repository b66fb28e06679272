"""A PostgreSQL of a test's own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USERS = ("postgres", "nobody")
"""Who runs the server where the tests run as root, which it refuses to be run by."""


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where they are not installed."""
    found = [Path(name) for name in (shutil.which("initdb"), shutil.which("pg_ctl")) if name]
    folders = [file.parent for file in found] if len(found) == 2 else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database, with a password in it, while its server runs."""
    place = programs()
    assert place is not None
    user = _user()
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path may have 107 characters
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)

    def run(*words: object) -> None:
        identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        subprocess.run(
            [str(word) for word in words],
            check=True,
            cwd=home,
            stdout=subprocess.DEVNULL,
            timeout=60,
            **identity,
        )  # type: ignore[call-overload]

    port, password = free_port(), home / "password"
    password.write_text("s3cret")
    password.chmod(0o644)
    try:
        run(
            place / "initdb",
            "-D",
            home / "data",
            "-U",
            "me",
            "-A",
            "scram-sha-256",
            "--no-sync",
            f"--pwfile={password}",
        )
        options = f"-h 127.0.0.1 -p {port} -k {home} -F"
        run(place / "pg_ctl", "-D", home / "data", "-o", options, "-l", home / "log", "-w", "start")
        try:
            yield f"postgresql+psycopg2://me:s3cret@127.0.0.1:{port}/postgres"
        finally:
            run(place / "pg_ctl", "-D", home / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    known = {one.pw_name: one for one in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

"""A build backend (PEP 517) that makes RecBole 1.2.1 installable on Python 3.12 and newer.

RecBole's code runs there, but its released wheel asks for ray up to 2.6.3, and no such ray exists for these Pythons. So
this backend lets pip download the released wheel, compares its SHA-256, makes ray an extra and calls the result
1.2.1+rayoptional. Every file of code and data stays as it was released.

It stands alone, as pip runs it before anything is installed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn
from zipfile import ZIP_DEFLATED, ZipFile

RELEASE = "1.2.1"
SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
VERSION = f"{RELEASE}+rayoptional"
RELEASED_INFO = f"recbole-{RELEASE}.dist-info"
INFO = f"recbole-{VERSION}.dist-info"


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """Write the changed wheel into ``wheel_directory``, and return its name."""
    name = f"recbole-{VERSION}-py3-none-any.whl"
    with tempfile.TemporaryDirectory() as scratch:
        repack(download(Path(scratch)), Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory: str, config_settings: object = None) -> NoReturn:
    """Refuse: PEP 517 wants this function, but there is no source of our own."""
    raise SystemExit("this folder makes a wheel only: pip install third_party/recbole")


def download(folder: Path) -> Path:
    """The released wheel, downloaded into ``folder`` by pip, from the index that pip is set up with."""
    wanted = ["--no-deps", "--only-binary=:all:", "--dest", str(folder), f"recbole=={RELEASE}"]
    if subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted]).returncode:
        raise SystemExit(f"pip could not download recbole {RELEASE}; what it says above is the reason")
    (wheel,) = folder.glob("*.whl")
    return wheel


def repack(released: Path, changed: Path) -> None:
    """Copy the wheel ``released`` to ``changed`` with ray as an extra, if it is the one that we know."""
    found = hashlib.sha256(released.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(
            f"{released.name} has the SHA-256 {found}, not {SHA256}: it is not the released wheel"
        )
    with ZipFile(released) as old, ZipFile(changed, "w", ZIP_DEFLATED) as new:
        record: list[str] = []
        for entry in old.infolist():
            name, content = (
                re.sub(f"^{re.escape(RELEASED_INFO)}/", f"{INFO}/", entry.filename),
                old.read(entry),
            )
            entry.filename = name  # its time stays, so that the same wheel is made on any day
            if name == f"{INFO}/METADATA":
                content = ray_as_extra(content)
            if name == f"{INFO}/RECORD":  # the last entry
                content = "".join([*record, f"{name},,\n"]).encode()
            new.writestr(entry, content, ZIP_DEFLATED)
            record.append(f"{name},{digest(content)},{len(content)}\n")


def ray_as_extra(metadata: bytes) -> bytes:
    """The released ``METADATA`` with the new version, and with ray asked for by ``recbole[ray]`` only."""
    text = metadata.decode()
    extra = "Provides-Extra: ray\nRequires-Dist: ray (>=1.13.0) ; extra == 'ray'"
    for old, new in ((r"Version: .+", f"Version: {VERSION}"), (r"Requires-Dist: ray .+", extra)):
        text, changes = re.subn(rf"^{old}$", new, text, flags=re.M)
        if changes != 1:
            raise SystemExit(f"RecBole's METADATA has {changes} lines like '{old}', where one was expected")
    return text.encode()


def digest(content: bytes) -> str:
    """As ``RECORD`` wants it: SHA-256 in base64 without padding."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

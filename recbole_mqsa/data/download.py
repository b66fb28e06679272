"""Downloads a data set: it is checked in a temporary folder, then moved into place as a whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory

from tqdm import tqdm

from recbole_mqsa.errors import UserError

TIMEOUT = 30.0  # seconds
CHUNK = 1 << 16  # bytes
MOST_UNPACKED = 200
"""Times its own size that an archive may unpack to; tables of interactions take some ten times."""


def needs_download(folder: Path, name: str) -> bool:
    """Whether the data set has to be downloaded: its folder is missing or empty.

    RecBole checks only that the folder exists, so it takes the remains of a broken download for the data set.

    Raises:
        UserError: the folder holds other files, which are left alone.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return True
    if not _complete(folder, name):
        raise UserError(
            f"{folder} exists but holds no {name}.inter: "
            "put that file there, or remove the folder and it will be downloaded."
        )
    return False


def fetch(name: str, folder: Path, url: str, timeout: float = TIMEOUT) -> None:
    """Download a zip of atomic files to ``folder``, named ``<name>.inter``, ``<name>.item`` and so on.

    Everything happens in a temporary folder beside ``folder``, and the last step is a rename: at any time, the data
    set is there as a whole or not at all. If another process was faster, its folder is used.

    Args:
        timeout: seconds allowed for connecting, and for each read.

    Raises:
        UserError: anything failed on the way. As after a Ctrl-C, nothing is left behind.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            archive, unpacked = Path(temporary, "archive.zip"), Path(temporary, "unpacked")
            _download(url, archive, name, timeout)
            unpacked.mkdir()
            _unpack(archive, unpacked, name)
            _move(unpacked, folder, name)
    except Exception as error:  # a damaged archive makes zipfile raise anything, zlib.error to RuntimeError
        raise UserError(
            f"{name} could not be downloaded from {url} ({str(error) or type(error).__name__}): "
            f"fetch and unpack it by hand, so that its interactions are {folder / name}.inter."
        ) from error


def _complete(folder: Path, name: str) -> bool:
    """Whether ``folder`` holds interactions: ``<name>.inter``, or ``<name>.<part>.inter`` for each part."""
    return any(path.name.startswith(f"{name}.") for path in folder.glob("*.inter"))


def _download(url: str, target: Path, name: str, timeout: float) -> None:
    # The address is one of RecBole's list.
    with urllib.request.urlopen(url, timeout=timeout) as response, target.open("wb") as file:  # nosec B310
        promised = response.headers.get("Content-Length")
        size = None if promised is None else int(promised)
        with tqdm(total=size, unit="B", unit_scale=True, desc=f"download {name}") as bar:
            for chunk in iter(lambda: response.read(CHUNK), b""):
                file.write(chunk)
                bar.update(len(chunk))
        if size is not None and file.tell() != size:  # http.client does not report a connection that was cut
            raise ValueError(f"the connection broke after {file.tell()} of {size} bytes")


def _unpack(archive: Path, folder: Path, name: str) -> None:
    """Write the data set's files into ``folder`` under its name, without subfolders; reading checks each CRC."""
    with zipfile.ZipFile(archive) as packed:
        files: dict[str, zipfile.ZipInfo] = {}
        for info in packed.infolist():
            _refuse_unsafe(info)
            path = PurePosixPath(info.filename)
            if info.is_dir() or path.name.startswith("."):  # such as __MACOSX/._A.inter
                continue
            if path.name in files:
                raise ValueError(f"the archive holds {path.name} twice")
            files[path.name] = info
        _refuse_large(sum(info.file_size for info in files.values()), archive)
        stem = _common_stem([file for file in files if file.endswith(".inter")])
        for file, info in files.items():
            if file.startswith(f"{stem}."):
                with packed.open(info) as source, (folder / (name + file[len(stem) :])).open("wb") as target:
                    shutil.copyfileobj(source, target)


def _refuse_unsafe(info: zipfile.ZipInfo) -> None:
    """Refuse an archive with an entry outside its folder, which cannot be an accident."""
    path = PureWindowsPath(info.filename)  # handles both separators, and drive letters
    if path.anchor or ".." in path.parts or stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f"the archive's entry {info.filename} leads out of its folder")


def _refuse_large(unpacked: int, archive: Path) -> None:
    """Refuse an archive that would unpack to far more than itself, or to more than the disk holds."""
    free = shutil.disk_usage(archive.parent).free
    if unpacked > MOST_UNPACKED * archive.stat().st_size:
        raise ValueError(
            f"the archive would unpack to {unpacked:,} bytes, more than {MOST_UNPACKED} times its size"
        )
    if unpacked > free:
        raise ValueError(f"the archive unpacks to {unpacked:,} bytes, and {free:,} are free")


def _common_stem(inter_files: list[str]) -> str:
    """The archive's name for its data set: ``A`` for ``A.inter``, and for ``A.train.inter, A.test.inter``."""
    names = [file[: -len("inter")] for file in inter_files]
    stem = os.path.commonprefix(names).rpartition(".")[0]  # noqa: RUF071 (of names, not of paths)
    if not stem:
        raise ValueError("the archive holds no .inter file, or those of several data sets")
    return stem


def _move(unpacked: Path, folder: Path, name: str) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()  # an empty folder: Windows does not rename onto an existing one
    try:
        unpacked.rename(folder)
    except OSError:
        if not _complete(folder, name):
            raise

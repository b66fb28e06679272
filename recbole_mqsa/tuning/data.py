"""Of which data a search is, so that no other data of the same name are mixed into it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..interfaces import Json
from ..settings.config import Config

READ = (".inter", ".user", ".item", ".kg", ".link", ".net")
"""The files of a data set that RecBole reads."""


def fingerprint(dataset: str, settings: Json) -> str | None:
    """What tells the files of a data set from those of the same name elsewhere; None where they are not there yet."""
    path = {key: value for key, value in settings.items() if key == "data_path"}
    config = Config("Pop", dataset, command_line=path)
    found = sorted(Path(config["data_path"]).glob(f"{dataset}.*"))
    files = [file for file in found if file.suffix in READ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as content:
            for chunk in iter(lambda: content.read(1 << 20), b""):
                digest.update(chunk)
    return digest.hexdigest() if files else None

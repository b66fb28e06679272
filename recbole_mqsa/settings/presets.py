"""Named sets of settings (``preset``), a folder of yaml files each, stronger than our files of models and data sets.

Of ``properties/preset/<name>/`` are read, each overriding the former and the user's own settings overriding all:
``overall.yaml`` for every model, ``<model>/overall.yaml`` for one, ``<model>/<dataset>.yaml`` for it on one data set.
None of them has to exist, as a model's sizes mean nothing to another.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from . import locations

NONE = (None, "none")
"""No preset; the text "none" is read as None."""


def preset_names() -> list[str]:
    """The presets that there are."""
    return sorted(folder.name for folder in (locations.FOLDER / "preset").glob("*") if folder.is_dir())


def preset_files(name: object, model: str, dataset: str) -> list[Path]:
    """The files of a preset for a model on a data set, the weakest first; none for no preset.

    Raises:
        UserError: there is no such preset.
    """
    if name in NONE:
        return []
    if name not in (names := preset_names()):
        raise UserError(f"preset is {name!r}; it has to be one of {', '.join(map(repr, [*names, 'none']))}")
    folder = locations.FOLDER / "preset" / str(name)
    files = folder / "overall.yaml", folder / model / "overall.yaml", folder / model / f"{dataset}.yaml"
    return [file for file in files if file.is_file()]

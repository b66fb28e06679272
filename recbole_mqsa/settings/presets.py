"""Named sets of settings (``preset``), a folder of yaml files each, stronger than our files of models and data sets.

Of ``properties/preset/<name>/`` are read, each overriding the former and the user's own settings overriding all:
``overall.yaml`` for every model, ``<model>/overall.yaml`` for one, ``<model>/<dataset>.yaml`` for it on one data set.
None of them has to exist, as a model's sizes mean nothing to another. A variant of a model that studies know by a name,
such as SASRec-whole, may have a folder as well, whose files override the model's.
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
    of_all = locations.FOLDER / "preset" / str(name) / "overall.yaml"
    return [*([of_all] if of_all.is_file() else []), *own_files(name, model, dataset)]


def own_files(name: object, model: str, dataset: str) -> list[Path]:
    """Those of a preset's files that are of one model, or of a variant, alone; none for no preset."""
    folder = locations.FOLDER / "preset" / str(name) / model
    return [file for file in (folder / "overall.yaml", folder / f"{dataset}.yaml") if file.is_file()]

"""Where the yaml files of models and data sets are: ours, and RecBole's.

In a checkout and in an editable install ours are in the top-level folder ``properties/``; a wheel has the same
files inside the package, in ``_properties/``.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL, _IN_CHECKOUT = PACKAGE / "_properties", PACKAGE.parent / "properties"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT


def overall_file() -> Path:
    """The settings that all models of this package have in common."""
    return FOLDER / "overall.yaml"


def model_file(model: str) -> Path:
    """The settings of one model; the file need not exist."""
    return FOLDER / "model" / f"{model}.yaml"


def dataset_file(dataset: str) -> Path:
    """The settings of one data set; the file need not exist."""
    return FOLDER / "dataset" / f"{dataset}.yaml"


@functools.cache
def recbole_folder() -> Path:
    """The folder of RecBole's code, found without importing it."""
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("recbole is not installed", name="recbole")
    return Path(spec.submodule_search_locations[0]).resolve()


def recbole_file(*parts: str) -> Path:
    """One of RecBole's own yaml files, such as ``("model", "SASRec.yaml")``; it need not exist."""
    return recbole_folder().joinpath("properties", *parts)

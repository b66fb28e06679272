"""Where the yaml files of models and data sets lie.

In a checkout and in an editable install they are the top-level folder ``properties/``; a wheel
carries the same files inside the package, as ``_properties/``.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL, _IN_CHECKOUT = PACKAGE / "_properties", PACKAGE.parent / "properties"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT


def overall_file() -> Path:
    """The settings that all models of this package share."""
    return FOLDER / "overall.yaml"


def model_file(model: str) -> Path:
    """The settings of one model; the file need not exist."""
    return FOLDER / "model" / f"{model}.yaml"


def dataset_file(dataset: str) -> Path:
    """The settings of one data set; the file need not exist."""
    return FOLDER / "dataset" / f"{dataset}.yaml"

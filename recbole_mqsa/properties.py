"""Where the yaml files of models and data sets lie.

In a checkout and in an editable install they are the top-level folder ``properties/``; a wheel
carries the same files inside the package.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
FOLDER = next(
    (folder for folder in (PACKAGE / "properties", PACKAGE.parent / "properties") if folder.is_dir()),
    PACKAGE / "properties",
)


def overall_file() -> Path:
    """The settings that all models of this package share."""
    return FOLDER / "overall.yaml"


def model_file(model: str) -> Path:
    """The settings of one model; the file need not exist."""
    return FOLDER / "model" / f"{model}.yaml"


def dataset_file(dataset: str) -> Path:
    """The settings of one data set; the file need not exist."""
    return FOLDER / "dataset" / f"{dataset}.yaml"

"""The numbers of the paper's main table, for the reader to compare with; nothing is computed from them."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

SOURCE = "Zhu et al., WSDM 2024"
TABLE = Path(__file__).with_name("published.csv")
"""A line for each metric on each data set, a column for each model; means of five seeds."""


def published_on(dataset: str) -> dict[str, dict[str, float]]:
    """The paper's models on a data set, in its order, each with its metrics; none on a data set it does not have."""
    models: dict[str, dict[str, float]] = {}
    for line in _lines():
        if line["dataset"] == dataset:
            for model in list(line)[2:]:
                models.setdefault(model, {})[line["metric"]] = float(line[model])
    return models


@functools.cache
def _lines() -> list[dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

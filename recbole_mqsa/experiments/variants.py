"""Which rows a benchmark has: models by name, and what a study varies about one model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import UserError
from ..settings.literals import literal
from .cells import Row

NAMED = {
    # The paper's SASRec learns from every position of a sequence; RecBole's from the last one of each prefix.
    "SASRec-whole": Row("SASRec-whole", "MQSATED", {"query_windows": [1], "lambda_kd": 0.0}),
    # None of what makes MQSATED fast: what that costs in quality is the difference between the two.
    "MQSATED-plain": Row(
        "MQSATED-plain",
        "MQSATED",
        {"softmax_precision": "float32", "softmax_block": 0, "attention_groups": 1, "distillation_heads": 0},
    ),
}
"""Rows that are a model with settings of their own; any other name is a model's."""

PAPER = (
    *("Pop", "ItemTransition", "LightGCN", "FPMC", "Caser", "GRU4Rec"),
    *("SASRec", "SASRec-whole", "BERT4Rec", "FMLPRec", "MQSATED"),
)
"""The rows of the paper's main table, with ItemTransition from its table 1 and its own SASRec beside RecBole's."""

ABLATION = (
    Row("full", "MQSATED", {}),
    Row("without TED", "MQSATED", {"transition": "none"}),
    Row("without the long query", "MQSATED", {"query_windows": [1]}),
    Row("without the short query", "MQSATED", {"query_windows": [3]}),
    Row("GraReg for TED", "MQSATED", {"transition": "grareg"}),
    Row("GES for TED", "MQSATED", {"transition": "ges"}),
    Row("learned alpha", "MQSATED", {"alpha": "learned"}),
    Row("decay pooling", "MQSATED", {"query_pooling": "decay"}),
    Row("three windows", "MQSATED", {"query_windows": [1, 2, 4], "alpha": [1 / 3, 1 / 3, 1 / 3]}),
    Row("time span 2", "MQSATED", {"time_span": 2}),
    Row("time span 3", "MQSATED", {"time_span": 3}),
)
"""What each part of MQSA-TED is worth; time span 1 is the full model's."""


def named_rows(names: Sequence[str]) -> list[Row]:
    """A row for each name, which is an entry of ``NAMED`` or a model."""
    return [NAMED.get(name, Row(name, name, {})) for name in names]


def swept_rows(model: str, param: str, values: Sequence[Any]) -> list[Row]:
    """A row of ``model`` for each value of the setting ``param``."""
    return [Row(f"{param}={value}".replace(" ", ""), model, {param: value}) for value in values]


def words(text: str) -> list[str]:
    """The parts of ``text`` between commas or spaces."""
    return [word for word in re.split(r"[,\s]+", text.strip()) if word]


def values_of(text: str) -> list[Any]:
    """The literals of a comma-separated list; commas within brackets or quotes separate nothing.

    Raises:
        UserError: there is none.
    """
    listed = literal(f"[{text}]")
    values = listed if isinstance(listed, list) else [literal(word) for word in words(text)]
    if not values:
        raise UserError("--values names no value; write for example --values=0,0.5,1")
    return values

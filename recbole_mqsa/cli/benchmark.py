"""Train several models on several data sets with several seeds, and report them side by side."""

from __future__ import annotations

from argparse import Namespace

from ..interfaces import Json
from . import studies
from .parser import Parser
from .values import whole, words


def add_options(parser: Parser) -> None:
    """Those of every study, and which models."""
    text = "Models or variants such as SASRec-whole, comma-separated; by default those of the paper."
    parser.option("models", "NAMES", text, kind=words)
    text = "Tune every variant first, on each data set, with so many trials on validation; 0, the default, for none."
    parser.option("tune", "NUMBER", text, whole(0), 0)
    text = "Then train every variant once more, on the validation part as well, for a second table."
    parser.flag("refit", text)
    studies.add_options(parser)


def run(given: Namespace, settings: Json) -> int:
    """Run the variants."""
    from ..experiments.variants import PAPER, named_variants

    names = list(PAPER) if given.models is None else given.models
    return studies.carry_out(
        "benchmark", named_variants(names), given, settings, tune=given.tune, refit=given.refit
    )

"""Train MQSA-TED without each of its parts, or with more parts, one after another."""

from __future__ import annotations

from argparse import Namespace

from ..interfaces import Json
from . import studies
from .parser import Parser


def add_options(parser: Parser) -> None:
    """Those of every study, and which way to go."""
    parser.flag("ladder", "Add the parts of --preset=best to the paper's model instead, one after another.")
    studies.add_options(parser)


def run(given: Namespace, settings: Json) -> int:
    """Run its variants."""
    from ..experiments.variants import ABLATION, LADDER

    kind, variants = ("ladder", LADDER) if given.ladder else ("ablation", ABLATION)
    return studies.carry_out(kind, variants, given, settings, {"kind": kind})

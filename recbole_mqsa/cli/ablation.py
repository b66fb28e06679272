"""Train MQSA-TED without each of its parts, and with others in their place."""

from __future__ import annotations

from argparse import Namespace

from ..interfaces import Json
from . import studies
from .parser import Parser


def add_options(parser: Parser) -> None:
    """Those of every study."""
    studies.add_options(parser)


def run(given: Namespace, settings: Json) -> int:
    """Run its variants."""
    from ..experiments.variants import ABLATION

    return studies.carry_out("ablation", ABLATION, given, settings, {"kind": "ablation"})

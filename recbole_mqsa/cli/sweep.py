"""Train one model with several values of one setting, and report the curve."""

from __future__ import annotations

from argparse import Namespace

from ..errors import UserError
from ..interfaces import Json
from ..settings.names import MODEL
from . import studies
from .parser import Parser
from .values import literals


def add_options(parser: Parser) -> None:
    """Those of every study, and what is varied about which model."""
    parser.option("param", "SETTING", "The setting that is varied.")
    parser.option("values", "VALUES", "Its values, comma-separated, as in 0,0.5,1 or [1,3],[1,4].", literals)
    parser.option("model", "NAME", f"The model; {MODEL} by default.", default=MODEL)
    studies.add_options(parser)


def run(given: Namespace, settings: Json) -> int:
    """Run a variant for each value."""
    from ..experiments.variants import swept_variants

    _check(given, settings)
    kind = {"kind": "sweep", "param": given.param, "values": given.values}
    variants = swept_variants(given.model, given.param, given.values)
    return studies.carry_out(f"sweep-{given.param}", variants, given, settings, kind)


def _check(given: Namespace, settings: Json) -> None:
    param = given.param
    if param is None or given.values is None:
        raise UserError(
            "sweep varies one setting: name it and its values, as in --param=alpha --values=0,0.5,1"
        )
    if param in studies.RESERVED:
        instead = f"write --{param}s" if param in ("dataset", "seed") else "name a setting of the model"
        raise UserError(f"sweep cannot vary {param}, which each trial has of its own; {instead}")
    if param in settings:
        raise UserError(f"--{param} is what is swept; leave it out of the settings")

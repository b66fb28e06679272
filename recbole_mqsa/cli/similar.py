"""Show the items most like some items: by embedding, and by what came right after them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from .parser import Parser
from .values import names, whole


def add_options(parser: Parser) -> None:
    """Which run, and which items."""
    parser.option("run", "FOLDER", "The folder of a trained run.", kind=Path)
    parser.option(
        "items", "NAMES", 'Items, comma-separated; where names hold commas, as in ["a, b","c"].', kind=names
    )
    parser.option("topk", "NUMBER", "How many of each kind; 10 by default.", whole(1), 10)
    parser.option("data_path", "FOLDER", "The folder of data sets, if the run's data have moved.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Print them."""
    for name in ("run", "items"):
        if getattr(given, name) is None:
            raise UserError(f"similar needs --{name}, as in --run=runs/shop --items=A,B")

    from ..recommend.recommender import Recommender
    from ..training.run import read_run

    rec = Recommender(read_run(given.run, given.data_path))
    found = rec.similar_items(given.items, given.topk)
    found["score"] = [f"{score:.4f}" for score in found.score]
    found["times"] = [str(times) if by == "transition" else "" for by, times in zip(found.by, found.times)]
    print(found.to_string(index=False) if len(found) else "nothing is like them")
    if rec.embeddings is None:
        print(
            f"{rec.run.config['model']} has no single item embedding, so these are neighbours by transition alone"
        )
    return 0

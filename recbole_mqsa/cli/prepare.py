"""Make a data set of a table of purchases, clicks or ratings: csv, tsv, jsonl or parquet, of any size."""

from __future__ import annotations

import importlib.util
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json
from .parser import Parser
from .values import names, whole


def add_options(parser: Parser) -> None:
    """Which table, which columns, and what stays."""
    parser.option(
        "input", "FILE", "The table: .csv, .tsv, .jsonl (these also with .gz) or .parquet.", kind=Path
    )
    parser.option("output", "FOLDER", "The data set to make; the folder's name is its name.", kind=Path)
    for column in ("user", "item", "time"):
        parser.option(column, "NAME", f"The column of the {column}s.")
    parser.option(
        "time_format",
        "FORMAT",
        "s, ms, us or ns since 1970, iso, or a form such as '%%d/%%m/%%Y %%H:%%M'; by default numbers or ISO 8601.",
    )
    parser.option("rating", "NAME", "The column of ratings, for --min_rating.")
    parser.option("min_rating", "NUMBER", "Keeps actions rated at least so.", _number)
    parser.option("since", "DATE", "Keeps actions from this date on.")
    parser.option("until", "DATE", "Keeps actions before this date.")
    parser.option(
        "duplicates",
        "POLICY",
        "Of several actions of a user with an item, keep all, one for each time (exact), the first or the last.",
        default="keep",
    )
    parser.option("core", "NUMBER", "Keeps users and items with this many actions, until all have.", whole(1))
    parser.option("user_core", "NUMBER", "The same for users alone.", whole(1))
    parser.option("item_core", "NUMBER", "The same for items alone.", whole(1))
    parser.option(
        "separator", "TEXT", "What stands between the values of a text file; by default by its ending."
    )
    parser.option(
        "columns", "NAMES", "The names of the columns, comma-separated, of a file without a header.", names
    )
    parser.option("memory", "SIZE", "What may be used before data go to disk; 2GB by default.", default="2GB")
    parser.flag("strict", "End at the first row that is of no use, instead of leaving such rows out.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Make it, and print its summary."""
    for name in ("input", "output", "user", "item", "time"):
        if getattr(given, name) is None:
            raise UserError(
                f"prepare needs --{name}, as in --input=orders.csv --user=customer --item=sku --time=date "
                "--output=data/shop"
            )
    if importlib.util.find_spec("duckdb") is None:
        raise UserError("prepare reads tables by duckdb, which is not installed; pip install duckdb")

    from ..prepare import prepare_dataset

    options = vars(given)
    both = options.pop("core") or 1
    for name in ("user_core", "item_core"):
        options[name] = options[name] or both
    kept = {key: value for key, value in options.items() if key not in ("input", "debug", "help", "version")}
    kept["columns"] = kept["columns"] or ()
    kept["separator"] = {"\\t": "\t", "tab": "\t"}.get(kept["separator"], kept["separator"])
    summary = prepare_dataset(given.input, **kept)
    print(summary)
    print(f"train on it: recbole-mqsa --data_path={given.output.parent} --dataset={given.output.name}")
    return 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"is {text}; it has to be a number") from None

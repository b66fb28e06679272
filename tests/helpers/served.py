"""Small trained runs that recommend, and the data behind them, read line by line."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

from helpers.chain import write_chain
from helpers.runs import trained

from recbole_mqsa.api import Run, load

SIZES = {
    "MQSATED": {},
    "SASRec": {"hidden_size": 16, "inner_size": 16, "epochs": 1},
    "FPMC": {"embedding_size": 16, "epochs": 1},
    "LightGCN": {"embedding_size": 16, "epochs": 2},
    "Pop": {},
}
"""Settings of runs that take half a second."""


def served(home: Path, model: str, **settings: object) -> Run:
    """A run on the chain, loaded again."""
    if not (home / "chain").exists():
        write_chain(home, certainty=0.8)
    name = "-".join([model, *map(str, settings.values())])
    if not (home / name).exists():
        trained(home, name, model, **{**SIZES[model], **settings})
    return load(home / name)


def histories(home: Path) -> dict[str, list[str]]:
    """The items of each user, old to new."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (home / "chain" / "chain.inter").read_text().splitlines()[1:]:
        user, item, _ = line.split("\t")
        found[user].append(item)
    return found


def listed(file: Path) -> dict[str, list[str]]:
    """The recommendations of a csv or tsv file."""
    found: dict[str, list[str]] = defaultdict(list)
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t" if file.suffix == ".tsv" else ","):
            found[row["user_id"]].append(row["item_id"])
            assert int(row["rank"]) == len(found[row["user_id"]])
    return found


def ndcg(lists: dict[str, list[str]], targets: dict[str, str], k: int) -> float:
    """The mean over targets of 1 / log2(place + 1), 0 below place k."""
    gains = [
        1 / math.log2(lists[user].index(target) + 2) if target in lists[user][:k] else 0.0
        for user, target in targets.items()
    ]
    return sum(gains) / len(gains)

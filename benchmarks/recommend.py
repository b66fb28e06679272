"""Users a second that get lists of the 20 best items, and where the time goes.

    OMP_NUM_THREADS=1 python benchmarks/recommend.py --data_path=../shared/datasets --dataset=amazon-beauty \\
        --output=benchmarks/records/recommend-amazon-beauty.json

Trains a model for one epoch, or takes a trained one (``--run``); its quality changes no speed. In one process, each
part is timed ``--repeats`` times: what a start costs once, the loop of ``recommend`` with and without its csv file,
and in the loop the encoding of histories. The tables show the fewest seconds of the CPU and by the clock, as other
programs on a machine only ever add to them. Beside the loop stands the same one as evaluation computes it, which
``--split=test`` takes; both give the same items, or the script fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
from harness import Figures, in_own_process, peak_mb, train_one_epoch, write_record


def timed(once: Callable[[], object], repeats: int) -> Figures:
    """The fewest seconds of the CPU, all its threads together, and by the clock."""
    taken = []
    for _ in range(repeats):
        clock, cpu = time.perf_counter(), time.process_time()
        once()
        taken.append({"cpu": time.process_time() - cpu, "clock": time.perf_counter() - clock})
    return {key: min(one[key] for one in taken) for key in ("cpu", "clock")} | {"all": taken}


def measure(folder: str, topk: int, repeats: int) -> Figures:
    """Measure one run in this process."""
    parts: Figures = {}

    def once(title: str, make: Callable[[], Any]) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        made = make()
        parts[title] = {"cpu": time.process_time() - cpu, "clock": time.perf_counter() - clock}
        return made

    def start() -> Any:
        from recbole_mqsa.recommend.recommender import Recommender
        from recbole_mqsa.training.run import read_run

        return Recommender, read_run

    recommender, read_run = once("start: imports", start)
    rec = once("start: run, data, model", lambda: recommender(read_run(Path(folder), None)))
    histories = once("start: histories", rec.histories)

    import torch

    from recbole_mqsa.recommend.writing import write_lists

    choice, scorer = rec.choice(), rec.scorer

    @torch.no_grad()
    def encode() -> None:
        for first in range(0, len(histories), scorer.step):
            scorer.model.factors(scorer._batch(histories.rows(slice(first, first + scorer.step))))

    def lists() -> list[Any]:
        return [one.items for one in rec.lists(histories, topk, choice)]

    def write(ending: str) -> None:
        file = Path(folder) / f"benchmark{ending}"
        write_lists(file, rec.lists(histories, topk, choice), rec.items.tokens)
        file.unlink()

    found = lists()  # also warms up
    parts["loop: encoding"] = timed(encode, repeats)
    parts["loop: lists"] = timed(lists, repeats)
    parts["loop: lists and csv"] = timed(lambda: write(".csv"), repeats)
    parts["loop: lists and parquet"] = timed(lambda: write(".parquet"), repeats)
    scorer.freely, scorer.step = False, _evaluations_step(rec)
    parts["as evaluation computes: lists"] = timed(lists, repeats)
    return {
        "users": len(histories),
        "items": rec.part.item_num - 1,
        "topk": topk,
        "threads": torch.get_num_threads(),
        "peak_mb": peak_mb(),
        "same_lists": _share_alike(found, lists()),
        "parts": parts,
    }


def _evaluations_step(rec: Any) -> int:
    from recbole_mqsa.data.loader import users_at_once

    return int(users_at_once(rec.loader.config, rec.part.item_num))


def _share_alike(found: list[Any], expected: list[Any]) -> float:
    """The share of users whose lists are the same: a last bit may decide between two items."""
    import numpy as np

    mine, theirs = np.concatenate(found), np.concatenate(expected)
    return float((mine == theirs).all(1).mean())


def show(figures: Figures) -> None:
    """Print the table."""
    users = figures["users"]
    print(
        f"{users:,} users, {figures['items']:,} items, top {figures['topk']}, {figures['threads']} threads, "
        f"peak {figures['peak_mb']:,.0f} MiB; lists as evaluation's: {figures['same_lists']:.2%}"
    )
    print(f"{'part':34}{'CPU s':>8}{'clock s':>9}{'users / CPU s':>15}{'users / s':>11}")
    for title, one in figures["parts"].items():
        speeds = (
            "" if title.startswith("start") else f"{users / one['cpu']:>15,.0f}{users / one['clock']:>11,.0f}"
        )
        print(f"{title:34}{one['cpu']:>8.2f}{one['clock']:>9.2f}{speeds}")


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--run", help="a trained run, in place of a new one")
    parser.add_argument("--topk", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.topk, given.repeats)))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = given.run or f"{place}/run"
        if not given.run:
            train_one_epoch(folder, given)
        figures = in_own_process(f"--one={folder}", f"--topk={given.topk}", f"--repeats={given.repeats}")
    show(figures)
    if figures["same_lists"] < 0.999:
        sys.exit("the fast lists are not those that evaluation makes")
    if given.output:
        write_record(given.output, {"dataset": given.dataset, **figures})


if __name__ == "__main__":
    main()

"""Write a made-up file of orders, to try the way from a table to recommendations at any size.

    python benchmarks/orders.py orders.csv --rows=1000000

Customers come with a few orders each and follow trends: what follows what is drawn from a fixed graph, so that there
is something to learn. Some lines are broken, as they are in real exports.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK = 1_000_000
BROKEN = 1e-5
"""The share of lines without a customer or with a date that is none."""
FOLLOWERS = 8


def blocks(
    rows: int, customers: int, skus: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Customer, item and second of each order; a block has customers of its own, in order of time."""
    random = np.random.default_rng(seed)
    follower = random.integers(0, skus, size=(skus, FOLLOWERS))
    popular = 1 / np.arange(1, skus + 1) ** 0.8
    popular /= popular.sum()
    for first in range(0, rows, BLOCK):
        size = min(BLOCK, rows - first)
        own = max(1, round(customers * size / rows))
        who = np.sort(random.integers(0, own, size))
        fresh = random.choice(skus, size=size, p=popular)
        follows = (random.random(size) < 0.7) & (np.diff(who, prepend=-1) == 0)
        items, choice = fresh.copy(), random.integers(0, FOLLOWERS, size) ** 2 // FOLLOWERS
        for place in np.flatnonzero(follows):
            items[place] = follower[items[place - 1], choice[place]]
        start = random.integers(0, 300 * 86_400, own)[who]
        gap = random.exponential(5 * 86_400, size).astype(np.int64)
        begins = np.diff(who, prepend=-1) != 0
        total = np.cumsum(gap)
        seconds = start + total - np.maximum.accumulate(np.where(begins, total, 0))
        order = np.argsort(seconds, kind="stable")
        yield who[order] + round(customers * first / rows), items[order], seconds[order]


def write(file: Path, rows: int, customers: int, skus: int, seed: int) -> None:
    """Write the file, block after block."""
    random = np.random.default_rng(seed + 1)
    epoch = np.datetime64("2022-01-01T00:00:00")
    with file.open("w", encoding="utf-8") as stream:
        stream.write("order,customer,sku,date,price\n")
        number = 0
        for who, items, seconds in blocks(rows, customers, skus, seed):
            dates = np.datetime_as_string(epoch + seconds.astype("timedelta64[s]"), unit="s")
            broken = random.random(len(who)) < BROKEN
            for customer, item, date, bad in zip(
                who.tolist(), items.tolist(), dates.tolist(), broken.tolist()
            ):
                number += 1
                when = "n/a" if bad else f"{date}+00:00"
                stream.write(f"{number},C{customer:07d},SKU-{item:05d},{when},{5 + item % 90}.99\n")


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, help="by default a tenth of the rows")
    parser.add_argument("--skus", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.file, given.rows, given.customers or given.rows // 10, given.skus, given.seed)


if __name__ == "__main__":
    main()

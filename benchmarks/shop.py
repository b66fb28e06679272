"""From a table of orders to recommendations: seconds and peak memory of each command, as a user types them.

    python benchmarks/shop.py --rows=1000000 --epochs=2 --output=benchmarks/records/shop.json
    python benchmarks/shop.py --rows=100000000 --commands=prepare --output=benchmarks/records/prepare.json

Makes the table (``orders.py``; above ten million rows by duckdb, as random rows without trends), then starts the
commands one after the other. Each has a process of its own, whose peak memory the kernel tells; with it come those that
the process has started. Seconds are by the clock and of the CPU. The table and all that is made of it are removed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
from harness import Figures, write_record

MANY = 10_000_000
"""Rows above which ``orders.py`` takes minutes."""
RANDOM_ORDERS = """
    COPY (
        SELECT i AS "order", 'C' || lpad((hash(i) % {customers})::VARCHAR, 8, '0') AS customer,
            'SKU-' || lpad(floor({skus} * pow((hash(i + {rows}) % 1000000) / 1e6, 2))::INT::VARCHAR, 6, '0') AS sku,
            strftime(TIMESTAMP '2022-01-01' + to_seconds((i * 63072000) // {rows}), '%Y-%m-%dT%H:%M:%S+00:00') AS date
        FROM range({rows}) AS t(i)
    ) TO '{file}' (HEADER true)
"""


def make(file: Path, rows: int) -> None:
    """Write the table, in a process of its own."""
    if rows <= MANY:
        words = [str(Path(__file__).with_name("orders.py")), str(file), f"--rows={rows}"]
    else:
        query = RANDOM_ORDERS.format(rows=rows, customers=rows // 10, skus=200_000, file=file)
        words = ["-c", f"import duckdb; duckdb.execute({query!r})"]
    subprocess.run([sys.executable, *words], check=True)


def timed(words: list[str]) -> Figures:
    """Run one command of the package; it must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "recbole_mqsa", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{words[0]} failed with exit code {process.returncode}")
    return {
        "clock": time.perf_counter() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 2**10,
        "said": said[-2000:],
    }


def commands(place: Path, epochs: int | None) -> dict[str, list[str]]:
    """Those of the README, by their names."""
    columns = ["--user=customer", "--item=sku", "--time=date"]
    run = place / "runs" / "shop"
    return {
        "prepare": ["prepare", f"--input={place / 'orders.csv'}", *columns, f"--output={place / 'data' / 'shop'}"],
        "train": [
            f"--data_path={place / 'data'}",
            "--dataset=shop",
            f"--output_dir={run}",
            *([] if epochs is None else [f"--epochs={epochs}"]),
        ],
        "recommend": ["recommend", f"--run={run}", "--topk=20", f"--output={place / 'top.csv'}"],
    }  # fmt: skip


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, help="of training; by default until it stops by itself")
    parser.add_argument("--commands", default="prepare,train,recommend")
    parser.add_argument("--folder", help="where to work; by default that of temporary files")
    given = parser.parse_args()
    parts: dict[str, Figures] = {}
    print(f"{given.rows:,} rows\n{'command':12}{'clock s':>10}{'CPU s':>10}{'peak MB':>10}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as home:
        place = Path(home)
        make(place / "orders.csv", given.rows)
        size = (place / "orders.csv").stat().st_size
        words = commands(place, given.epochs)
        for name in given.commands.split(","):
            parts[name] = one = timed(words[name])
            one["said"] = one["said"].replace(str(place), ".").splitlines()
            print(f"{name:12}{one['clock']:>10.1f}{one['cpu']:>10.1f}{one['peak_mb']:>10.0f}", flush=True)
    if given.output:
        figures = {"rows": given.rows, "file_bytes": size, "epochs": given.epochs, "commands": parts}
        write_record(given.output, json.loads(json.dumps(figures)))


if __name__ == "__main__":
    main()

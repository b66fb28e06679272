"""From a file of actions to the first batch, stage by stage: seconds and peak memory.

    python benchmarks/loading.py --actions=10000000 --users=1000000 --items=200000 --recbole_actions=300000

Writes a made-up data set: log-normal activity of users, Zipf-like popularity of items, times in random order. Each
contender reads it in a process of its own, ``--repeats`` times. The tables show medians for each stage: seconds by the
clock and of the CPU, and the peak memory of the process up to its end. The aim counts from the file to the first
training batch, including the model. RecBole's path for SASRec stores a row of T = 50 for each prefix, for ten million
actions 3.6 GB of items alone. So it is timed, beside ours, on a smaller file of ``--recbole_actions``, with as many
actions per user and item.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from harness import Figures, config_class, in_own_process, peak_mb, write_record

NAME = "made-up"
SASREC = {
        "model": "SASRec", "n_layers": 1, "n_heads": 1, "hidden_size": 64, "inner_size": 64, "loss_type": "CE",
        "train_neg_sample_args": None, "train_batch_size": 2048, "MAX_ITEM_LIST_LENGTH": 50,
        "metrics": ["Hit", "NDCG"], "topk": [5, 10, 20], "valid_metric": "NDCG@20",
}  # fmt: skip
CONTENDERS: dict[str, dict[str, Any]] = {"MQSA-TED": {"model": "MQSATED"}, "RecBole SASRec": SASREC}


def generate(folder: Path, actions: int, users: int, items: int, seed: int) -> None:
    """Write a data set of ``actions`` random actions to ``folder``, in which every user and every item occurs."""
    import numpy as np

    rng = np.random.default_rng(seed)
    activity = np.exp(rng.normal(size=users))
    popularity = 1 / np.arange(1.0, items + 1)

    def drawn(weights: Any) -> Any:
        cumulative = np.cumsum(weights)
        extra = np.searchsorted(cumulative, rng.random(actions - len(weights)) * cumulative[-1])
        numbers = np.concatenate((np.arange(len(weights)), np.minimum(extra, len(weights) - 1)))
        rng.shuffle(numbers)
        return numbers

    # All lines have the same width, so that the file is one array of bytes.
    pieces = [b"u", (drawn(activity), 8), b"\ti", (drawn(popularity), 7), b"\t"]
    pieces += [(rng.integers(10**9, 2 * 10**9, actions), 10), b"\n"]
    width = sum(len(piece) if isinstance(piece, bytes) else piece[1] for piece in pieces)
    lines = np.empty((actions, width), dtype=np.uint8)
    column = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            lines[:, column : column + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
            column += len(piece)
            continue
        numbers, digits = piece
        for place in range(column + digits - 1, column - 1, -1):
            numbers, digit = np.divmod(numbers, 10)
            lines[:, place] = digit + ord("0")
        column += digits
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    with open(folder / NAME / f"{NAME}.inter", "wb") as file:
        file.write(b"user_id:token\titem_id:token\ttimestamp:float\n")
        lines.tofile(file)


def measure(name: str, data_path: str, filters: str | None) -> Figures:
    """Measure seconds and peak memory of each stage of one contender in this process."""
    import recbole_mqsa  # noqa: F401  (first, for every contender: RecBole alone fails to import with current versions)
    import torch  # isort: skip
    from recbole.data import create_dataset, data_preparation  # isort: skip
    from recbole.utils import get_model, init_seed  # isort: skip

    from recbole_mqsa.model.protocols import CountsActions

    stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(title: str) -> Iterator[None]:
        start, cpu = time.perf_counter(), time.process_time()
        yield
        stages[title] = {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu,
            "peak_mb": peak_mb(),
        }

    with tempfile.TemporaryDirectory() as folder:
        settings = {"dataset": NAME, "data_path": data_path, "checkpoint_dir": folder, "show_progress": False}
        settings["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
        settings.update(user_inter_num_interval=filters, item_inter_num_interval=filters)
        config = config_class(name == "MQSA-TED")(config_dict={**settings, **CONTENDERS[name]})
        init_seed(config["seed"], config["reproducibility"])
        before = peak_mb()
        with stage("file, filters, ids"):
            dataset = create_dataset(config)
        sizes = {"actions": dataset.inter_num, "users": dataset.user_num - 1, "items": dataset.item_num - 1}
        with stage("parts and loaders"):
            train_data, valid_data, _ = data_preparation(config, dataset)
        with stage("first training batch"):
            batch = next(iter(train_data))
        with stage("model (its transitions)"):
            model = get_model(config["model"])(config, train_data._dataset)
        with stage("first step"):
            model.calculate_loss(batch).backward()
        with stage("first validation batch"):
            next(iter(valid_data))
        with stage("item counts"):
            if isinstance(train_data._dataset, CountsActions):
                train_data._dataset.item_counts()
    figures: Figures = {"stages": stages, "before_mb": before, "kept": sizes}
    for title, count in (("to the first batch", 3), ("with the model", 4)):
        *_, last = rows = list(stages.values())[:count]
        sums = {key: sum(row[key] for row in rows) for key in ("seconds", "cpu_seconds")}
        stages[title] = {**sums, "peak_mb": last["peak_mb"]}
    return {**figures, "threads": torch.get_num_threads()}


def repeated(name: str, data: Path, arguments: argparse.Namespace) -> Figures:
    """Run one contender on one file several times; print and return the medians."""
    options = [f"--contender={name}", f"--data={data}"] + [f"--filters={arguments.filters}"] * bool(
        arguments.filters
    )
    runs = [in_own_process(*options) for _ in range(arguments.repeats)]

    medians = {
        title: {key: statistics.median(run["stages"][title][key] for run in runs) for key in figures}
        for title, figures in runs[0]["stages"].items()
    }
    kept = ", ".join(f"{count:,} {what}" for what, count in runs[0]["kept"].items())
    print(f"{name}: {kept}; median of {len(runs)}, {runs[0]['threads']} threads")
    print(
        f"  {'stage':26}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}   (before: {runs[0]['before_mb']:.0f} MB)"
    )
    for title, row in medians.items():
        print(
            f"  {title:26}{row['seconds']:>10.2f}{row['cpu_seconds']:>10.2f}{row['peak_mb']:>10.0f}",
            flush=True,
        )
    return {"contender": name, "medians": medians, "runs": runs}


def compared(names: list[str], actions: int, arguments: argparse.Namespace) -> list[Figures]:
    """Run some contenders on a new file with so many actions."""
    users, items = (max(1, n * actions // arguments.actions) for n in (arguments.users, arguments.items))
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, as a process passes its peak memory on to those that it starts.
        in_own_process(f"--generate={actions},{users},{items},{arguments.seed}", f"--data={folder}")
        return [repeated(name, Path(folder), arguments) for name in names]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--actions", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument(
        "--recbole_actions", type=int, default=0, help="actions in the file for RecBole; 0 for no such file"
    )
    parser.add_argument("--filters", help="interval of actions per user and per item, such as [5,inf)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--generate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        generate(Path(arguments.data), *map(int, arguments.generate.split(",")))
        print("{}")
        return
    if arguments.contender:
        print(json.dumps(measure(arguments.contender, arguments.data, arguments.filters)))
        return

    tables = compared(["MQSA-TED"], arguments.actions, arguments)
    if arguments.recbole_actions:
        tables += compared(list(CONTENDERS), arguments.recbole_actions, arguments)
    if arguments.output:
        figures = {
            key: value
            for key, value in vars(arguments).items()
            if key not in ("contender", "data", "generate")
        }
        write_record(arguments.output, {"arguments": figures, "tables": tables})


if __name__ == "__main__":
    main()

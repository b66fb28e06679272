"""What a transition memory adds to an evaluation: seconds without it, with it, and when it is repeated.

    python benchmarks/memory.py --data_path=../shared/datasets --dataset=amazon-beauty

MQSATED, not trained, ranks all items for all validation samples: without a memory; with one (10 newest items, span 5),
as at the one evaluation of the test part; and once more with the same one, as after every further epoch, when the
bonus of each batch is held. The three take turns ``--repeats`` times in one process; the figures are medians. They are
the process's own seconds, all its threads together, so that other programs on the machine count little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
from harness import peak_mb, write_record

NUMBERS = {"transition_memory": 0.5}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every measurement, and the entries of the bonus."""
    import torch

    from recbole_mqsa.model.memory import Memory, MemoryNumbers
    from recbole_mqsa.runs import logs
    from recbole_mqsa.settings.config import Config
    from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        logs.tensorboard_folder.set(Path(folder))
        given = {
            "data_path": arguments.data_path,
            "checkpoint_dir": folder,
            "show_progress": False,
            **NUMBERS,
        }
        config = Config("MQSATED", arguments.dataset, config_dict=given)
        train_data, valid_data, _ = build_loaders(config, build_dataset(config))
        model = build_model(config, train_data._dataset)
        trainer = build_trainer(config, model)
        trainer.eval_collector.data_collect(train_data)
        start = time.process_time()
        numbers = MemoryNumbers.of(config)
        Memory(train_data._dataset, numbers, config["mask_seen"])
        counting = time.process_time() - start
        before = peak_mb()

        def evaluation(memory: Memory | None) -> float:
            trainer.model.scoring_memory = memory
            start = time.process_time()
            trainer._valid_epoch(valid_data)
            return time.process_time() - start

        evaluation(None)
        seconds: dict[str, list[float]] = {"without": [], "first": [], "repeated": []}
        for _ in range(arguments.repeats):
            memory = Memory(train_data._dataset, numbers, config["mask_seen"])
            for name, of in (("without", None), ("first", memory), ("repeated", memory)):
                seconds[name].append(evaluation(of))
    return {
        "seconds": seconds,
        "counting_seconds": counting,
        "samples": len(valid_data._dataset),
        "entries": memory._held,
        "peak_mb": {"before": before, "after": peak_mb()},
        "threads": arguments.threads,
    }


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    figures = measure(arguments)
    medians = {name: statistics.median(values) for name, values in figures["seconds"].items()}
    for name, value in medians.items():
        print(f"{name:<10}{value:8.3f} s {value / medians['without'] - 1:+8.1%}")
    figures["share_added"] = {name: value / medians["without"] - 1 for name, value in medians.items()}
    if arguments.output:
        write_record(arguments.output, figures)
    else:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()

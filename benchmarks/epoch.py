"""One training epoch and one evaluation of MQSA-TED against RecBole's SASRec: seconds and peak memory.

    python benchmarks/epoch.py --data_path=../shared/datasets --dataset=amazon-beauty

Each contender runs in a process of its own, in turn, ``--repeats`` times; the table shows medians, and ratios within
this one run. SASRec (1 layer, D 64, cross-entropy over all items, batches of 2,048 prefixes, T 50) is RecBole's own,
with its data set, loader, trainer and evaluator. As released, importing it turns on torch's anomaly detection, which
this package turns off again. So it is timed both ways, and a third time on this package's data path, in groups of
similar length, as this package's command line trains it. Its epoch is timed on the first ``--fraction`` of its batches,
after two untimed ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import harness
from harness import Figures, alternate, config_class, medians_of, peak_mb, write_record

SASREC = {
        "model": "SASRec", "n_layers": 1, "n_heads": 1, "hidden_size": 64, "inner_size": 64, "loss_type": "CE",
        "train_neg_sample_args": None, "train_batch_size": 2048, "MAX_ITEM_LIST_LENGTH": 50,
        "metrics": ["Hit", "NDCG"], "topk": [5, 10, 20], "valid_metric": "NDCG@20",
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
}  # fmt: skip
CONTENDERS: dict[str, dict[str, Any]] = {
    "RecBole SASRec": SASREC,
    "without anomaly mode": SASREC,
    "SASRec on our path": SASREC,
    "MQSA-TED": {"model": "MQSATED"},
}
OURS = ("SASRec on our path", "MQSA-TED")


class Part:
    """A loader of the first batches of another."""

    def __init__(self, batches: Any, count: int) -> None:
        self.batches, self.count, self.shuffle = batches, count, False

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Any:
        return islice(self.batches, self.count)


def measure(name: str, arguments: argparse.Namespace) -> Figures:
    """Time one contender in this process."""
    started = time.perf_counter()
    import recbole_mqsa  # noqa: F401  (first, for every contender: RecBole alone fails to import with current versions)
    import torch  # isort: skip
    from recbole.data import data_preparation  # isort: skip
    from recbole.utils import get_trainer, init_seed  # isort: skip

    from recbole_mqsa.runs import logs
    from recbole_mqsa.training.build import build_dataset as create_dataset
    from recbole_mqsa.training.build import build_model, trainer_class

    with tempfile.TemporaryDirectory() as folder:
        logs.tensorboard_folder.set(Path(folder))
        settings = {"dataset": arguments.dataset, "data_path": arguments.data_path, "checkpoint_dir": folder}
        settings.update(CONTENDERS[name], show_progress=False)
        ours = name in OURS
        config = config_class(ours)(config_dict=settings)
        init_seed(config["seed"], config["reproducibility"])
        train_data, valid_data, _ = data_preparation(config, create_dataset(config))
        model = build_model(config, train_data._dataset)
        kind = trainer_class(config) if ours else get_trainer(config["MODEL_TYPE"], config["model"])
        trainer = kind(config, model)
        trainer.eval_collector.data_collect(train_data)
        next(iter(train_data))
        first_batch = time.perf_counter() - started

        fraction = arguments.fraction if config["model"] == "SASRec" else 1.0
        batches = max(1, round(len(train_data) * fraction))
        if name == "RecBole SASRec":
            torch.autograd.set_detect_anomaly(True)
        trainer._train_epoch(Part(train_data, 2), 0)
        start = time.perf_counter()
        trainer._train_epoch(Part(train_data, batches), 1)
        epoch = (time.perf_counter() - start) * len(train_data) / batches
        start = time.perf_counter()
        trainer.evaluate(valid_data, load_best_model=False)
        evaluation = time.perf_counter() - start
    return {
        "epoch_seconds": epoch,
        "evaluation_seconds": evaluation,
        "first_batch_seconds": first_batch,
        "peak_memory_mb": peak_mb(),
        "threads": torch.get_num_threads(),
    }


def report(medians: dict[str, Figures]) -> None:
    """Print a row for each figure, with its ratio to that of MQSA-TED, the last contender."""
    *theirs, ours = medians.values()
    print(f"{'':20}" + "".join(f"{name:>24}" for name in medians))
    for key in ("epoch_seconds", "evaluation_seconds", "first_batch_seconds", "peak_memory_mb"):
        texts = [f"{their[key]:.2f} ({their[key] / ours[key]:.1f})" for their in theirs]
        print(f"{key:20}" + "".join(f"{text:>24}" for text in [*texts, f"{ours[key]:.2f}"]))


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--fraction", type=float, default=0.25, help="fraction of RecBole's batches to time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(measure(arguments.contender, arguments)))
        return

    taken = alternate(CONTENDERS, arguments.repeats)
    medians = medians_of(taken)
    threads = medians["MQSA-TED"]["threads"]
    print(f"{arguments.dataset}, median of {arguments.repeats}, {threads:.0f} threads (ratio to MQSA-TED)")
    report(medians)
    if arguments.output:
        write_record(arguments.output, {"arguments": vars(arguments), "medians": medians, "runs": taken})


if __name__ == "__main__":
    main()

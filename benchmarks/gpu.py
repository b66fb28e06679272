"""On a CUDA GPU: a whole run of MQSA-TED, its epoch beside RecBole's SASRec, memory, and losses beside the CPU's.

    python benchmarks/gpu.py --data_path=../shared/datasets --dataset=amazon-beauty

The run has ``--epochs`` epochs with an evaluation every 5, and no early stopping. Epochs and evaluations are timed as
in ``epoch.py``, each contender in a process of its own, in turn, ``--repeats`` times; SASRec is RecBole's own, without
anomaly detection. The losses of one batch, without dropout and with all heads, are computed on both devices from the
same weights. Without a GPU the script says so and exits with code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile

import epoch
import harness
from harness import Figures, alternate, in_own_process, medians_of, write_record

EPOCHS = ("without anomaly mode", "MQSA-TED")  # of epoch.CONTENDERS


def whole_run(arguments: argparse.Namespace) -> Figures:
    """Measure seconds and peak memory of one run."""
    from recbole_mqsa.settings.config import Config
    from recbole_mqsa.training.run import run

    settings = {
        "epochs": arguments.epochs,
        "eval_step": 5,
        "stopping_step": arguments.epochs,
        "device": "cuda",
    }
    settings.update(data_path=arguments.data_path, show_progress=False, state="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        result = run(Config("MQSATED", arguments.dataset, config_dict=settings), f"{folder}/run").result
    return {key: result[key] for key in ("seconds", "peak_memory_bytes", "best_epoch", "valid", "test")}


def one_epoch(name: str, arguments: argparse.Namespace) -> Figures:
    """Measure what ``epoch.py`` does, and the peak memory on the GPU."""
    figures = epoch.measure(name, arguments)
    import torch

    return {**figures, "gpu_peak_mb": torch.cuda.max_memory_allocated() / 2**20}


def losses(arguments: argparse.Namespace) -> Figures:
    """The parts of the loss on the CPU and on the GPU, with products in float32 and in bfloat16."""
    import recbole_mqsa  # noqa: F401  (before RecBole)
    from recbole.data import create_dataset, data_preparation  # isort: skip
    from recbole.utils import init_seed  # isort: skip

    from recbole_mqsa.model.mqsated import MQSATED
    from recbole_mqsa.settings.config import Config

    exact = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "distillation_heads": 0}
    figures: Figures = {}
    for precision in ("float32", "bfloat16"):
        for device in ("cpu", "cuda"):
            settings = {**exact, "device": device, "softmax_precision": precision}
            config = Config(
                "MQSATED", arguments.dataset, config_dict={**settings, "data_path": arguments.data_path}
            )
            init_seed(config["seed"], config["reproducibility"])
            train_data, *_ = data_preparation(config, create_dataset(config))
            model = MQSATED(config, train_data._dataset).to(config["device"])
            parts = model.losses(next(iter(train_data)))
            figures[f"{precision} on {device}"] = {name: part.item() for name, part in parts.items()}
    return figures


def report_losses(compared: Figures) -> None:
    """Print the losses on both devices, and how far they differ."""
    for where, parts in compared.items():
        print(f"{where:20}" + "".join(f"{name:>16} {loss:.6f}" for name, loss in parts.items()))
    for precision in ("float32", "bfloat16"):
        here, there = compared[f"{precision} on cpu"], compared[f"{precision} on cuda"]
        worst = max(abs(there[name] / loss - 1) for name, loss in here.items())
        print(f"{precision}: largest relative difference {worst:.1e} (required: 1e-3)")


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--fraction", type=float, default=1.0, help="fraction of RecBole's batches to time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender", choices=("run", "losses", *EPOCHS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    import torch

    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA GPU, and torch finds none here", file=sys.stderr)
        sys.exit(2)
    if arguments.contender:
        own = {"run": whole_run, "losses": losses}.get(arguments.contender)
        print(json.dumps(own(arguments) if own else one_epoch(arguments.contender, arguments)))
        return

    compared = in_own_process(*sys.argv[1:], "--contender=losses")
    report_losses(compared)
    taken = alternate(EPOCHS, arguments.repeats)
    medians = medians_of(taken)
    for name, figures in medians.items():
        print(f"{name:24}" + ", ".join(f"{key} {figure:.2f}" for key, figure in figures.items()))
    whole = in_own_process(*sys.argv[1:], "--contender=run")
    print(f"{arguments.epochs} epochs: {whole['seconds']}, {whole['peak_memory_bytes']}")
    if arguments.output:
        figures = {"losses": compared, "medians": medians, "runs": taken, "whole_run": whole}
        write_record(arguments.output, {"arguments": vars(arguments), **figures})


if __name__ == "__main__":
    main()

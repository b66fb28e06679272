"""Memory and time of a training step by the size of the catalogue, all else fixed.

    python benchmarks/catalogue.py --sizes=10000,100000,1000000 --negatives=full,1024,1024-sparse

Each size runs in a process of its own: made-up batches of 256 sequences (6 items on average), D 64, 100,000
transitions, all losses, Adam, then the ranks of 256 users by blocks of items. The table shows the median step, the
peak memory above what the process held before the model, and the part of it that has to grow: the embedding, its
gradient, its bfloat16 copy and Adam's two moments. ``1024-sparse`` has ``sparse_gradients``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import harness
from harness import Figures, in_own_process, peak_mb, write_record

STEPS, WARM_UP, BATCH, WIDTH, TRANSITIONS = 5, 2, 256, 64, 100_000


def made_up(n_items: int) -> tuple[Any, Any]:
    """A data set with so many items, by what the model asks of it, and a batch."""
    import recbole_mqsa  # noqa: F401  (before RecBole)
    import numpy as np  # isort: skip
    import torch  # isort: skip
    from recbole.data.interaction import Interaction  # isort: skip
    from scipy import sparse  # isort: skip

    random = np.random.default_rng(0)
    pairs = random.integers(1, n_items + 1, (2, TRANSITIONS))
    counts = sparse.csr_matrix((np.ones(TRANSITIONS), pairs), shape=(n_items + 1, n_items + 1))
    dataset = SimpleNamespace(
        num=lambda field: n_items + 1,
        transition_counts=lambda span: counts,
        item_counts=lambda: np.bincount(pairs[0], minlength=n_items + 1),
    )
    lengths = np.minimum(random.geometric(1 / 6, BATCH), 49)
    inputs = random.integers(1, n_items + 1, (BATCH, 49)) * (np.arange(49) < lengths[:, None])
    targets = random.integers(1, n_items + 1, BATCH)
    batch = {"item_id_list": torch.from_numpy(inputs), "item_id": torch.from_numpy(targets)}
    return dataset, Interaction(batch)


def measure(n_items: int, negatives: str) -> Figures:
    """Measure one size in this process."""
    dataset, batch = made_up(n_items)
    import torch

    from recbole_mqsa.evaluation.ranking import target_ranks_by_blocks
    from recbole_mqsa.model.mqsated import MQSATED
    from recbole_mqsa.settings.config import Config
    from recbole_mqsa.training.row_adam import RowAdam

    number, _, by_rows = negatives.partition("-")
    settings = {"negatives": number, "sparse_gradients": bool(by_rows)}
    config = Config("MQSATED", "ml-100k", config_dict=settings)
    before = peak_mb()
    torch.manual_seed(0)
    model = MQSATED(config, dataset).train()
    adam = RowAdam if by_rows else torch.optim.Adam
    optimizer = adam(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()

    @torch.no_grad()
    def evaluate() -> None:
        target_ranks_by_blocks(*model.factors(batch), batch["item_id"], None)

    step_seconds, step_peak = median_seconds(step), peak_mb()
    model.eval()
    evaluation = median_seconds(evaluate)
    copies = {
        "embedding": 4,
        "gradient": 0 if by_rows else 4,
        "moments": 8,
        "bfloat16": 2 if negatives == "full" else 0,
    }
    return {
        "items": n_items,
        "negatives": negatives,
        "step_seconds": step_seconds,
        "peak_above_start_mb": step_peak - before,
        "has_to_grow_mb": n_items * WIDTH * sum(copies.values()) / 2**20,
        "evaluation_users_per_second": BATCH / evaluation,
        "evaluation_peak_above_step_mb": peak_mb() - step_peak,
        "threads": torch.get_num_threads(),
    }


def median_seconds(once: Callable[[], None]) -> float:
    """The median time of ``STEPS`` calls, after ``WARM_UP`` calls that are not timed."""
    seconds = []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP:])


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument(
        "--negatives", default="full,1024,1024-sparse", help="as the setting; -sparse adds sparse_gradients"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        size, negatives = arguments.one.split(",")
        print(json.dumps(measure(int(size), negatives)))
        return

    rows = []
    print(
        f"{'items':>10}{'negatives':>13}{'step s':>9}{'peak MB':>9}{'has to grow':>13}{'the rest':>10}{'users/s':>9}"
    )
    for negatives in arguments.negatives.split(","):
        for size in arguments.sizes.split(","):
            row = in_own_process(f"--one={size},{negatives}")
            rows.append(row)
            rest = row["peak_above_start_mb"] - row["has_to_grow_mb"]
            print(
                f"{row['items']:>10,}{negatives:>13}{row['step_seconds']:>9.3f}{row['peak_above_start_mb']:>9.0f}"
                f"{row['has_to_grow_mb']:>13.0f}{rest:>10.0f}{row['evaluation_users_per_second']:>9.0f}",
                flush=True,
            )
    if arguments.output:
        write_record(arguments.output, {"rows": rows})


if __name__ == "__main__":
    main()

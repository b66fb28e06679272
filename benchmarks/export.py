"""What an exported model costs: its files, the export itself, and scores of all items beside the run's own.

    OMP_NUM_THREADS=1 python benchmarks/export.py --data_path=../shared/datasets --dataset=amazon-beauty \\
        --output=benchmarks/records/export-amazon-beauty.json

Trains a model with a transition memory for one epoch, as its quality changes no speed, and exports it to ONNX. Then
onnxruntime and the run's own scorer score the newest items of the same people in turn, one person and 33 at once,
``--repeats`` times on ``--threads`` threads; the fewest milliseconds by the clock count. Lists of the 20 best items are
compared too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import harness
from harness import Figures, in_own_process, train_one_epoch, write_record

LENGTH, PEOPLE, TOP = 9, 33, 20


def measure(run_folder: str, repeats: int, threads: int) -> Figures:
    """Export the run in this process, and time both."""
    clock, cpu = time.perf_counter(), time.process_time()
    import numpy as np
    import onnxruntime
    import torch

    from recbole_mqsa import load
    from recbole_mqsa.recommend.histories import of_sequences
    from recbole_mqsa.recommend.recommender import Recommender
    from recbole_mqsa.recommend.scorer import Choice

    torch.set_num_threads(threads)
    run = load(run_folder)
    folder = Path(run_folder) / "exported"
    about = run.export(folder, "onnx")
    seconds = {"clock": time.perf_counter() - clock, "cpu": time.process_time() - cpu}

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / about["file"]), options)
    rec = Recommender(run)
    histories = rec.histories()
    long = np.flatnonzero(histories.end - histories.begin >= LENGTH)[: PEOPLE + 1]
    people = [histories.sequences.items[histories.end[user] - LENGTH : histories.end[user]] for user in long]
    choice = Choice(exclude_seen=False)

    def exported(rows: list[np.ndarray]) -> np.ndarray:
        return np.asarray(session.run([about["output"]["name"]], {about["input"]["name"]: np.stack(rows)})[0])

    def own(rows: list[np.ndarray]) -> np.ndarray:
        return rec.scorer.scores(of_sequences(rec.part, rows), choice).cpu().numpy()

    contenders = {"exported": exported, "own": own}
    groups = {"one person": people[:1], f"{PEOPLE} people": people[1:]}
    return {
        "items": about["items"],
        "threads": threads,
        "export_seconds": seconds,
        "bytes": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        "milliseconds": {title: fewest(contenders, rows, repeats) for title, rows in groups.items()},
        "largest_difference": about["largest_difference"],
        "same_lists": sum(
            np.array_equal(
                *(np.argsort(-score([row])[0, 1:], kind="stable")[:TOP] for score in (exported, own))
            )
            for row in people
        ),
        "lists": len(people),
    }


def fewest(contenders: dict[str, Callable], rows: list, repeats: int) -> dict[str, float]:
    """The fewest milliseconds of each contender, which take turns."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, score in contenders.items():
            start = time.perf_counter()
            score(rows)
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: min(all_of) for name, all_of in taken.items()}


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--repeats", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.repeats, given.threads)))
        return
    with tempfile.TemporaryDirectory() as place:
        train_one_epoch(f"{place}/run", given, show_progress=False, transition_memory=0.5)
        figures = in_own_process(
            f"--one={place}/run", f"--repeats={given.repeats}", f"--threads={given.threads}"
        )
    print(json.dumps(figures, indent=2))
    if given.output:
        write_record(given.output, {"dataset": given.dataset, **figures})


if __name__ == "__main__":
    main()

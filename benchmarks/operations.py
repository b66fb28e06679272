"""Where the time of a training epoch of MQSA-TED goes, by torch operation.

    OMP_NUM_THREADS=1 python benchmarks/operations.py --data_path=../shared/datasets --dataset=amazon-beauty

The third epoch is profiled. A percentage is an operation's own time, without that of the operations it calls. The
profiler itself slows down small operations most.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import harness
from harness import write_record


def main() -> None:
    parser = harness.parser(__doc__, of_data=True)
    parser.add_argument("--most", type=int, default=12, help="number of operations to name")
    arguments = parser.parse_args()

    import recbole_mqsa  # noqa: F401  (before RecBole)
    from recbole.data import data_preparation  # isort: skip
    from recbole.utils import init_seed  # isort: skip
    from torch.profiler import ProfilerActivity, profile  # isort: skip

    from recbole_mqsa.runs import logs
    from recbole_mqsa.settings.config import Config
    from recbole_mqsa.training.build import build_dataset as create_dataset
    from recbole_mqsa.training.build import build_model, trainer_class

    with tempfile.TemporaryDirectory() as folder:
        logs.tensorboard_folder.set(Path(folder))
        settings = {"data_path": arguments.data_path, "checkpoint_dir": folder, "show_progress": False}
        config = Config("MQSATED", arguments.dataset, config_dict=settings)
        init_seed(config["seed"], config["reproducibility"])
        train_data, *_ = data_preparation(config, create_dataset(config))
        model = build_model(config, train_data._dataset)
        trainer = trainer_class(config)(config, model)
        for epoch in range(2):
            trainer._train_epoch(train_data, epoch)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            trainer._train_epoch(train_data, 2)
    own = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    total = sum(own.values())
    percent = {name: 100 * time / total for name, time in sorted(own.items(), key=lambda item: -item[1])}
    named = dict(list(percent.items())[: arguments.most])
    for name, part in named.items():
        print(f"{name:40}{part:>6.1f} %")
    print(f"{'all others':40}{100 - sum(named.values()):>6.1f} %")
    if arguments.output:
        write_record(arguments.output, {"seconds": total / 1e6, "percent": named})


if __name__ == "__main__":
    main()

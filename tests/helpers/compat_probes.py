"""What RecBole does with the work-arounds and without: a process that ``plugin/test_compat.py`` starts.

``compat_probes.py FOLDER [--apply]`` tries every probe on the data set ``tiny`` in FOLDER and prints what
came of each as json: ``{"value": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def config_of(model: str, **settings: Any) -> Any:
    from recbole.config import Config

    quick = {"epochs": 1, "metrics": ["Recall", "MRR", "MAP"], "valid_metric": "MRR@5", "topk": [5]}
    common = {"data_path": ".", "checkpoint_dir": "saved", "show_progress": False, "use_gpu": False}
    return Config(model=model, dataset="tiny", config_dict={**common, **quick, **settings})


def trained(model: str) -> Any:
    """RecBole's model, trained and tested by RecBole, which saves and loads a checkpoint on the way."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    config = config_of(model, eval_args={"split": {"LS": "valid_and_test"}, "order": "RO", "mode": "full"})
    init_seed(2020, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    made = get_model(model)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, made)
    trainer.fit(train, valid, verbose=False)
    before = trainer.evaluate(test, load_best_model=False)
    return SimpleNamespace(trainer=trainer, model=made, before=before, after=trainer.evaluate(test))


def numpy_metric() -> Any:
    import numpy as np
    from recbole.evaluator.metrics import MRR

    return MRR.metric_info(None, np.array([[False, True, False], [True, False, False]])).tolist()


def numpy_config() -> Any:
    return config_of("BPR")["embedding_size"]


def ray_import() -> Any:
    from recbole.quick_start import quick_start

    return [callable(quick_start.run_recbole), "ray" in sys.modules]


def ray_use() -> Any:
    """The sentence that using ray ends in, or the name of what was found."""
    from recbole.quick_start import quick_start

    try:
        return quick_start.tune.TuneConfig.__name__
    except RuntimeError as error:
        return [str(error), type(error.__cause__).__name__, [m for m in sys.modules if m.startswith("ray")]]


def lightgcn_adjacency() -> Any:
    from recbole.data import create_dataset
    from recbole.model.general_recommender import LightGCN

    config = config_of("LightGCN", eval_args={"split": {"RS": [1, 0, 0]}})
    dataset = create_dataset(config)
    dataset._change_feat_format()
    items = [int(token) for token in dataset.field2id_token["item_id"][1:]]
    users = [int(token) for token in dataset.field2id_token["user_id"][1:]]
    return [users, items, LightGCN(config, dataset).norm_adj_matrix.to_dense().tolist()]  # [PAD] is first


def checkpoint() -> Any:
    import torch

    run = trained("BPR")
    saved = torch.load(run.trainer.saved_model_file, weights_only=True)
    weights = run.model.state_dict()
    same = [torch.equal(saved["state_dict"][name], weights[name]) for name in weights]
    run.trainer.resume_checkpoint(run.trainer.saved_model_file)
    score = saved["best_valid_score"]
    return {
        "results": [run.before, run.after],
        "same": [*same, list(saved["state_dict"]) == list(weights)],
        "config": saved["config"],
        "score": [type(score).__name__, score == run.trainer.best_valid_score],
        "epoch": [saved["epoch"], run.trainer.start_epoch],
        "optimizer": sorted(saved["optimizer"]),
    }


def arrays(model: str) -> Any:
    """The model's tests before and after loading, and its arrays' kinds, which loading must not change."""
    import numpy as np

    run = trained(model)
    own = [getattr(run.model, name) for name in run.model.other_parameter_name]
    for name in run.model.other_parameter_name:
        setattr(run.model, name, None)
    run.trainer.resume_checkpoint(run.trainer.saved_model_file)
    loaded = [getattr(run.model, name) for name in run.model.other_parameter_name]
    dense = [
        [np.asarray(a) if isinstance(a, np.ndarray) else a.toarray() for a in side] for side in (own, loaded)
    ]
    return {
        "results": [run.before, run.after],
        "kinds": [[type(a).__name__ for a in side] for side in (own, loaded)],
        "equal": [bool(np.array_equal(a, b)) and a.dtype == b.dtype for a, b in zip(*dense)],
        "filled": [bool(a.any()) for a in dense[0]],
    }


def other_trainers() -> Any:
    """RecBole's two other ways to write a checkpoint, for decision trees and for pretraining."""
    import numpy as np
    import torch
    from recbole.trainer.trainer import DecisionTreeTrainer, PretrainTrainer

    nothing = SimpleNamespace(state_dict=dict, other_parameter=dict)
    trainer = SimpleNamespace(
        config=config_of("BPR"),
        model=nothing,
        optimizer=nothing,
        cur_step=0,
        best_valid_score=np.float64(0.5),
        temp_best_file="trees",
        saved_model_file="trees.pth",
    )
    DecisionTreeTrainer._save_checkpoint(trainer, 3)
    PretrainTrainer.save_pretrained_model(trainer, 4, "pretrained.pth")
    files = [torch.load(file, weights_only=True) for file in ("trees.pth", "pretrained.pth")]
    return [[file["epoch"], file["config"]["model"]] for file in files]


def download() -> Any:
    """RecBole loads a data set that it has to fetch from a server in this process."""
    import http.server
    import threading
    import zipfile

    from recbole.data import create_dataset
    from recbole.data.dataset import Dataset

    with zipfile.ZipFile("Small.zip", "w") as archive:
        archive.write("tiny/tiny.inter", "Small.inter")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Dataset._get_download_url = lambda self, table: f"http://127.0.0.1:{server.server_port}/Small.zip"
        config = config_of("BPR")
        config["dataset"], config["data_path"] = "small", "./small"
        try:
            return create_dataset(config).inter_num
        finally:
            server.shutdown()


def settings_are_literals() -> Any:
    given = {"x": "__import__('os').getcwd()", "rate": "1e-4", "sizes": "[64, 32]"}
    config = config_of("BPR", **given)
    return [config["x"], config["rate"], config["sizes"], config["epochs"]]


def argument_lists() -> Any:
    from recbole.config import Config
    from recbole.utils import dataset_arguments

    before = list(dataset_arguments)
    known = Config(model="BPR", dataset="ml-100k").parameters["Dataset"]
    return ["kg_reverse_r" in known, sorted(set(dataset_arguments) - set(before))]


def tensorboard() -> Any:
    import logging

    from recbole.trainer import trainer

    if "recbole_mqsa" in sys.modules:
        from recbole_mqsa.runs.logs import tensorboard_folder

        tensorboard_folder.set(Path("run"))
    before = set(Path().rglob("events*"))
    trainer.get_tensorboard(logging.Logger("none")).close()
    return [file.parts[0] for file in set(Path().rglob("events*")) - before]


def metrics_of_counts() -> Any:
    from recbole.evaluator import Collector, Evaluator

    config = config_of("BPR", metrics=["ItemCoverage", "TailPercentage"], valid_metric="ItemCoverage@5")
    collector = Collector(config)
    collector.data_struct.set("rec.items", torch_tensor([[1, 2, 3, 4, 5], [1, 2, 3, 4, 6]]))
    collector.data_struct.set("data.num_items", 9)
    collector.data_struct.set("data.count_items", {item: 10 - item for item in range(1, 9)})
    twice = [Evaluator(config).evaluate(collector.get_data_struct())]
    collector.data_struct.set("rec.items", torch_tensor([[1, 1, 1, 1, 1]]))
    twice.append(Evaluator(config).evaluate(collector.get_data_struct()))
    return [result["itemcoverage@5"] for result in twice]


def torch_tensor(rows: list[list[int]]) -> Any:
    import torch

    return torch.tensor(rows)


def anomaly_detection() -> Any:
    import recbole.model.sequential_recommender.sasrec  # noqa: F401
    import torch

    return torch.is_anomaly_enabled()


def broken_ray() -> Any:
    """What using ray says while another one lies in the folder, which breaks twice half-way; then it is mended."""
    from recbole.quick_start import quick_start

    for module in [module for module in sys.modules if module.split(".")[0] == "ray"]:
        del sys.modules[module]
    sys.path.insert(0, os.getcwd())
    Path("ray").mkdir()
    Path("ray", "half.py").touch()
    Path("ray", "tune.py").write_text("run = dict\ndef report(**named): seen.append(named)\nseen = []")
    Path("ray", "__init__.py").write_text("import ray.half\nraise AttributeError('np.bool8')")
    said = [
        [attempt(lambda: quick_start.tune.run(hit=1))["error"], "ray.half" in sys.modules] for _ in range(2)
    ]
    Path("ray", "__init__.py").write_text("# no longer broken; of another length than it was")
    before = quick_start.tune.report(hit=0)  # nothing has imported ray
    ran = quick_start.tune.run(hit=1)
    quick_start.tune.report(hit=2)
    return [said, [before, ran, quick_start.tune.seen]]


def light_start() -> Any:
    """What an optimizer's steps give, and which of the slow modules RecBole and it have imported by then."""
    import recbole.quick_start  # noqa: F401

    steps = {name: optimizer_steps(name) for name in ("Adam", "SGD", "Adagrad", "RMSprop")}
    return [steps, [name for name in ("sklearn", "torch._dynamo") if name in sys.modules]]


def started() -> Any:
    """The same steps, and scikit-learn's numbers, once somebody has imported the slow modules."""
    import torch
    import torch._dynamo
    from recbole.evaluator import metrics

    areas = [metrics.sk_auc([0, 0.5, 1], [0, 1, 1]), metrics.mean_absolute_error([1, 2], [2, 4])]
    steps = {name: optimizer_steps(name) for name in ("Adam", "SGD", "Adagrad", "RMSprop")}
    disabled = torch._dynamo.is_compiling()
    return [
        steps,
        areas,
        disabled,
        sys.modules["sklearn"].__name__,
        hasattr(sys.modules["sklearn"], "__path__"),
    ]


def optimizer_steps(name: str) -> list[float]:
    """Five steps towards zero, saved and loaded in between, a group added, gradients recorded outside of a step."""
    import torch

    weights = [torch.nn.Parameter(torch.tensor([value])) for value in (1.0, -2.0)]
    optimizer = getattr(torch.optim, name)(weights[:1], lr=0.1)
    optimizer.add_param_group({"params": weights[1:]})
    for _ in range(5):
        optimizer.zero_grad()
        loss = optimizer.step(lambda: sum((weight**2).sum() for weight in weights).backward())
        optimizer.load_state_dict(optimizer.state_dict())
    assert loss is None and torch.is_grad_enabled() and (weights[0] * 2).requires_grad
    return [weight.item() for weight in weights]


PROBES: dict[str, Callable[[], Any]] = {
    "light_start": light_start,
    "started": started,
    "numpy_metric": numpy_metric,
    "numpy_config": numpy_config,
    "ray_import": ray_import,
    "ray_use": ray_use,
    "lightgcn_adjacency": lightgcn_adjacency,
    "checkpoint": checkpoint,
    "EASE": partial(arrays, "EASE"),
    "ItemKNN": partial(arrays, "ItemKNN"),
    "other_trainers": other_trainers,
    "settings_are_literals": settings_are_literals,
    "argument_lists": argument_lists,
    "tensorboard": tensorboard,
    "metrics_of_counts": metrics_of_counts,
    "anomaly_detection": anomaly_detection,
    "download": download,
    "broken_ray": broken_ray,
}


def attempt(probe: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": probe()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(folder: str, *options: str) -> None:
    os.chdir(folder)
    sys.argv[1:] = []  # RecBole reads them
    outcomes = {}
    if options:
        from recbole_mqsa.plugin.table import install

        install()
        state = patched_names()
        install()
        outcomes["idempotent"] = {"value": state == patched_names()}
    for name, probe in PROBES.items():
        outcomes[name] = attempt(probe)
        if name == "numpy_config" and not options:  # so that each later failure is its own
            import numpy as np

            vars(np).update(float_=np.float64, complex_=np.complex128, unicode_=np.str_, float=np.float64)
    print(json.dumps(outcomes, default=float))


def patched_names() -> list[int]:
    """The identity of everything that the work-arounds put into RecBole."""
    from recbole.config import Config
    from recbole.data.dataset import Dataset
    from recbole.model.abstract_recommender import AbstractRecommender
    from recbole.trainer import trainer

    owners = (Config, Dataset, AbstractRecommender, trainer)
    return [id(value) for owner in owners for value in vars(owner).values() if callable(value)] + [
        id(trainer.torch)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])

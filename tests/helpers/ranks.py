"""What the processes of a group do in tests; of a module, as they import it."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.runs import Killed, kill_after
from recbole.data.interaction import Interaction, cat_interactions
from recbole.utils import init_seed

from recbole_mqsa.parallel import group
from recbole_mqsa.parallel.sharding import own_rows
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer
from recbole_mqsa.training.run import run

N_USERS = 197  # neither two nor three processes get as many each
EXACT = {
    "hidden_size": 8, "inner_size": 8, "embedding_size": 8, "weight_decay": 0.001, "learning_rate": 0.01,
    "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "distillation_heads": 0, "MAX_ITEM_LIST_LENGTH": 12,
    "softmax_precision": "float32", "show_progress": False, "state": "ERROR",
}  # fmt: skip
"""Nothing that several processes draw otherwise than one."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "large batches": ("MQSATED", {"train_batch_size": 64, "clip_grad_norm": {"max_norm": 0.05}}),
    "batches in which some have nothing": ("MQSATED", {"train_batch_size": 4}),
    "the graph's own term": ("MQSATED", {"train_batch_size": 64, "transition": "grareg", "lambda_reg": 0.1}),
    "RecBole's model": ("SASRec", {"train_batch_size": 100, "n_heads": 2}),
    "a norm of the batch": ("LightGCN", {"train_batch_size": 100, "reg_weight": 0.1}),
    "RecBole's model with a term": ("SASRec", {"train_batch_size": 100, "transition": "ted"}),
    "a mean over masked items": ("BERT4Rec", {"train_batch_size": 100, "mask_ratio": 0.3}),
    "masks, and some have nothing": ("BERT4Rec", {"train_batch_size": 8, "mask_ratio": 0.4}),
    "in groups of similar length": ("SASRec", {"train_batch_size": 100, "length_groups": 3}),
}
SPANS = (3, 7, N_USERS)


def write_walk(folder: Path) -> None:
    """The data set 'walk': random items."""
    draw = np.random.default_rng(0).integers
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(N_USERS):
        lines += [f"{user}\t{draw(30)}\t{time}" for time in range(draw(4, 12))]
    (folder / "walk").mkdir()
    (folder / "walk" / "walk.inter").write_text("\n".join(lines) + "\n")


def config(home: Path, model: str, **settings: object) -> Config:
    """Settings on the walk in ``home``."""
    given = {**EXACT, "data_path": str(home), "checkpoint_dir": str(home), **settings}
    return Config(model, "walk", config_dict=given, allow_unknown=True)


def masks_by_row(transform: Any) -> Any:
    """RecBole's masks, but drawn for each row from its user and length, so that every process draws the same."""

    def by_row(dataset: Any, rows: Interaction) -> Interaction:
        masked = []
        for row in range(len(rows)):
            one = rows[row : row + 1]
            random.seed(int(one["user_id"]) * 100 + int(one["item_length"]))
            masked.append(transform(dataset, one))
        return cat_interactions(masked)

    return by_row


def one_epoch(home: Path, case: str) -> dict[str, Any]:
    """Metrics before training, the gradients of each step, losses and weights after one epoch."""
    model_name, settings = CASES[case]
    by_rank = ["Hit", "NDCG", "MRR", "GAUC", "ItemCoverage", "AveragePopularity"]
    made = config(home, model_name, metrics=by_rank, metric_decimal_place=12, **settings)
    with group.joined(made):
        init_seed(made["seed"], True)
        train_data, valid_data, _ = build_loaders(made, build_dataset(made))
        if train_data._sampler is not None:
            train_data._sampler.sample_by_user_ids = lambda users, items, _: torch.from_numpy(
                (7 * users + items) % 29 + 1
            )
        if model_name == "BERT4Rec":
            train_data.transform = masks_by_row(train_data.transform)
        torch.manual_seed(group.rank())  # the main process's weights count
        trainer = build_trainer(made, build_model(made, train_data._dataset))
        trainer.eval_collector.data_collect(train_data)
        metrics = trainer.evaluate(valid_data, load_best_model=False)
        steps: list[torch.Tensor] = []

        def remember(*_: object) -> None:
            nothing = torch.full((), torch.nan)  # no gradient is another thing than one of zeros
            all_of = ((p.grad, nothing.expand_as(p)) for p in trainer.model.parameters())
            steps.append(torch.cat([(one if grad is None else grad).flatten() for grad, one in all_of]))

        trainer.optimizer.register_step_pre_hook(remember)
        trainer.eval_step, trainer.epochs = 0, 1
        trainer.fit(train_data, saved=False)
        first_users = [int(batch[made["USER_ID_FIELD"]][0]) for batch in own_rows(train_data)]
        own_batches = sum(user % group.size() == group.rank() for user in first_users)
    return {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "ranks": trainer.eval_collector.ranks,
        "steps": torch.stack(steps),
        "losses": {key: value for key, value in trainer.history[0].items() if key.startswith("loss_")},
        "weights": torch.cat([p.detach().flatten() for p in trainer.model.parameters()]),
        "own batches": own_batches,
    }


def whole_and_broken(home: Path, folder: Path) -> None:
    """A run, and the same one killed after its second epoch and resumed."""
    random = {"epochs": 4, "hidden_dropout_prob": 0.5, "distillation_heads": 16}
    run(config(home, "MQSATED", **random), folder / "whole")
    with contextlib.suppress(Killed):
        run(config(home, "MQSATED", **random), folder / "broken", kill_after(1), state_interval=0.0)
    run(config(home, "MQSATED", **random), folder / "broken", resume=True)


def spans() -> dict[int, list[int]]:
    """The rows that are this rank's, of so many."""
    with group.joined({"device": torch.device("cpu"), "nproc": 2, "rank_timeout": 600}):
        return {count: list(group.own_span(count)) for count in SPANS}


def in_three_processes(home: Path, folder: Path) -> None:
    """All that tests want to know of three processes, and then of the first two of them alone: one start for both."""
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    for size in ("3", "2"):
        os.environ.update(WORLD_SIZE=size, LOCAL_WORLD_SIZE=size)
        if rank < size:
            found: dict[str, Any] = {case: one_epoch(home, case) for case in CASES}
            torch.save({**found, "spans": spans()}, folder / f"{rank}-of-{size}.pt")
    if rank < "2":
        whole_and_broken(home, folder)

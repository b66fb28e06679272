"""Several processes: the gradients, losses, metrics and files of one, and an end when one of them dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from recbole.data import data_preparation
from recbole.utils import init_seed

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.parallel import group
from recbole_mqsa.parallel.launch import RankFailed, spawn
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training import resume
from recbole_mqsa.training.build import build_dataset as create_dataset
from recbole_mqsa.training.build import build_model, trainer_class
from recbole_mqsa.training.run import run

N_USERS = 197  # neither two nor three processes get as many each
EXACT = {
    "hidden_size": 8, "inner_size": 8, "embedding_size": 8, "weight_decay": 0.001, "learning_rate": 0.01,
    "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "distillation_heads": 0,
    "softmax_precision": "float32", "show_progress": False, "state": "ERROR",
}  # fmt: skip
"""Nothing that several processes draw otherwise than one."""
CASES = {
    "large batches": ("MQSATED", {"train_batch_size": 64, "clip_grad_norm": {"max_norm": 0.05}}),
    "batches in which some have nothing": ("MQSATED", {"train_batch_size": 2}),
    "the graph's own term": ("MQSATED", {"train_batch_size": 64, "transition": "grareg", "lambda_reg": 0.1}),
    "RecBole's model": ("SASRec", {"train_batch_size": 100, "n_heads": 2}),
    "a norm of the batch": ("LightGCN", {"train_batch_size": 100, "reg_weight": 0.1}),
    "RecBole's model with a term": ("SASRec", {"train_batch_size": 100, "transition": "ted"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    random = np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(N_USERS):
        lines += [f"{user}\t{random.integers(30)}\t{time}" for time in range(random.integers(4, 12))]
    (folder / "walk").mkdir()
    (folder / "walk" / "walk.inter").write_text("\n".join(lines) + "\n")
    return folder


def config(home: Path, model: str, **settings: object) -> Config:
    given = {**EXACT, "data_path": str(home), "checkpoint_dir": str(home), **settings}
    return Config(model, "walk", config_dict=given, allow_unknown=True)


# The same numbers.


def one_epoch(home: Path, case: str) -> dict:
    """Metrics before training, the gradients of each step, losses and weights after one epoch."""
    model_name, settings = CASES[case]
    by_rank = ["Hit", "NDCG", "MRR", "GAUC", "ItemCoverage", "AveragePopularity"]
    made = config(home, model_name, metrics=by_rank, metric_decimal_place=12, **settings)
    with group.joined(made):
        init_seed(made["seed"], True)
        train_data, valid_data, _ = data_preparation(made, create_dataset(made))
        if train_data._sampler is not None:
            train_data._sampler.sample_by_user_ids = lambda users, items, _: torch.from_numpy(
                (7 * users + items) % 29 + 1
            )
        torch.manual_seed(group.rank())  # the main process's weights count
        trainer = trainer_class(made)(made, build_model(made, train_data._dataset))
        trainer.eval_collector.data_collect(train_data)
        metrics = trainer.evaluate(valid_data, load_best_model=False)
        steps, counts = [], []

        def remember(*_: object) -> None:
            steps.append([p.grad.clone() for p in trainer.model.parameters() if p.grad is not None])

        trainer.optimizer.register_step_pre_hook(remember)
        trainer.eval_step, trainer.epochs = 0, 1
        trainer._save_checkpoint = lambda *_, **__: None
        examples, trainer._examples = trainer._examples, lambda batch: counts.append(batch) or examples(batch)
        trainer.fit(train_data)
    return {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "ranks": trainer.eval_collector.ranks,
        "steps": steps,
        "losses": {key: value for key, value in trainer.history[0].items() if key.startswith("loss_")},
        "weights": [p.detach() for p in trainer.model.parameters()],
        "own batches": len(counts),
    }


class Killed(Exception):
    pass


def kill(epoch: int, score: float) -> None:
    if epoch == 1:
        raise Killed


def whole_and_broken(home: Path, folder: Path) -> None:
    """A run, and the same one killed after its second epoch and resumed."""
    resume.SECONDS = 0.0
    random = {"epochs": 4, "hidden_dropout_prob": 0.5, "distillation_heads": 16}
    run(config(home, "MQSATED", **random), folder / "whole")
    with contextlib.suppress(Killed):
        run(config(home, "MQSATED", **random), folder / "broken", kill)
    run(config(home, "MQSATED", **random), folder / "broken", resume=True)


def in_a_process(home: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    torch.save({case: one_epoch(home, case) for case in CASES}, folder / f"{rank}.pt")
    if os.environ["WORLD_SIZE"] == "2":
        whole_and_broken(home, folder)


@pytest.fixture(scope="module", params=[2, 3])
def several(home: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What each rank knows after an epoch of each case, and the folder of their other runs."""
    folder = tmp_path_factory.mktemp(f"ranks-{request.param}")
    spawn(in_a_process, request.param, home, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(request.param)], folder


@pytest.fixture(scope="module")
def alone(home: Path) -> dict[str, dict]:
    return {case: one_epoch(home, case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_losses_are_those_of_one_process(several, alone, case: str) -> None:
    ranks, _ = several
    ours, theirs = ranks[0][case], alone[case]
    assert len(ours["steps"]) == len(theirs["steps"]) > 1
    for number, (own, other) in enumerate(zip(ours["steps"], theirs["steps"])):
        assert len(own) == len(other)
        for gradient, expected in zip(own, other):
            assert (gradient - expected).abs().max() < 1e-5, number
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)
    if case.startswith("batches in which"):
        assert any(rank[case]["own batches"] < len(theirs["steps"]) for rank in ranks)


@pytest.mark.parametrize("case", CASES)
def test_all_ranks_end_with_the_same_weights(several, case: str) -> None:
    (first, *others), _ = several
    for other in others:
        assert all(map(torch.equal, first[case]["weights"], other[case]["weights"]))


@pytest.mark.parametrize("case", ["large batches", "RecBole's model"])
def test_metrics_are_those_of_one_process_on_every_rank(several, alone, case: str) -> None:
    ranks, _ = several
    assert len(alone[case]["ranks"]) == N_USERS
    assert len(alone[case]["metrics"]) > 10
    for rank in ranks:
        assert torch.equal(rank[case]["ranks"], alone[case]["ranks"])
        assert rank[case]["metrics"] == pytest.approx(alone[case]["metrics"], abs=1e-9)


def test_a_resumed_run_repeats_the_whole_one(several) -> None:
    ranks, folder = several
    if len(ranks) == 2:
        assert without_seconds(folder / "broken") == without_seconds(folder / "whole")


def without_seconds(folder: Path) -> list[list[str]]:
    rows = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
    kept = [index for index, name in enumerate(rows[0]) if not name.endswith("seconds")]
    return [[row[index] for index in kept] for row in rows]


# The command line and torchrun.


def test_both_ways_to_start_write_one_and_the_same_run(
    home: Path, tmp_path: Path, capfd, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exact = [f"--{key}={value}" for key, value in EXACT.items() if key != "embedding_size"]
    words = ["--dataset=walk", f"--data_path={home}", "--epochs=3", *exact]
    assert main([*words, "--output_dir=alone"]) == 0
    assert main([*words, "--output_dir=spawned", "--nproc=2"]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += [str(ROOT / "run_recbole_mqsa.py"), *words, "--output_dir=torchrun"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1
    assert capfd.readouterr().out.count("best epoch") == 2

    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "spawned", "torchrun"]
    for name in ("spawned", "torchrun"):
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == sorted(
            p.name for p in (tmp_path / "alone").iterdir()
        )
        assert len(list((tmp_path / name / "tensorboard").glob("events*"))) == len(
            list((tmp_path / "alone" / "tensorboard").glob("events*"))
        )
        header, *rows = without_seconds(tmp_path / name)
        expected = without_seconds(tmp_path / "alone")
        assert header == expected[0]
        for row, other in zip(rows, expected[1:]):
            assert [float(cell) for cell in row] == pytest.approx([float(cell) for cell in other], rel=1e-4)


def test_nproc_without_processes_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nproc is 2, but this is one process"):
        run(config(home, "MQSATED", nproc=2), tmp_path / "run")
    with pytest.raises(UserError, match="nproc is 0; it has to be a whole number of at least 1"):
        config(home, "MQSATED", nproc=0)


# One that dies.


def fail(how: str) -> None:
    signal.alarm(100)  # instead of a hang
    with group.joined({"device": torch.device("cpu"), "nproc": 2}):
        group.sum_over_ranks([1.0])
        if group.rank() == 1:
            if how == "user":
                raise UserError("this file is bad; take another")
            if how == "error":
                raise ZeroDivisionError("a bug")
            os._exit(9)
        while True:
            group.sum_over_ranks([1.0])


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("user", UserError, "^this file is bad; take another$"),
        ("error", RankFailed, r"^rank 1 failed:\n(.*\n)+ZeroDivisionError: a bug\n$"),
        ("exit", RankFailed, "^rank 1 ended without an error of its own, by exit code 9$"),
    ],
)
def test_the_death_of_one_ends_all_with_its_error(how: str, kind: type, says: str) -> None:
    with pytest.raises(kind, match=says):
        spawn(fail, 2, how)


# Who gets what.


@pytest.mark.parametrize("count", [3, 7, 197])
def test_spans_are_the_whole_in_order(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(group, "size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(group, "rank", lambda rank=rank: rank)
        parts.append(list(group.own_span(count)))
    assert [row for part in parts for row in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_alone_gets_back_what_it_gives() -> None:
    rows = torch.rand(3, 2)
    assert group.gather_in_order(rows) is rows
    assert group.sum_over_ranks([1.5]) == [1.5]
    assert group.from_main(lambda: "made") == "made"
    assert (group.size(), group.rank(), group.is_main()) == (1, 0, True)

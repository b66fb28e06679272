"""The moving average of the weights against loops, and through training, checkpoint and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.accuracy import broken_and_resumed, built, config, record
from helpers.chain import write_chain
from torch import Tensor, nn

from recbole_mqsa.api import train
from recbole_mqsa.training.averaging import AveragedWeights
from recbole_mqsa.training.load import load_run
from recbole_mqsa.training.run import run
from recbole_mqsa.training.steps import around_steps

# Whole sequences; an optimiser of our own; RecBole's, of which one keeps scores of all users; a smoothed embedding.
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("MQSATED", {}),
    ("MQSATED", {"negatives": 8, "sparse_gradients": True}),
    ("MQSATED", {"transition": "ges"}),
    ("SASRec", {"prefixes": "longest"}),
    ("LightGCN", {}),
    ("FMLPRec", {"prefixes": "longest"}),
]
DECAY = 0.9


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.8)
    return tmp_path


def weights(trainer: Any) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in trainer.model.parameters()]


def slow_average(steps: list[list[Tensor]], decay: float) -> list[Tensor]:
    """In float64: each step's weights by themselves, the first ones for all that came before."""
    count = len(steps)
    shares = [decay ** (count - 1), *((1 - decay) * decay ** (count - 1 - step) for step in range(1, count))]
    assert sum(shares) == pytest.approx(1)
    return [
        sum(share * weight.double() for share, weight in zip(shares, of_steps)) for of_steps in zip(*steps)
    ]


@pytest.mark.parametrize(("model", "settings"), MODELS)
def test_the_average_is_that_of_every_step(home: Path, model: str, settings: dict[str, Any]) -> None:
    trainer, (train_data, *_) = built(home, model, ema_decay=DECAY, epochs=2, **settings)
    steps: list[list[Tensor]] = []
    around_steps(trainer.optimizer, after=lambda: steps.append(weights(trainer)))
    trainer.fit(train_data, saved=False)
    assert trainer.averaging.count == len(steps) == 2 * len(train_data)
    for average, expected in zip(trainer.averaging.average, slow_average(steps, DECAY)):
        torch.testing.assert_close(average.double(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("model", "settings"), MODELS)
def test_training_goes_on_from_the_raw_weights(home: Path, model: str, settings: dict[str, Any]) -> None:
    trained = {}
    for decay in (0.0, DECAY):
        trainer, (train_data, valid_data, _) = built(home, model, ema_decay=decay, epochs=3, **settings)
        trainer.fit(train_data, valid_data, saved=False)
        trained[decay] = trainer
    for plain, averaging in zip(weights(trained[0.0]), weights(trained[DECAY])):
        assert torch.equal(plain, averaging)
    assert trained[0.0].averaging.count == 0
    scores = [[row["ndcg@5"] for row in trainer.history] for trainer in trained.values()]
    assert scores[0] != scores[1]


@pytest.mark.parametrize(("model", "settings"), MODELS)
def test_what_is_evaluated_and_kept_is_the_average(home: Path, model: str, settings: dict[str, Any]) -> None:
    trainer, (train_data, valid_data, test_data) = built(home, model, ema_decay=DECAY, epochs=2, **settings)
    trainer.saved_model_file = str(home / "checkpoint.pth")
    trainer.fit(train_data, valid_data)
    average = [tensor.clone() for tensor in trainer.averaging.average]
    assert trainer.best_epoch == 1  # or the checkpoint is of another epoch's
    expected = trainer.history[1]["ndcg@5"]

    other, (_, valid_data, _) = built(home, model, **settings)
    with torch.no_grad():
        for parameter, value in zip(other.model.parameters(), average):
            parameter.copy_(value)
    assert other.evaluate(valid_data, load_best_model=False)["ndcg@5"] == expected

    kept = torch.load(home / "checkpoint.pth", weights_only=True)["state_dict"]
    for (name, raw), value in zip(trainer.model.named_parameters(), average):
        assert torch.equal(kept[name], value) and not torch.equal(kept[name], raw), name
    tested = trainer.evaluate(test_data)
    assert (
        trainer.evaluate(test_data, load_best_model=False) == tested
    )  # what is loaded is not averaged again
    for parameter, value in zip(trainer.model.parameters(), average):
        assert torch.equal(parameter, value)


def test_buffers_are_the_models_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    averaged = AveragedWeights(model, 0.5)
    averaged.follow(optimizer)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    statistics = model[1].running_mean.clone()
    raw = model[1].bias.detach().clone()
    with averaged.applied(), averaged.applied():
        assert torch.equal(model[1].running_mean, statistics) and int(model[1].num_batches_tracked) == 4
        assert not torch.equal(model[1].bias, raw)
    assert torch.equal(model[1].bias, raw) and averaged.count == 4


@pytest.mark.parametrize(
    ("model", "settings"), [MODELS[0], MODELS[1], ("LightGCN", {}), ("BERT4Rec", {"prefixes": "longest"})]
)
def test_a_resumed_run_is_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, settings: dict[str, Any]
) -> None:
    whole, resumed = broken_and_resumed(home, monkeypatch, model, ema_decay=DECAY, **settings)
    assert record(resumed) == record(whole)
    for one, other in zip(
        load_run(whole.folder).model.parameters(), load_run(resumed.folder).model.parameters()
    ):
        assert torch.equal(one, other)


def test_a_loaded_run_has_the_average(home: Path) -> None:
    finished = run(config(home, ema_decay=DECAY, epochs=3, learning_rate=0.003), home / "run")
    kept = torch.load(home / "run" / "checkpoint.pth", weights_only=True)["state_dict"]
    for name, parameter in finished.model.named_parameters():
        assert torch.equal(parameter, kept[name])


def test_several_processes_average_alike(home: Path) -> None:
    exact = {
        "data_path": str(home), "ema_decay": DECAY, "epochs": 2, "train_batch_size": 64, "hidden_size": 8,
        "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "distillation_heads": 0, "topk": [5],
        "softmax_precision": "float32", "show_progress": False, "valid_metric": "NDCG@5", "learning_rate": 0.01,
    }  # fmt: skip
    runs = [train("MQSATED", "chain", home / str(nproc), nproc=nproc, **exact) for nproc in (1, 2)]
    one, other = (run.model.item_embedding.weight for run in runs)
    raw = train("MQSATED", "chain", home / "raw", **{**exact, "ema_decay": 0.0}).model.item_embedding.weight
    assert (one - raw).abs().max() > 0.01
    torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
    assert runs[0].result["valid"]["ndcg@5"] == pytest.approx(runs[1].result["valid"]["ndcg@5"], abs=2e-3)


def test_the_average_is_better_than_the_noisy_weights(tmp_path: Path) -> None:
    """At a learning rate that is too high the last step's weights are poor, and their average is not."""
    write_chain(tmp_path, certainty=0.6)
    noisy = {"epochs": 8, "learning_rate": 0.1, "train_batch_size": 16, "eval_step": 8}
    scores: dict[float, list[float]] = {0.0: [], 0.99: []}
    for decay, found in scores.items():
        for seed in range(3):
            trainer, (train_data, valid_data, _) = built(tmp_path, ema_decay=decay, seed=seed, **noisy)
            trainer.fit(train_data, valid_data, saved=False)
            found.append(trainer.history[-1]["ndcg@5"])
    assert sum(scores[0.99]) > sum(scores[0.0]) + 3 * 0.03, scores

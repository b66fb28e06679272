"""The learning rate over the epochs against the formula and a simulation, and Adam's epsilon as TensorFlow has it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.accuracy import broken_and_resumed, built, config, record
from helpers.chain import write_chain

from recbole_mqsa.errors import UserError
from recbole_mqsa.training.row_adam import RowAdam
from recbole_mqsa.training.run import run
from recbole_mqsa.training.steps import around_steps, use_tensorflow_epsilon

COSINE = {"lr_schedule": "cosine", "lr_floor": 0.1}
PLATEAU = {"lr_schedule": "plateau", "lr_factor": 0.3, "lr_patience": 0, "lr_floor": 0.2}
RATE = 0.01


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.8)
    return tmp_path


def rates_of_steps(home: Path, epochs: int, **settings: Any) -> tuple[Any, list[float]]:
    """A fitted trainer, and the learning rate in each of its epochs as the optimiser's steps had it."""
    trainer, (train_data, valid_data, _) = built(home, epochs=epochs, stopping_step=epochs, **settings)
    rates: list[float] = []
    around_steps(trainer.optimizer, before=lambda: rates.append(trainer.optimizer.param_groups[0]["lr"]))
    trainer.fit(train_data, valid_data, saved=False)
    by_epoch = np.array(rates).reshape(epochs, len(train_data))
    assert (by_epoch == by_epoch[:, :1]).all()
    return trainer, by_epoch[:, 0].tolist()


@pytest.mark.parametrize("optimiser", [{}, {"negatives": 8, "sparse_gradients": True}], ids=str)
def test_a_cosine(home: Path, optimiser: dict[str, Any]) -> None:
    trainer, rates = rates_of_steps(home, 5, **COSINE, **optimiser)
    shares = [0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 5)) / 2 for epoch in range(5)]
    assert rates == pytest.approx([RATE * share for share in shares])
    assert [row["learning_rate"] for row in trainer.history] == rates


def test_a_plateau(home: Path) -> None:
    trainer, rates = rates_of_steps(home, 12, **{**PLATEAU, "learning_rate": 0.05})
    expected, rate, best = [], 0.05, -math.inf
    for row in trainer.history:
        expected.append(rate)
        if row["ndcg@5"] > best:
            best = row["ndcg@5"]
        else:
            rate = max(rate * 0.3, 0.05 * 0.2)
    assert rates == pytest.approx(expected)
    assert len(set(rates)) == 3  # it went down twice, the second time to the floor


def test_without_a_schedule_nothing_is_recorded(home: Path) -> None:
    trainer, rates = rates_of_steps(home, 2)
    assert rates == [RATE] * 2 and not any("learning_rate" in row for row in trainer.history)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("MQSATED", COSINE),
        ("MQSATED", {**PLATEAU, "ema_decay": 0.5, "adam_epsilon": "tensorflow", "learning_rate": 0.1}),
        ("LightGCN", {**PLATEAU, "learning_rate": 0.1}),
        ("SASRec", {**COSINE, "prefixes": "longest"}),
    ],
)
def test_a_resumed_run_is_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, settings: dict[str, Any]
) -> None:
    whole, resumed = broken_and_resumed(home, monkeypatch, model, **settings)
    assert record(resumed) == record(whole)
    header, *rows = record(whole)["epochs"]
    rates = {row[header.index("learning_rate")] for row in rows}
    assert len(rates) > 1


def test_a_model_of_two_optimisers(home: Path) -> None:
    trainer, (train_data, valid_data, _) = built(home, "RecVAE", epochs=2, ema_decay=0.5, **COSINE)
    trainer.fit(train_data, valid_data, saved=False)
    lowered = [
        optimizer.param_groups[0]["lr"]
        for optimizer in (trainer.optimizer_encoder, trainer.optimizer_decoder)
    ]
    assert lowered == pytest.approx([RATE * 0.1] * 2)
    passes = trainer.n_enc_epochs + trainer.n_dec_epochs
    assert trainer.averaging.count == 2 * passes * len(train_data)


@pytest.mark.parametrize("optimiser", [torch.optim.Adam, RowAdam])
def test_tensorflows_adam(optimiser: type[torch.optim.Adam]) -> None:
    """Gradients as small as epsilon, where the two ways differ most."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))
    slow, mean, square = weight.detach().clone(), torch.zeros(5).double(), torch.zeros(5).double()
    other = torch.nn.Parameter(weight.detach().clone())
    ours, torchs = (optimiser([one], lr=0.1) for one in (weight, other))
    use_tensorflow_epsilon(ours)
    for step in range(1, 30):
        gradient = torch.randn(5, generator=generator, dtype=torch.float64) * 1e-8
        weight.grad, other.grad = gradient.clone(), gradient.clone()
        ours.step()
        torchs.step()
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.1 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        slow -= rate * mean / (square.sqrt() + 1e-8)
        torch.testing.assert_close(weight.detach(), slow, rtol=1e-9, atol=0)
    assert (other - weight).abs().max() > 0.1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ema_decay": 1.0}, "ema_decay is 1.0; it has to be a number from 0 to below 1"),
        ({"ema_decay": True}, "ema_decay is True"),
        ({"lr_schedule": "step"}, "lr_schedule is 'step'; it has to be one of 'none', 'cosine', 'plateau'"),
        ({"lr_schedule": "plateau", "eval_step": 0}, "eval_step 0 evaluates no epoch"),
        ({"lr_factor": 1}, "lr_factor is 1; it has to be a number above 0 and below 1"),
        ({"lr_floor": -0.1}, "lr_floor is -0.1"),
        ({"lr_patience": 0.5}, "lr_patience is 0.5"),
        ({"adam_epsilon": "tensorflow", "learner": "sgd"}, "it has to be torch, as learner is sgd"),
    ],
)
def test_bad_settings_are_refused(home: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config(home, **given)


def test_a_cosine_over_other_epochs_is_another_run(home: Path) -> None:
    given: dict[str, Any] = {"epochs": 3, "stopping_step": 3, **COSINE}
    run(config(home, **given), home / "run")
    with pytest.raises(UserError, match="lowers its learning rate over 3 epochs"):
        run(config(home, **{**given, "epochs": 4}), home / "run", resume=True)
    (home / "run/result.json").unlink()
    with pytest.raises(UserError, match="leave epochs as they were"):
        run(config(home, **{**given, "epochs": 4}), home / "run", resume=True)


def test_none_is_a_name(home: Path) -> None:
    assert config(home, lr_schedule="none")["lr_schedule"] == "none"

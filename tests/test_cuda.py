"""On a GPU: the same losses, and steps that the program does not wait for. Without one all of it skips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.utils import init_seed

from recbole_mqsa.model.mqsated import MQSATED
from recbole_mqsa.model.softmax import Limits
from recbole_mqsa.training.build import build_dataset, build_loaders

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU here")


@pytest.fixture
def built(toy):
    """Training loader and model on a device; the weights are the same on all."""

    def build(device: str, **settings):
        random = np.random.default_rng(0)
        sequences = {
            f"u{user}": " ".join(f"i{item}" for item in random.integers(0, 60, size=random.integers(3, 30)))
            for user in range(200)
        }
        config = toy(sequences, train_batch_size=64, device=device, **settings)
        train, valid, _ = build_loaders(config, build_dataset(config))
        init_seed(5, True)
        model = MQSATED(config, train._dataset)
        return train, valid, model.to(config["device"])

    return build


WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "distillation_heads": 0}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_losses_and_gradients_are_those_of_the_cpu(built, precision, chunked):
    parts, gradients = [], []
    for device in ("cpu", "cuda"):
        train, _, model = built(device, softmax_precision=precision, **WITHOUT_DROPOUT)
        if chunked:
            for options in (model.softmax, model.transition["distillation"].softmax):
                options["limits"] = Limits(block=0)
        losses = model.losses(next(iter(train)))
        sum(losses.values()).backward()
        parts.append({name: value.item() for name, value in losses.items()})
        gradients.append(model.item_embedding.weight.grad.cpu())
    assert parts[1] == pytest.approx(parts[0], rel=1e-3)
    tolerance = 1e-3 if precision == "float32" else 3e-2
    assert (gradients[1] - gradients[0]).norm() <= tolerance * gradients[0].norm()


def test_batches_are_made_on_the_gpu_and_are_those_of_the_cpu(built):
    (here, *_), (there, *_) = built("cpu"), built("cuda")
    for ours, theirs in zip(here, there):
        assert all(values.is_cuda for values in theirs.interaction.values())
        assert not theirs.known_lengths.is_cuda
        for field in ours.interaction:
            assert torch.equal(ours[field], theirs[field].cpu())


@pytest.mark.parametrize(
    "settings", [{}, {"attention_groups": 1}, {"alpha": "learned"}, {"lambda_kd": 0}], ids=str
)
def test_no_step_waits_for_the_gpu(built, settings):
    train, _, model = built("cuda", **settings)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    batches = iter(train)
    for waits in (True, False, False):  # the first step sets things up
        if not waits:
            torch.cuda.set_sync_debug_mode("error")
        try:
            batch = next(batches)
            optimizer.zero_grad()
            sum(model.losses(batch.to(model.device)).values()).backward()
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_it_learns_and_ranks_there_as_on_the_cpu(built, trainer_for):
    """The same course, up to what rounding makes of three epochs; and the same ranks of the same weights."""
    trainers = []
    for device in ("cpu", "cuda"):
        train, valid, _ = built(device, softmax_precision="float32", **WITHOUT_DROPOUT)
        init_seed(5, True)
        trainer = trainer_for(train)
        trainer.epochs = 3
        trainer.fit(train, saved=False, show_progress=False)
        losses = [
            sum(value for key, value in row.items() if key.startswith("loss")) for row in trainer.history
        ]
        assert losses[2] < losses[0]
        trainers.append((trainer, valid, losses))
    (here, valid, ours), (there, valid_there, theirs) = trainers
    assert theirs == pytest.approx(ours, rel=1e-3)
    there.model.load_state_dict(here.model.state_dict())
    here.evaluate(valid, load_best_model=False)
    there.evaluate(valid_there, load_best_model=False)
    assert (here.eval_collector.ranks == there.eval_collector.ranks).float().mean() > 0.98

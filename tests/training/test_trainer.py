"""The epoch that does not wait for a GPU, against RecBole's own, which asks for the loss at each step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from recbole_mqsa.errors import UserError
from recbole_mqsa.training.build import build_model


@pytest.fixture
def trained(toy, trainer_for):
    """Trainer and losses after three epochs; ``theirs`` has the loop be RecBole's."""

    def train(theirs: bool = False, **settings):
        random = np.random.default_rng(0)
        sequences = {
            f"u{user}": " ".join(f"i{item}" for item in random.integers(0, 15, size=9)) for user in range(30)
        }
        config = toy(sequences, train_batch_size=8, **settings)
        init_seed(3, True)
        data, *_ = data_preparation(config, create_dataset(config))
        trainer = trainer_for(data)
        if theirs:
            trainer.enable_scaler = True  # only its being asked for: on a CPU nothing is scaled
        losses = [trainer._train_epoch(data, epoch) for epoch in range(3)]
        return trainer, losses

    return train


@pytest.mark.parametrize("settings", [{}, {"clip_grad_norm": {"max_norm": 0.01}}, {"lambda_kd": 0}], ids=str)
@pytest.mark.filterwarnings("ignore:.*GradScaler")
def test_the_same_as_recboles_loop(trained, settings):
    trainer, ours = trained(**settings)
    other, theirs = trained(theirs=True, **settings)
    assert ours == theirs and len(ours[0]) == (1 if "lambda_kd" in settings else 2)
    for (name, weight), expected in zip(trainer.model.named_parameters(), other.model.parameters()):
        assert torch.equal(weight, expected), name
    assert [row.keys() for row in trainer.history] == [row.keys() for row in other.history]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attention_groups": 1},
        {"alpha": "learned", "query_pooling": "decay"},
        {"softmax_precision": "bfloat16", "distillation_heads": 0},
        {"transition": "grareg"},
        {"transition": "ges"},
        {"lambda_kd": 0},
    ],
    ids=str,
)
def test_no_step_asks_the_device_for_a_number(toy, settings):
    """A GPU that is asked has to be waited for. The meta device, of which this asks no hardware, cannot answer."""
    config = toy(
        {f"u{user}": " ".join(f"i{(user + step) % 7}" for step in range(9)) for user in range(9)}, **settings
    )
    data, *_ = data_preparation(config, create_dataset(config))
    model = build_model(config, data._dataset).to("meta")
    batch = next(iter(data)).to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        int(batch["item_length"].sum())
    sum(model.losses(batch).values()).backward()
    torch.optim.Adam(model.parameters()).step()
    assert all(weight.grad is not None and weight.grad.is_meta for weight in model.parameters())


@pytest.mark.parametrize("model", ["MQSATED", "FMLPRec"])
@pytest.mark.parametrize("mask_seen", [True, False])
def test_a_large_catalogue_is_ranked_by_blocks_alike(toy, trainer_for, monkeypatch, model, mask_seen):
    random = np.random.default_rng(1)
    sequences = {
        f"u{user}": " ".join(f"i{item}" for item in random.integers(0, 40, size=9)) for user in range(30)
    }
    config = toy(sequences, model, mask_seen=mask_seen)
    init_seed(3, True)
    data, _, test = data_preparation(config, create_dataset(config))
    trainer = trainer_for(data)
    whole = trainer.evaluate(test, load_best_model=False)
    ranks, sizes = trainer.eval_collector.ranks, []
    monkeypatch.setattr(test, "step", 2)  # what a catalogue of a million items leaves of a batch
    monkeypatch.setattr(trainer.model, "full_sort_predict", None)
    factors = trainer.model.factors
    monkeypatch.setattr(trainer.model, "factors", lambda batch: sizes.append(len(batch)) or factors(batch))
    assert trainer.evaluate(test, load_best_model=False) == whole
    assert torch.equal(trainer.eval_collector.ranks, ranks) and sizes == [30]


@pytest.mark.parametrize("metrics", [["Hit", "ItemCoverage", "GiniIndex"], ["ItemCoverage"]], ids=str)
def test_lists_of_a_large_catalogue_are_found_by_blocks(toy, trainer_for, monkeypatch, metrics):
    config = toy(
        {"ann": "a b c d e f", "bob": "b c d e f a"}, metrics=metrics, valid_metric=f"{metrics[0]}@2", topk=2
    )
    init_seed(3, True)
    data, _, test = data_preparation(config, create_dataset(config))
    trainer = trainer_for(data)
    trainer.eval_collector.data_collect(data)
    whole = trainer.evaluate(test, load_best_model=False)
    monkeypatch.setattr(test, "step", 1)
    monkeypatch.setattr(trainer.model, "full_sort_predict", None)
    assert trainer.evaluate(test, load_best_model=False) == whole


def test_a_metric_of_scores_takes_them_all(toy, trainer_for, monkeypatch):
    config = toy(
        {"ann": "a b c d e f", "bob": "b c d e f a"},
        metrics=["Hit", "GAUC"],
        valid_metric="Hit@2",
        topk=2,
        mask_seen=False,
    )
    init_seed(3, True)
    data, _, test = data_preparation(config, create_dataset(config))
    trainer = trainer_for(data)
    monkeypatch.setattr(test, "step", 1)
    monkeypatch.setattr(trainer.model, "factors", lambda batch: pytest.fail("GAUC reads every score"))
    monkeypatch.setattr(
        trainer.model, "full_sort_predict", lambda batch: torch.arange(7.0).repeat(len(batch), 1)
    )
    assert 0 <= trainer.evaluate(test, load_best_model=False)["gauc"] <= 1


def test_nan_ends_training(trained):
    with pytest.raises(UserError, match="became NaN"):
        trained(learning_rate=1e38)


def test_the_precision_of_products_is_put_back(trained, monkeypatch):
    """On a GPU they are fast while a model trains, whatever happens, and only then."""
    trainer, _ = trained()
    asked = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    with trainer._fast_products():
        pass
    assert asked == ["highest"]
    trainer.device = torch.device("cuda")
    with pytest.raises(ZeroDivisionError), trainer._fast_products():
        raise ZeroDivisionError
    assert asked == ["highest", "high", "highest"]
    trainer.config["softmax_precision"] = "float32"
    with trainer._fast_products():
        pass
    assert asked[3:] == ["highest"]

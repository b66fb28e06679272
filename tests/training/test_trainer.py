"""The epoch that does not wait for a GPU, against RecBole's own, which asks for the loss at each step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.utils import init_seed

from recbole_mqsa.training.build import build_dataset, build_loaders, build_model
from recbole_mqsa.training.trainer import fast_products


@pytest.fixture
def trained(toy, trainer_for):
    """Trainer and losses after three epochs; ``theirs`` has the loop be RecBole's."""

    def train(theirs: bool = False, **settings):
        random = np.random.default_rng(0)
        sequences = {
            f"u{user}": " ".join(f"i{item}" for item in random.integers(0, 15, size=9)) for user in range(30)
        }
        config = toy(sequences, train_batch_size=8, epochs=3, show_progress=False, **settings)
        init_seed(3, True)
        data, *_ = build_loaders(config, build_dataset(config))
        trainer = trainer_for(data)
        if theirs:
            trainer.enable_scaler = True  # only its being asked for: on a CPU nothing is scaled
        trainer.fit(data, saved=False)
        kept = [[value for key, value in row.items() if key.startswith("loss")] for row in trainer.history]
        return trainer, kept

    return train


@pytest.mark.parametrize("settings", [{}, {"clip_grad_norm": {"max_norm": 0.01}}, {"lambda_kd": 0}], ids=str)
@pytest.mark.filterwarnings("ignore:.*GradScaler")
def test_the_same_as_recboles_loop(trained, settings):
    trainer, ours = trained(**settings)
    other, theirs = trained(theirs=True, **settings)
    assert ours == theirs and len(ours) == 3 and len(ours[0]) == (1 if "lambda_kd" in settings else 2)
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
    data, *_ = build_loaders(config, build_dataset(config))
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
    data, _, test = build_loaders(config, build_dataset(config))
    trainer = trainer_for(data)
    whole = trainer.evaluate(test, load_best_model=False)
    ranks, sizes = trainer.eval_collector.ranks, []
    monkeypatch.setattr(test, "step", 2)  # what a catalogue of a million items leaves of a batch
    monkeypatch.setattr(trainer.model, "full_sort_predict", None)
    factors = trainer.model.factors
    monkeypatch.setattr(trainer.model, "factors", lambda batch: sizes.append(len(batch)) or factors(batch))
    assert trainer.evaluate(test, load_best_model=False) == whole
    assert torch.equal(trainer.eval_collector.ranks, ranks) and sizes == [30]


@pytest.mark.parametrize(
    "metrics", [["Hit", "ItemCoverage", "GiniIndex"], ["ItemCoverage"], ["Hit", "GAUC"]], ids=str
)
def test_lists_of_a_large_catalogue_are_found_by_blocks(toy, trainer_for, monkeypatch, metrics):
    config = toy(
        {"ann": "a b c d e f", "bob": "b c d e f a"}, metrics=metrics, valid_metric=f"{metrics[0]}@2", topk=2
    )
    init_seed(3, True)
    data, _, test = build_loaders(config, build_dataset(config))
    trainer = trainer_for(data)
    trainer.eval_collector.data_collect(data)
    whole = trainer.evaluate(test, load_best_model=False)
    monkeypatch.setattr(test, "step", 1)
    monkeypatch.setattr(trainer.model, "full_sort_predict", None)
    assert trainer.evaluate(test, load_best_model=False) == whole


@pytest.mark.parametrize(
    ("device", "precision", "within"),
    [
        ("cpu", "auto", "highest"),
        ("cuda", "auto", "high"),
        ("cuda", "bfloat16", "high"),
        ("cuda", "float32", "highest"),
    ],
)
def test_products_are_fast_on_a_gpu_and_only_while_a_model_trains(device, precision, within):
    with pytest.raises(ZeroDivisionError), fast_products(torch.device(device), precision):
        assert torch.get_float32_matmul_precision() == within
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "highest"

"""A training that diverges ends with one sentence: where, with which learning rate, and what is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from helpers.runs import settings

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer


@pytest.mark.parametrize("model", ["MQSATED", "SASRec"])
def test_a_diverging_training_says_where_and_what_is_kept(home, model):
    """Its second epoch begins with a learning rate that leads nowhere."""
    config = Config(model, "chain", config_dict=settings(home, model, checkpoint_dir=str(home)))
    data, valid, _ = build_loaders(config, build_dataset(config))
    trainer = build_trainer(config, build_model(config, data._dataset))

    def explode(epoch):
        if epoch == 1:
            trainer.optimizer.param_groups[0]["lr"] = 1e38

    trainer.before_epoch = explode
    with pytest.raises(UserError) as problem:
        trainer.fit(data, valid)
    assert re.match(
        r"(the training loss became (nan|inf)|weights became NaN or infinite \(.*\)) by step [12] of epoch 1 with "
        r"learning_rate 1e\+38; train anew with a lower learning_rate, .*; .*\.pth keeps the best epoch, 0$",
        str(problem.value),
    ), problem.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_the_last_step_breaks_are_noticed(toy, trainer_for, value):
    config = toy({"ann": "a b c d e f", "bob": "b c d e f a"}, epochs=1)
    data, valid, _ = build_loaders(config, build_dataset(config))
    trainer = trainer_for(data)

    def break_one(*_):
        with torch.no_grad():
            trainer.model.position_embedding.weight[-1] = value

    trainer.optimizer.register_step_post_hook(break_one)
    with pytest.raises(
        UserError, match=r"weights became NaN or infinite \(position_embedding.weight\) by step"
    ):
        trainer.fit(data, valid)
    assert not Path(trainer.saved_model_file).exists()

"""Which data set, loaders and trainer a model gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.runs import settings
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.model.general_recommender import LightGCN
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.data.loader import MaskedEvalLoader, SequenceTrainLoader
from recbole_mqsa.data.sampled_loader import CandidateEvalLoader, PairEvalLoader
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import (
    build_dataset,
    build_loaders,
    build_model,
    build_trainer,
    trainer_class,
)
from recbole_mqsa.training.trainer import CountingTrainer, RunTrainer, SequenceTrainer

SEQUENCES = {"ann": "a b c d e", "bob": "b c d a", "cid": "c a f g"}


@pytest.mark.parametrize(
    ("model", "trainer", "loader"),
    [
        ("MQSATED", SequenceTrainer, SequenceTrainLoader),
        ("Pop", CountingTrainer, SequenceTrainLoader),
        ("FMLPRec", RunTrainer, TrainDataLoader),
        ("SASRec", RunTrainer, TrainDataLoader),
        ("LightGCN", RunTrainer, TrainDataLoader),
    ],
)
def test_a_models_own_trainer_and_batches(toy: Any, model: str, trainer: type, loader: type) -> None:
    config = toy(SEQUENCES, model)
    dataset = build_dataset(config)
    assert type(dataset) is SequenceDataset
    train, *others = build_loaders(config, dataset)
    assert type(train) is loader and [type(one) for one in others] == [MaskedEvalLoader] * 2
    made = build_trainer(config, build_model(config, train._dataset))
    assert isinstance(made, trainer) and isinstance(made, Trainer)


@pytest.mark.parametrize("metric", ["NDCG", "AUC"])
@pytest.mark.parametrize("model", ["Pop", "MQSATED", "SASRec", "BPR"])
def test_sampled_evaluation(toy: Any, model: str, metric: str) -> None:
    """Metrics by rank rank each target among its candidates, metrics by value judge each pair."""
    mode = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": {"valid": "pop5", "test": "uni5"}}
    config = toy(
        SEQUENCES,
        model,
        eval_args=mode,
        metrics=[metric],
        valid_metric="AUC" if metric == "AUC" else "NDCG@20",
    )
    _, *others = build_loaders(config, build_dataset(config))
    assert [type(loader) for loader in others] == [
        PairEvalLoader if metric == "AUC" else CandidateEvalLoader
    ] * 2


def test_recboles_trainer_of_a_model_stands_behind_ours(toy: Any) -> None:
    config = toy(SEQUENCES, "RecVAE")
    assert [base.__name__ for base in trainer_class(config).__mro__[1:3]] == ["RunTrainer", "RecVAETrainer"]


def test_recboles_classes_are_untouched(toy: Any) -> None:
    for name, theirs in (("SASRec", SASRec), ("LightGCN", LightGCN)):
        config = toy(SEQUENCES, name)
        assert config.model_class is theirs
        assert trainer_class(config).__mro__[-2].__name__ != "RunTrainer"
    assert issubclass(MaskedEvalLoader, FullSortEvalDataLoader) and not issubclass(Trainer, RunTrainer)


def test_a_split_that_tests_nobody_is_refused(home: Path) -> None:
    only = {"split": {"LS": "valid_only"}, "order": "TO", "mode": "full", "group_by": "user"}
    config = Config("Pop", "chain", config_dict=settings(home, "Pop", eval_args=only))
    with pytest.raises(UserError, match="leaves nothing to test; choose a split with a test part"):
        build_loaders(config, build_dataset(config))

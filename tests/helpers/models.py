"""Any model with its transition on the chain, and what its loss is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from recbole.utils import init_seed

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.model.transition import item_embedding_of
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_loaders, build_model, build_trainer
from recbole_mqsa.training.objective import Objective

COMMON = {
    "MAX_ITEM_LIST_LENGTH": 12, "learning_rate": 0.01, "train_batch_size": 256, "show_progress": False,
    "valid_metric": "NDCG@5", "topk": [5], "metrics": ["NDCG"], "seed": 7,
}  # fmt: skip


def loaded(home: Path, model: str, dataset: type = SequenceDataset, **given: object) -> tuple[Any, Any]:
    """Settings and training loader of a model on the chain in ``home``."""
    settings = {"data_path": str(home), "checkpoint_dir": str(home), **COMMON, **given}
    config = Config(model, "chain", config_dict=settings, allow_unknown=True)
    init_seed(7, True)
    return config, build_loaders(config, dataset(config))[0]


def built(home: Path, name: str, way: str, **given: object) -> tuple[Any, Any, Any]:
    """A model with its transition, the settings and the training loader."""
    config, loader = loaded(home, name, transition=way, **given)
    init_seed(7, True)
    return build_model(config, loader._dataset), config, loader


def fitted(home: Path, name: str, way: str, epochs: int, **given: object) -> tuple[Any, Any, Any]:
    """The same after some epochs."""
    model, config, loader = built(home, name, way, epochs=epochs, **given)
    build_trainer(config, model).fit(loader, saved=False)
    return model.eval(), config, loader


def neutral(home: Path, name: str, way: str = "ted", **given: object) -> tuple[Any, Any, Any]:
    """A model without dropout or any draw of heads, the settings, and a batch."""
    exact = {"distillation_heads": 0, "softmax_precision": "float32", **given}
    model, config, loader = built(home, name, way, **exact)
    return model.eval(), config, next(iter(loader))


def embedding(model: Any, config: Any) -> Any:
    """[I + 1, D] what the model reads as its items' embeddings, without rows of its own."""
    return item_embedding_of(model, config["transition"]).weight[: model.n_items]


def losses(model: Any, config: Any, batch: Any, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """The parts of a batch's loss, as training takes them."""
    torch.manual_seed(seed)
    return Objective(model, config)(batch)


def counts_of(loader: Any) -> torch.Tensor:
    """[I + 1, I + 1] the training part's transitions."""
    return torch.from_numpy(loader._dataset.transition_counts().toarray())

"""Which models this package adds to RecBole, and the hooks through which RecBole finds them.

A further model is one line in ``MODELS``. RecBole's own models need none: under this package's ``Config``
they get the same data, masks and files as ours, and stay as they are otherwise.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from recbole.utils import ModelType

from . import properties
from .compat import replace_once
from .errors import UserError


@dataclass(frozen=True)
class Entry:
    """One model: where its class is, where RecBole is to look for it, and who trains it.

    Args:
        module: our module, which holds a class of the model's name.
        trainer: name of a class in ``recbole_mqsa.trainer``.
        family: RecBole's package of such models. RecBole takes the first package that has a module
            of the model's name, so a model that replaces one of RecBole's names that one's package.
        whole_sequences: whether it trains on sequences; otherwise on RecBole's samples, a prefix each.
    """

    module: str
    trainer: str
    family: str = "sequential_recommender"
    whole_sequences: bool = True


MODELS = {
    "MQSATED": Entry("recbole_mqsa.model.mqsated", "SequenceTrainer"),
    "FMLPRec": Entry("recbole_mqsa.model.fmlprec", "RunTrainer", whole_sequences=False),
    "ItemTransition": Entry("recbole_mqsa.model.counting", "CountingTrainer"),
    # RecBole's own Pop counts an item once a batch, however often it occurs; this one is exact.
    "Pop": Entry("recbole_mqsa.model.counting", "CountingTrainer", "general_recommender"),
}


def serves(config: Any) -> bool:
    """Whether this package's files, data path and mask apply: to its models, and under its ``Config`` to all."""
    return config.model in MODELS or getattr(config, "one_protocol", False)


def trains_on_sequences(config: Any) -> bool:
    """Whether a batch is of whole sequences; of RecBole's samples otherwise."""
    return config.model in MODELS and MODELS[config.model].whole_sequences


def create_dataset(config: Any) -> Any:
    """RecBole's function of this name, with our data set for every model that we serve.

    Raises:
        UserError: a model that takes more than users, items and their order.
    """
    import recbole.data

    from .data.dataset import SequenceDataset

    if not serves(config):
        return recbole.data.create_dataset(config)
    needs_more = config["MODEL_TYPE"] not in (ModelType.GENERAL, ModelType.SEQUENTIAL)
    if needs_more or (config.model not in MODELS and hasattr(recbole.data.dataset, f"{config.model}Dataset")):
        raise UserError(
            f"model '{config.model}' needs data beyond who did what in which order; run it with "
            "recbole.quick_start.run_recbole after importing recbole_mqsa"
        )
    return SequenceDataset(config)


def register() -> None:
    """Makes RecBole know every model in ``MODELS``; calling it again changes nothing.

    After it, RecBole's ``Config``, ``run_recbole``, ``create_dataset``, ``data_preparation``,
    ``get_model``, ``get_trainer``, ``full_sort_topk`` and ``load_data_and_model`` serve them. No
    file of RecBole is changed.
    """
    import recbole.config
    import recbole.data.dataset
    import recbole.data.utils
    import recbole.quick_start
    import recbole.trainer
    import recbole.utils.case_study

    from . import trainer
    from .data import loader
    from .data.dataset import SequenceDataset
    from .quick_start import load_data_and_model

    for name, entry in MODELS.items():
        sys.modules[f"recbole.model.{entry.family}.{name.lower()}"] = importlib.import_module(entry.module)
        setattr(recbole.data.dataset, f"{name}Dataset", SequenceDataset)
        setattr(recbole.trainer, f"{name}Trainer", getattr(trainer, entry.trainer))

    replace_once(recbole.config.Config, "_update_internal_config_dict", _with_our_yaml)
    replace_once(recbole.data.utils, "get_dataloader", loader.where(serves, trains_on_sequences))
    replace_once(recbole.utils.case_study, "full_sort_scores", loader.masking_seen_items)
    replace_once(recbole.utils.case_study, "full_sort_topk", loader.ranking_by_blocks)
    for module in (recbole.quick_start, recbole.quick_start.quick_start):
        module.load_data_and_model = load_data_and_model


def _with_our_yaml(load: Callable[..., Any]) -> Callable[..., Any]:
    """RecBole's order of settings, with our files where its own of the same kind are read."""

    def load_with_ours(config: Any, file: str) -> Any:
        loaded = load(config, file)
        if serves(config):
            ours = {
                "overall.yaml": (properties.overall_file(),),
                # RecBole reads its own file of the model, if it has one, right before this one.
                "sample.yaml": (properties.model_file(config.model), properties.dataset_file(config.dataset)),
                f"{config.dataset}.yaml": (properties.dataset_file(config.dataset),),
            }
            if Path(file).name == "sample.yaml":  # it reads no time, without which nothing can be ordered
                fields = {**config.internal_config_dict, **config.external_config_dict}
                columns = [fields[f"{name}_FIELD"] for name in ("USER_ID", "ITEM_ID", "TIME")]
                config.internal_config_dict["load_col"] = {"inter": columns}
            for path in ours.get(Path(file).name, ()):
                if path.is_file():
                    load(config, str(path))
        return loaded

    return load_with_ours

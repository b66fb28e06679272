"""Which settings exist: those that code reads though no yaml file names them, written down for RecBole 1.2.1.

All others are in the yaml files and in RecBole's own lists of arguments. ``tests/settings/test_keys.py`` finds the
keys anew in the source of RecBole and of this package, and names those that a table here lacks.
"""

from __future__ import annotations

import functools
import inspect
import re
from contextlib import suppress
from pathlib import Path

from . import locations
from .files import read_yaml
from .names import model_names

_RUN = (
    *("encoding", "eval_type", "ip", "local_rank", "MODEL_INPUT_TYPE", "MODEL_TYPE", "offset", "port"),
    *("single_spec", "verbose", "world_size"),
)
_DATA = (
    *("convert_token_to_onehot", "ft_ratio", "kge_interval", "mask_ratio", "neg_sampling", "tail_ratio"),
    *("test_neg_sample_args", "token_num_threshold", "training_neg_sample_num", "valid_neg_sample_args"),
)
_TRAINERS = (
    *("beta", "eta", "loss_type", "m_step", "n_dec_epochs", "n_enc_epochs", "pretrain_epochs"),
    *("reg_weight", "save_step", "train_kg_step", "train_rec_step", "warm_up_step"),
    *("lgb_num_boost_round", "lgb_params", "xgb_early_stopping_rounds", "xgb_model", "xgb_nthread"),
    *("xgb_num_boost_round", "xgb_params", "xgb_silent", "xgb_verbose_eval"),
)
_TRANSFORMED = (
    *("CROP_ITEM_SEQ", "CROP_ITEM_SEQ_LEN", "INVERSE_ITEM_SEQ", "MASK_INDEX", "MASK_ITEM_SEQ"),
    *("NEG_ITEMS", "POS_ITEMS", "REORDER_ITEM_SEQ"),
)
RECBOLE = frozenset((*_RUN, *_DATA, *_TRAINERS, *_TRANSFORMED))
"""What RecBole's code reads for every model."""

OF_SOME_MODELS = frozenset((*_TRAINERS, "ft_ratio", "mask_ratio"))
"""Of those, what only some models have: it is in their yaml files, and for any other it is no setting."""

OURS = frozenset({"negatives", "sparse_gradients"})
"""What this package reads for every model: one that draws no items refuses them with a sentence of its own."""

OF_MODULES = {
    "recbole.model.abstract_recommender": frozenset({"double_tower", "embedding_size"}),
    "recbole.model.context_aware_recommender.autoint": frozenset({"has_residual"}),
    "recbole.model.context_aware_recommender.kd_dagfm": frozenset({"cin", "feature_num"}),
    "recbole.model.general_recommender.diffrec": frozenset({"norm"}),
    "recbole.model.sequential_recommender.fearec": frozenset({"contrast", "sim", "use_filter"}),
}
"""What the module of a model reads besides the keys of the model's yaml file."""
_BESIDES = frozenset({"AbstractRecommender", "GeneralRecommender", "SequentialRecommender"})
"""Classes in a module of those that read nothing of the kind."""


def keys_of(model_class: type) -> set[str]:
    """The settings that exist for a model: every model's, and those of its class and of the classes it is made from.

    A class that is neither RecBole's nor ours has no yaml file and no entry above: its source is searched.
    """
    known = set(RECBOLE - OF_SOME_MODELS | OURS)
    for base in model_class.__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("recbole", "recbole_mqsa"):
            known |= yaml_keys(base.__name__)
            if base.__name__ not in _BESIDES:
                known |= OF_MODULES.get(base.__module__, frozenset())
        elif package not in ("abc", "builtins", "torch", "typing"):
            known |= _in_source_of(base)
    return known


def is_of_others(key: str) -> bool:
    """Whether a setting, unknown for a model, is one of some other model's."""
    return key in OF_SOME_MODELS or key in _of_all_models()


@functools.cache
def _of_all_models() -> frozenset[str]:
    return frozenset().union(*map(yaml_keys, model_names()))


def yaml_keys(model: str) -> set[str]:
    """The settings in the yaml files of a model's name."""
    files = (locations.recbole_file("model", f"{model}.yaml"), locations.model_file(model))
    return {key for file in files if file.is_file() for key in read_yaml(file)}


_READ = re.compile(
    r"""config\w*(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] (?:not )?in (?:self\.)?config\b"""
)


def keys_in(source: str) -> set[str]:
    """The names that some source looks up in a variable ``config``."""
    return {name for pair in _READ.findall(source) for name in pair if name}


def _in_source_of(model_class: type) -> set[str]:
    with suppress(OSError, TypeError):  # typed into a session, it has no file
        if file := inspect.getsourcefile(model_class):
            return keys_in(Path(file).read_text(encoding="utf-8"))
    return set()

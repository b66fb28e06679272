"""What becomes of each of RecBole's own settings: it works, or a value that would be ignored is refused.

``tests/settings/test_support.py`` goes through RecBole's lists and files: every key of theirs is in one of these
tables.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from recbole.utils import ModelType

from ..errors import UserError
from ..interfaces import Settings
from .keys import yaml_keys
from .spec import is_ours, is_served, spec_of

_PICKLED = "data are saved as pickles, which can run any code when loaded; they are read again in seconds"
_OF_GRAPHS = "it is for models with a knowledge graph, which do not run here"
_DERIVED = "it follows from the model, the metrics, or how the run is started"
_OLD = "RecBole no longer reads it; its name is now train_neg_sample_args"

SUPPORTED = frozenset(
    (
        *(
            "gpu_id",
            "worker",
            "use_gpu",
            "seed",
            "state",
            "reproducibility",
            "data_path",
            "show_progress",
            "shuffle",
        ),
        *("epochs", "train_batch_size", "learner", "learning_rate", "train_neg_sample_args", "eval_step"),
        *(
            "stopping_step",
            "clip_grad_norm",
            "weight_decay",
            "loss_decimal_place",
            "require_pow",
            "enable_amp",
        ),
        *("enable_scaler", "eval_args", "repeatable", "metrics", "topk", "valid_metric", "eval_batch_size"),
        *("metric_decimal_place", "tail_ratio", "encoding", "field_separator", "seq_separator"),
        *("USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD", "LABEL_FIELD", "NEG_PREFIX"),
        *("ITEM_LIST_LENGTH_FIELD", "LIST_SUFFIX", "MAX_ITEM_LIST_LENGTH", "seq_len", "numerical_features"),
        *(
            "load_col",
            "unload_col",
            "unused_col",
            "rm_dup_inter",
            "val_interval",
            "filter_inter_by_user_or_item",
        ),
        *("user_inter_num_interval", "item_inter_num_interval", "alias_of_user_id", "alias_of_item_id"),
        *(
            "normalize_field",
            "normalize_all",
            "discretization",
            "log_wandb",
            "wandb_project",
            "model",
            "dataset",
        ),
        "checkpoint_dir",  # of RecBole's trainers; a run writes into its own folder, and says so
    )
)
"""These work, and have a rule where a bad value would do harm."""

TRACKERS = ("mlflow", "wandb")
"""The values of ``track`` besides none, each the name of its package."""

REFUSED: Mapping[str, str] = {
    "save_dataset": _PICKLED,
    "dataset_save_path": _PICKLED,
    "save_dataloaders": _PICKLED,
    "dataloaders_save_path": _PICKLED,
    "threshold": "every action counts as one, whatever its rating; leave out lines with val_interval",
    "transform": "a model that needs a transform of its sequences brings its own",
    "benchmark_filename": "it names finished samples; use the .inter file",
    "config_file": "files of settings are given as config_files",
    "preload_weight": "no model that runs here reads it",
    "additional_feat_suffix": "no model that runs here reads such files",
    "POSITION_FIELD": "no code reads it",
    "neg_sampling": _OLD,
    "training_neg_sample_num": _OLD,
    "convert_token_to_onehot": "it is for decision trees, which do not run here",
    "token_num_threshold": "it is for decision trees, which do not run here",
    "kge_interval": _OF_GRAPHS,
    **dict.fromkeys(("HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD"), _OF_GRAPHS),
    **dict.fromkeys(("ENTITY_ID_FIELD", "kg_reverse_r", "entity_kg_num_interval"), _OF_GRAPHS),
    **dict.fromkeys(("relation_kg_num_interval", "alias_of_entity_id", "alias_of_relation_id"), _OF_GRAPHS),
}
"""These would be ignored, or do harm: any value but RecBole's default is refused with this reason."""

DEFAULT_ONLY = frozenset(
    (
        *("MODEL_TYPE", "MODEL_INPUT_TYPE", "eval_type", "valid_metric_bigger", "valid_neg_sample_args"),
        *(
            "test_neg_sample_args",
            "local_rank",
            "offset",
            "world_size",
            "single_spec",
            "ip",
            "port",
            "verbose",
        ),
        *("CROP_ITEM_SEQ", "CROP_ITEM_SEQ_LEN", "INVERSE_ITEM_SEQ", "MASK_INDEX", "MASK_ITEM_SEQ"),
        *("NEG_ITEMS", "POS_ITEMS", "REORDER_ITEM_SEQ"),
    )
)
"""RecBole sets these by itself."""

OF_TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    "time_span": ("ted", "grareg", "ges"),
    "lambda_kd": ("ted",),
    "tau": ("ted",),
    "distillation_heads": ("ted",),
    "lambda_reg": ("grareg",),
    "grareg_neighbours": ("grareg",),
    "ges_layers": ("ges",),
}
"""Settings that do something only with one of these values of ``transition``."""


def refuse_ignored(config: Settings) -> None:
    """Refuse what the user gives and nothing would read.

    Raises:
        UserError: naming the setting, and why it does nothing.
    """
    defaults = getattr(config, "internal_config_dict", {})
    for key, value in getattr(config, "external_config_dict", {}).items():
        reason = _DERIVED if key in DEFAULT_ONLY else REFUSED.get(key)
        given = value or (key in DEFAULT_ONLY and value is not None)
        if reason is not None and is_served(config) and given and value != defaults.get(key):
            raise UserError(f"{key} is {value!r}; it has to be left out: {reason}")
    if config["log_wandb"] is True and importlib.util.find_spec("wandb") is None:
        raise UserError("log_wandb is True, but wandb is not installed; pip install wandb, or leave it out")
    track = config["track"]
    if track in TRACKERS and importlib.util.find_spec(track) is None:
        raise UserError(
            f"track is '{track}', but {track} is not installed; pip install {track}, or leave it out"
        )


def refuse_foreign(config: Settings) -> None:
    """Refuse settings of other models, of another way to train, or of a ``transition`` that is not chosen.

    Raises:
        UserError: naming setting and model.
    """
    model, way = config.model_class, config["transition"] or "none"
    own = yaml_keys(model.__name__)
    trains_on_prefixes = config["MODEL_TYPE"] == ModelType.SEQUENTIAL and spec_of(model).training == "samples"
    if "prefixes" in config.external_config_dict and not trains_on_prefixes:
        raise UserError(
            f"setting 'prefixes' does nothing for {model.__name__}, which does not train on prefixes; leave it out"
        )
    for key in config.external_config_dict:
        if key in OF_TRANSITIONS and key not in own and not is_ours(model) and way not in OF_TRANSITIONS[key]:
            ways = " or ".join(f"--transition={name}" for name in OF_TRANSITIONS[key])
            raise UserError(
                f"setting '{key}' does nothing for {model.__name__} with transition {way}; leave it out, or set {ways}"
            )

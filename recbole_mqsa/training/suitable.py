"""Whether the data suit one of RecBole's models, which would fail in training, or ignore what they lack."""

from __future__ import annotations

from typing import Any

from ..errors import UserError
from ..interfaces import Settings
from ..settings.spec import is_ours


def refuse_unsuitable(config: Settings, dataset: Any) -> None:
    """Refuse data that RecBole's model cannot be trained on with these settings.

    Args:
        config: the settings.
        dataset: the training part.

    Raises:
        UserError: naming the setting to change.
    """
    check = _CHECKS.get(config.model)
    if check is not None and not is_ours(config.model_class):
        check(config, dataset)


def _features(config: Settings, dataset: Any) -> None:
    """RecBole leaves out a feature that is not loaded, down to none at all."""
    loaded = [] if dataset.item_feat is None else list(dataset.item_feat.columns)
    for name in config["selected_features"]:
        if name not in loaded or name == dataset.iid_field:
            raise UserError(
                f"selected_features names '{name}', which is no feature of items that is loaded (there are "
                f"{', '.join(loaded[1:]) or 'none'}); add it to {dataset.dataset_name}.item and to load_col, or name "
                "another"
            )


def _candidates(config: Settings, dataset: Any) -> None:
    largest = max(int(size) for size in str(config["reranker_CAN_NUM"]).split(","))
    if largest > dataset.item_num:
        raise UserError(
            f"reranker_CAN_NUM is {config['reranker_CAN_NUM']}, but data set '{dataset.dataset_name}' has "
            f"{dataset.item_num - 1} items; lower it"
        )


def _clusters(config: Settings, dataset: Any) -> None:
    fewest = min(dataset.user_num, dataset.item_num)
    if config["num_clusters"] > fewest:
        raise UserError(
            f"num_clusters is {config['num_clusters']}, but data set '{dataset.dataset_name}' has "
            f"{dataset.user_num - 1} users and {dataset.item_num - 1} items; lower it to at most {fewest - 1}"
        )


def _drawn(config: Settings, dataset: Any) -> None:
    """DGCF draws as many users as items in a step, without returning any."""
    users, items = dataset.user_num, dataset.item_num
    batches = dataset.inter_num // config["train_batch_size"] + 1
    if int(max(users, items) / batches) > min(users, items):
        needed = -(-max(users, items) // min(users, items))
        raise UserError(
            f"train_batch_size is {config['train_batch_size']}, which makes DGCF draw more users or items than there "
            f"are ({users - 1} and {items - 1}); lower it to at most {max(1, dataset.inter_num // needed)}"
        )


_CHECKS = {
    **dict.fromkeys(("FDSA", "GRU4RecF", "SASRecF"), _features),
    **dict.fromkeys(("GRU4RecCPR", "SASRecCPR"), _candidates),
    "NCL": _clusters,
    "DGCF": _drawn,
}
"""By model, what its data have to be besides users, items and their order."""

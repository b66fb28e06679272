"""What ``result.json`` says of a finished run's evaluation, time and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..data.dataset import SequenceDataset
from ..data.loader import MaskedEvalLoader
from ..evaluation import cost
from ..evaluation import slices as slicing
from ..interfaces import Json, Loader, Model, Settings
from ..parallel import group
from ..runs import folder as run_folder
from ..runs.plain import plain
from .trainer import RunTrainer


def slices_of_test(trainer: RunTrainer, train_data: Loader, test_data: Loader, folder: Path) -> Json:
    """Write the rank of each test sample; the metrics by slice, or nothing unless all items are ranked."""
    test, ranks = test_data._dataset, trainer.eval_collector.ranks
    if not isinstance(test_data, MaskedEvalLoader) or not len(test) or len(ranks) != len(test):
        return {}
    counts = train_data._dataset.transition_counts(longest=slicing.LONGEST)
    frequency = slicing.transition_frequency(counts, test)
    if group.is_main():
        run_folder.write_ranks(folder, test.inter_feat[test.uid_field], ranks, frequency)
    return {"slices": plain(slicing.by_transition_frequency(trainer.config, frequency, ranks))}


def users(config: Settings, evaluated: Mapping[str, Loader]) -> Json:
    """The number of users of each part, and how many targets no list can hold as the user has had them before."""
    parts = {name: loader._dataset for name, loader in evaluated.items()}
    counted: Json = {"users": {name: _distinct_users(loader) for name, loader in evaluated.items()}}
    if config["mask_seen"] and all(isinstance(part, SequenceDataset) for part in parts.values()):
        counted["repeat_targets"] = {name: part.repeat_targets() for name, part in parts.items()}
    return counted


def seconds(history: Sequence[Json], preparation: float, **later: float) -> dict[str, float]:
    """How long each stage took; training and validation summed over all epochs, those before an interruption too."""
    return {
        "preparation": preparation,
        "training": sum(row["train_seconds"] for row in history),
        "validation": sum(row.get("valid_seconds", 0.0) for row in history),
        **later,
    }


def size(model: Model, eval_data: Loader) -> Json:
    """The learnable numbers, and the operations that score all items for a user; None where there is nobody."""
    flops = cost.scoring_flops(model, eval_data) if len(eval_data) else None
    return {"parameters": cost.parameters(model), "flops": flops}


def _distinct_users(eval_data: Loader) -> int:
    return int(eval_data._dataset.inter_feat[eval_data._dataset.uid_field].unique().numel())

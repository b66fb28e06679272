"""Which settings make two runs different."""

from __future__ import annotations

from ..interfaces import Json

VOLATILE = {
    *("checkpoint_dir", "data_path", "worker"),
    *("device", "gpu_id", "use_gpu", "nproc", "local_rank", "offset"),
    *("track", "track_project", "log_wandb", "wandb_project", "show_progress", "state"),
    "softmax_block",
    *("state_interval", "rank_timeout"),
}
"""Settings that change where and how a run computes and what it prints, but not its results."""


def differing(settings: Json, other: Json) -> list[str]:
    """The settings in which two runs differ, without those that change no result.

    A setting that one run lacks was added after it, with a default that does what the program did before.
    """
    keys = sorted((settings.keys() & other.keys()) - VOLATILE)
    return [key for key in keys if settings[key] != other[key]]

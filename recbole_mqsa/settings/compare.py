"""Which settings make two runs different."""

from __future__ import annotations

from typing import Any

VOLATILE = {
    *("checkpoint_dir", "data_path", "worker"),
    *("device", "gpu_id", "use_gpu", "nproc", "local_rank", "offset"),
    *("log_wandb", "wandb_project", "show_progress", "state"),
    "softmax_block",
}
"""Settings that say where, how loudly and in which pieces a run computes, not what."""


def differing(settings: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The settings in which two runs differ, but for those that change no result.

    A setting that only one of them has is newer than the other, whose program did what is its default now.
    """
    keys = sorted((settings.keys() & other.keys()) - VOLATILE)
    return [key for key in keys if settings[key] != other[key]]

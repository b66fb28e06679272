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
OF_REFIT = ("eval_args", "epochs", "memory_fit")
"""Settings of its own that a refit has besides its run's."""
_GIVEN_AS = {"world_size": "nproc"}
"""What a user calls a setting that is derived from it."""


def differing(settings: Json, other: Json) -> list[str]:
    """The settings in which two runs differ, without those that change no result.

    A setting that one run lacks was added after it, with a default that does what the program did before.
    """
    keys = sorted((settings.keys() & other.keys()) - VOLATILE)
    return [_GIVEN_AS.get(key, key) for key in keys if settings[key] != other[key]]


def differing_refit(run: Json, refit: Json) -> list[str]:
    """The settings in which a result is not that of another run once more, as ``benchmark --refit`` makes it.

    Args:
        run, refit: the contents of two ``result.json``.
    """
    fitted = (run.get("memory") or {}).get("chosen", {})
    epochs = refit["settings"]["epochs"] - 1 != run["best_epoch"]
    found = differing({**run["settings"], **fitted}, refit["settings"])
    return ["epochs"] * epochs + [key for key in found if key not in OF_REFIT]

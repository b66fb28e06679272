"""All that a run needs to go on after a kill, as if nothing had happened: in one file, ``state.pth``.

The state is that between two epochs: weights, the best ones so far, optimiser, what early stopping counts, every
source of random numbers, and the record so far. A resumed run repeats what an uninterrupted one does, bit for bit
on one thread of the same machine.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..parallel import group
from ..runs.atomic import write_whole
from ..runs.checkpoints import safe_load
from ..runs.folder import CHECKPOINT
from ..runs.plain import convert, pack_leaf, plain, unpack
from ..runs.provenance import peak_memory_bytes
from ..settings.compare import differing

STATE = "state.pth"
SECONDS = 30.0
"""A state is written at most this often: an epoch may take less than writing it."""
_COUNTERS = ("cur_step", "best_valid_score", "best_valid_result", "train_loss_dict", "history")


class Resume:
    """Keeps the state of one run in its folder.

    Args:
        folder: the run's.
        config: the run's settings; a state of other settings is refused.
        started: the environment now; a resumed run's is that of its first start.
    """

    def __init__(self, folder: Path, config: Any, started: dict[str, Any]) -> None:
        self.file, self.checkpoint = folder / STATE, folder / CHECKPOINT
        self.settings = plain(config.final_config_dict)
        self.started, self.written = started, time.monotonic()
        self.peak: dict[str, int] = {}

    def load(self, trainer: Any, train_data: Any) -> None:
        """Brings trainer, loader and random numbers to where the state was taken; nothing if there is none.

        Raises:
            UserError: the state is of other settings, or damaged.
        """
        state = group.from_main(lambda: self._read(trainer.device))
        if state is None:
            return
        trainer.start_epoch = state["epoch"]
        for name in _COUNTERS:
            setattr(trainer, name, state[name])
        trainer.model.load_state_dict(state["model"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        if "progress" in state:
            trainer.load_progress(state["progress"])
        train_data.generator.set_state(state["random"]["loader"].cpu())
        if group.is_main() and state.get("checkpoint") is not None:
            # That of the folder may be of an epoch after the state, which has yet to be repeated.
            best = state["checkpoint"].cpu().numpy().tobytes()
            write_whole(self.checkpoint, lambda draft: draft.write_bytes(best))
        _set_random([state["random"], *state.get("others_random", [])][group.rank()])
        self.peak = state["peak_memory_bytes"]
        self.started = state.get("started", self.started)

    def _read(self, device: Any) -> dict[str, Any] | None:
        if not self.file.exists():
            return None
        state = unpack(safe_load(self.file, device if group.size() == 1 else "cpu"))
        other = differing(state["settings"], self.settings)
        if other:
            raise UserError(
                f"{self.file.parent} was begun with other settings ({', '.join(other)}); use those, or another folder"
            )
        return state

    def before_epoch(self, trainer: Any, train_data: Any, epoch: int) -> None:
        """Writes the state, whole or not at all, if the last one is old enough."""
        due = epoch != trainer.start_epoch and time.monotonic() - self.written >= SECONDS
        if not group.from_main(lambda: due):
            return
        _, *others = group.gather_objects(_get_random())
        if not group.is_main():
            return
        state = {
            "settings": self.settings,
            "started": self.started,
            "epoch": epoch,
            **{name: getattr(trainer, name) for name in _COUNTERS},
            "model": trainer.model.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "progress": trainer.progress(),
            "random": {**_get_random(), "loader": train_data.generator.get_state()},
            **({"others_random": others} if others else {}),
            "peak_memory_bytes": self.peak_memory_bytes(),
            "checkpoint": self._best(),
        }
        write_whole(self.file, lambda draft: torch.save(convert(state, pack_leaf), draft))
        self.written = time.monotonic()

    def _best(self) -> torch.Tensor | None:
        """The bytes of the best epoch's checkpoint; None before there is one."""
        if not self.checkpoint.exists():
            return None
        return torch.from_numpy(np.fromfile(self.checkpoint, dtype=np.uint8))

    def peak_memory_bytes(self) -> dict[str, int]:
        """The largest memory of all processes that this run took."""
        now = peak_memory_bytes()
        return {name: max(size, self.peak.get(name, 0)) for name, size in now.items()}

    def finish(self) -> None:
        """Removes the state: a finished run is never resumed."""
        self.file.unlink(missing_ok=True)


def _get_random() -> dict[str, Any]:
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    python, numpy = random.getstate(), np.random.get_state()
    return {"python": python, "numpy": list(numpy), "torch": torch.get_rng_state(), "gpus": gpus}


def _set_random(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([gpu.cpu() for gpu in state["gpus"]])

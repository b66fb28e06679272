"""The state from which a run continues after it was killed, in one file, ``state.pth``.

It is the state between two epochs: weights, the best weights so far, optimiser, early stopping's counters, every
random number generator, and the record so far. A resumed run does what an uninterrupted one does, bit for bit on
one thread of the same machine.
"""

from __future__ import annotations

import random
import time
from logging import getLogger
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..interfaces import Json, Loader, Settings
from ..parallel import group
from ..runs.atomic import write_whole
from ..runs.checkpoints import safe_load
from ..runs.folder import CHECKPOINT, FORMER, STATE
from ..runs.plain import convert, pack_leaf, plain, unpack
from ..runs.provenance import peak_memory_bytes
from ..settings.compare import differing
from .trainer import RunTrainer

SECONDS = 30.0
"""A state is written at most this often, as writing it may take longer than an epoch."""
_COUNTERS = ("cur_step", "best_valid_score", "best_valid_result", "train_loss_dict", "history")


class Resume:
    """Keeps the state of one run in its folder.

    Args:
        folder: the run's folder.
        config: the run's settings; a state of other settings is refused.
        started: the environment at the start; a resumed run keeps that of its first start.
        interval: the least number of seconds between two states.
    """

    def __init__(self, folder: Path, config: Settings, started: Json, interval: float = SECONDS) -> None:
        self.folder, self.file, self.checkpoint = folder, folder / STATE, folder / CHECKPOINT
        self.settings = plain(config.final_config_dict)
        self.former = folder / FORMER
        self.started, self.interval = started, interval
        self.written: float | None = None
        self.peak: dict[str, int] = {}
        self.epoch: int | None = None

    def load(self, trainer: RunTrainer, train_data: Loader) -> None:
        """Restore trainer, loader and random numbers from the state, if there is one.

        Raises:
            UserError: the state belongs to other settings, or is damaged.
        """
        state = group.from_main(lambda: self._read(trainer.device))
        if state is None:
            return
        trainer.start_epoch = self.epoch = state["epoch"]
        for name in _COUNTERS:
            setattr(trainer, name, state[name])
        trainer.model.load_state_dict(state["model"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        if "progress" in state:
            trainer.load_progress(state["progress"])
        train_data.generator.set_state(state["random"]["loader"].cpu())
        if group.is_main() and state.get("checkpoint") is not None:
            # The folder's own may be from an epoch after the state, which is still to be repeated.
            best = state["checkpoint"].cpu().numpy().tobytes()
            write_whole(self.checkpoint, lambda draft: draft.write_bytes(best))
        _set_random([state["random"], *state.get("others_random", [])][group.rank()])
        self.peak = state["peak_memory_bytes"]
        self.started = state.get("started", self.started)

    def _read(self, device: torch.device) -> Json | None:
        state = self._whole(device if group.size() == 1 else torch.device("cpu"))
        if state is None:
            return None
        other = differing(state["settings"], self.settings)
        refuse_other_cosine(self.folder, state["settings"], other)
        if other and not (other == ["epochs"] and self.settings["epochs"] >= state["epoch"]):
            raise UserError(
                f"{self.file.parent} was begun with other settings ({', '.join(other)}); use those, or another folder"
            )
        return state

    def _whole(self, device: torch.device) -> Json | None:
        """The latest state that is whole: the former one where the last is damaged. None if there is none yet."""
        problems = []
        for file in (self.file, self.former):
            if file.exists():
                try:
                    return unpack(safe_load(file, device))
                except UserError as problem:
                    problems.append(problem)
                    getLogger().warning("%s; the state before it is used, if there is one", problem)
        if problems:
            raise problems[0]
        return None

    def before_epoch(self, trainer: RunTrainer, train_data: Loader, epoch: int) -> None:
        """Write the state, whole or not at all, if the last one is old enough."""
        waited = self.written is None or time.monotonic() - self.written >= self.interval
        due = epoch != trainer.start_epoch and waited
        if group.from_main(lambda: due):
            self.write(trainer, train_data, epoch)

    def write(self, trainer: RunTrainer, train_data: Loader, epoch: int) -> None:
        """Write the state before an epoch, whole or not at all; the one before it is kept."""
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
        write_whole(self.file, lambda draft: torch.save(convert(state, pack_leaf), draft), former=self.former)
        self.written, self.epoch = time.monotonic(), epoch

    def _best(self) -> torch.Tensor | None:
        """The bytes of the best epoch's checkpoint; None if there is none yet."""
        if not self.checkpoint.exists():
            return None
        return torch.from_numpy(np.fromfile(self.checkpoint, dtype=np.uint8))

    def peak_memory_bytes(self) -> dict[str, int]:
        """The peak memory over all starts of this run."""
        now = peak_memory_bytes()
        return {name: max(size, self.peak.get(name, 0)) for name, size in now.items()}

    def finish(self, trainer: RunTrainer, train_data: Loader, epochs: int) -> None:
        """Keep the last state alone, from which a finished run goes on with more epochs."""
        self.write(trainer, train_data, epochs)
        if group.is_main():
            self.former.unlink(missing_ok=True)

    def how_to_go_on(self) -> str:
        """What an interrupted run has kept, and what to do with it."""
        if self.epoch is None:
            return f"interrupted before the first epoch ended; {self.file.parent} holds nothing to go on with"
        return (
            f"interrupted; the state before epoch {self.epoch} is kept: go on with the same command and --resume "
            f"--output_dir={self.file.parent}"
        )


def refuse_other_cosine(folder: Path, settings: Json, other: list[str]) -> None:
    """Refuse to go on with another number of epochs where the learning rate falls over all of them.

    Args:
        settings: those that the run in the folder was begun with.
        other: the names of those that are different now.

    Raises:
        UserError: as above.
    """
    if other == ["epochs"] and settings.get("lr_schedule") == "cosine":
        raise UserError(
            f"the run in {folder} lowers its learning rate over {settings['epochs']} epochs (lr_schedule cosine); "
            "leave epochs as they were, or use another folder"
        )


def _get_random() -> Json:
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    python, numpy = random.getstate(), np.random.get_state()
    return {"python": python, "numpy": list(numpy), "torch": torch.get_rng_state(), "gpus": gpus}


def _set_random(state: Json) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([gpu.cpu() for gpu in state["gpus"]])

"""The learning rate over the epochs (``lr_schedule``), by torch's own schedulers."""

from __future__ import annotations

import warnings
from typing import Union

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from ..interfaces import Json, Settings

Scheduler = Union[CosineAnnealingLR, ReduceLROnPlateau]


class LearningRate:
    """Schedules every optimiser that it follows: 'cosine', 'plateau', or 'none', which leaves all as it is.

    Args:
        config: the settings.
    """

    def __init__(self, config: Settings) -> None:
        self.config, self.name = config, config["lr_schedule"] or "none"
        self.schedulers: list[Scheduler] = []

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Schedule an optimiser from here on."""
        config, given = self.config, self.config["learning_rate"]
        if self.name == "cosine":
            epochs, lowest = max(1, config["epochs"]), given * config["lr_floor"]
            self.schedulers.append(CosineAnnealingLR(optimizer, T_max=epochs, eta_min=lowest))
        elif self.name == "plateau":
            scheduler = ReduceLROnPlateau(
                optimizer,
                mode="max" if config["valid_metric_bigger"] else "min",
                factor=config["lr_factor"],
                patience=config["lr_patience"],
                threshold=0.0,
                min_lr=given * config["lr_floor"],
                eps=0.0,
            )
            self.schedulers.append(scheduler)

    def after_epoch(self) -> None:
        """An epoch has been trained."""
        if self.name == "cosine":
            with warnings.catch_warnings():  # of two optimisers a trainer may use but one
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
                for scheduler in self.schedulers:
                    scheduler.step()  # type: ignore[call-arg]

    def after_evaluation(self, score: float) -> None:
        """An epoch has been evaluated with this validation score."""
        if self.name == "plateau":
            for scheduler in self.schedulers:
                scheduler.step(score)  # type: ignore[arg-type]

    def of_epoch(self) -> dict[str, float]:
        """What an epoch's record says: its learning rate, where there is a schedule."""
        rates = [group["lr"] for scheduler in self.schedulers for group in scheduler.optimizer.param_groups]
        return {"learning_rate": float(rates[-1])} if rates else {}

    def state_dict(self) -> list[Json]:
        """What a resumed run needs."""
        return [scheduler.state_dict() for scheduler in self.schedulers]

    def load_state_dict(self, states: list[Json]) -> None:
        """Go on from what :meth:`state_dict` returned; the optimisers get their learning rates back."""
        for scheduler, state in zip(self.schedulers, states):
            scheduler.load_state_dict(state)
            for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr()):
                group["lr"] = rate

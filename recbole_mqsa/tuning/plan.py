"""What a search is: the model, the data, the space, and how settings are drawn and judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..interfaces import Json
from .parameters import Choice, Parameter, Space
from .space import parameter

SAMPLERS = ("tpe", "random", "grid", "gp", "cmaes")
PRUNERS = ("median", "hyperband", "halving", "off")


@dataclass(frozen=True)
class Plan:
    """A search that can start.

    Args:
        settings: those of every trial.
        metric: by which trials are compared, on the validation part, as in 'ndcg@20'.
        bigger: whether more of it is better.
        epochs: the largest number of epochs of a trial.
        seed: of the search and of every trial.
        defaults: the model's own values of the settings in the space.
        tested: whether there is a test part.
    """

    model: str
    dataset: str
    space: Space
    settings: Json
    sampler: str
    pruner: str
    metric: str
    bigger: bool
    epochs: int
    seed: int
    defaults: Json = field(default_factory=dict)
    tested: bool = True
    allow_unknown: bool = False

    def as_json(self) -> Json:
        """What makes this search another than others: where anything of it differs, it is not the same search."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "space": {one.key: as_yaml(one) for one in self.space},
            "settings": self.settings,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "metric": self.metric,
            "bigger": self.bigger,
            "epochs": self.epochs,
            "seed": self.seed,
            "defaults": self.defaults,
            "tested": self.tested,
            "allow_unknown": self.allow_unknown,
        }

    @classmethod
    def from_json(cls, content: Json) -> Plan:
        """The plan that :meth:`as_json` wrote."""
        parameters = [parameter(key, value) for key, value in content["space"].items()]
        return cls(**{**content, "space": Space(parameters)})

    @property
    def starts_from_defaults(self) -> bool:
        """Whether the first trial has the model's own settings: the space holds them all."""
        return self.sampler != "grid" and not self.outside

    @property
    def outside(self) -> list[str]:
        """The settings whose values the space does not hold."""
        return [one.key for one in self.space if self.defaults.get(one.key) not in one]


def as_yaml(one: Parameter) -> Any:
    """A setting as a yaml space has it."""
    if isinstance(one, Choice):
        return list(one.values)
    written = {"low": one.low, "high": one.high, "step": one.step, "log": one.log}
    return {name: value for name, value in written.items() if value is not None and value is not False}

"""A trial that takes no time: its score has one peak. Run as a program, as a search runs its own."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from recbole_mqsa.tuning.address import taken_over
from recbole_mqsa.tuning.engine import Engine
from recbole_mqsa.tuning.parameters import Space
from recbole_mqsa.tuning.plan import Plan
from recbole_mqsa.tuning.space import parameter

EPOCHS = 4
SPACE = {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}, "tau": [0.1, [1, 2], "x"]}
WORKER = (sys.executable, __file__)


def toy_plan(space: dict[str, object] | None = None, **more: object) -> Plan:
    """A search of a toy; its first trial has the settings 0.001 and 0.1."""
    given = {"learning_rate": 0.001, "tau": 0.1}
    made = {
        **{"model": "MQSATED", "dataset": "toy", "settings": {}, "sampler": "tpe", "pruner": "off"},
        **{"metric": "ndcg@20", "bigger": True, "epochs": EPOCHS, "seed": 7, "defaults": given, **more},
    }
    parameters = [parameter(key, value) for key, value in (space or SPACE).items()]
    return Plan(space=Space(parameters), **made)  # type: ignore[arg-type]


def score(settings: dict[str, object], epoch: int) -> float:
    """Best at a learning rate of 0.01, better with each epoch, and worse with one value of tau."""
    distance = math.log10(float(settings["learning_rate"])) + 2  # type: ignore[arg-type]
    return (1 - distance**2 / 8 - 0.1 * (settings["tau"] == "x")) * (1 - 0.5 ** (epoch + 1))


def main(place: str, number: int, folder: Path) -> None:
    """Fail above a learning rate of 0.3; else train."""
    engine = Engine(place)
    trial = engine.trial(number)
    if trial.state != "running":
        return None
    if trial.settings["learning_rate"] > 0.3:
        print("recbole-mqsa: the training loss became NaN", file=sys.stderr)
        sys.exit(2)
    report = engine.report(number)
    scores = [score(trial.settings, epoch) for epoch in range(EPOCHS)]
    for epoch, value in enumerate(scores):
        time.sleep(engine.plan.settings.get("pause", 0.0))
        if report(epoch + 1, value):
            figures = {"value": value, "best_epoch": epoch, "epochs": epoch + 1, "seconds": 1.0}
            return engine.end(number, "pruned", figures)
    figures = {"value": max(scores), "best_epoch": EPOCHS - 1, "epochs": EPOCHS, "seconds": 4.0}
    return engine.end(number, "finished", figures)


if __name__ == "__main__":
    main(taken_over(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

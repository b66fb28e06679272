"""What a run tells the tracker that ``track`` names: its settings, each epoch, its result and files.

What goes wrong before the data are read is refused in a sentence; what goes wrong later, such as a server that no
longer answers, is logged, and the run goes on without its tracker.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..interfaces import Json, Settings
from .atomic import write_text
from .logs import LOG
from .plain import plain
from .provenance import portable
from .trackers import SERVICES, About, Service

FILE = "tracker.json"
"""The file of a run's folder that says under which id a tracker knows it, and up to which epoch."""
FILES = ("result.json", "epochs.csv", "epochs.png", "ranks.npz", LOG)
"""What of the folder a finished run hands over: all but weights and states."""
ATTEMPTS, PAUSE = 5, 2.0
"""How often, and with how many seconds between, a tracker is asked to begin: trials that start at once may each create
its store."""


@dataclass
class Tracker:
    """What a run tells its tracker, if it has one.

    Args:
        folder: the run's.
        name: of the tracker.
        service: none, or its run that has begun.
        logged: how many epochs it knows, those of an earlier start included.
    """

    folder: Path
    name: str = "none"
    service: Service | None = None
    logged: int = 0

    def epochs(self, history: Sequence[Json]) -> None:
        """Tell of the epochs that are new since the last call."""
        new = [row for row in history if row["epoch"] >= self.logged]
        self._try(lambda service: _log(service, new))
        if new and self.service is not None:
            self.logged = new[-1]["epoch"] + 1
            self.note()

    def finish(self, result: Json) -> None:
        """Tell of the result, and hand over the files."""
        files = [file for name in FILES if (file := self.folder / name).exists()]
        self._try(lambda service: service.keep(_summary(result), files))
        self._try(lambda service: service.end(True))
        self.service = None

    def fail(self) -> None:
        """Tell that the run ended early."""
        self._try(lambda service: service.end(False))
        self.service = None

    def note(self) -> None:
        """Keep what a later start must know."""
        if self.service is not None:
            known = {"tracker": self.name, "id": self.service.id, "epochs": self.logged}
            write_text(self.folder / FILE, json.dumps(known) + "\n")

    def _try(self, act: Callable[[Service], None]) -> None:
        if self.service is None:
            return
        try:
            act(self.service)
        except Exception as error:  # a tracker's error is no reason to lose a run
            self.service = None
            logging.getLogger().warning(
                f"{self.name} failed ({type(error).__name__}: {error}); the run goes on without it"
            )


@contextmanager
def tracked(config: Settings, folder: Path) -> Iterator[Tracker]:
    """The tracker that ``track`` names, which hears how the run ends, whatever ends it.

    Raises:
        UserError: it cannot begin.
    """
    tracker = _begun(config, folder)
    try:
        yield tracker
    except BaseException:
        tracker.fail()
        raise


def _begun(config: Settings, folder: Path) -> Tracker:
    name = config["track"]
    if name not in SERVICES:
        return Tracker(folder)
    known = _known(folder / FILE, name)
    try:
        service = _patiently(lambda: SERVICES[name](_about(config, folder), known.get("id")))
    except Exception as error:  # whatever a tracker raises of its settings, its server or its store
        told = " ".join(str(error).split())[:300]
        raise UserError(
            f"track is '{name}', but it cannot begin ({type(error).__name__}: {told}); correct its own settings, or "
            "leave track out"
        ) from error
    tracker = Tracker(folder, name, service, known.get("epochs", 0))
    tracker.note()
    return tracker


def _patiently(begin: Callable[[], Service], attempts: int = ATTEMPTS) -> Service:
    try:
        return begin()
    except Exception:
        if attempts == 1:
            raise
    time.sleep(PAUSE)
    return _patiently(begin, attempts - 1)


def _known(file: Path, name: str) -> Json:
    """What an earlier start of the run has noted of the same tracker."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("tracker") == name else {}


def _about(config: Settings, folder: Path) -> About:
    return About(
        name=f"{config['model']} on {config['dataset']}, seed {config['seed']}, {folder.name}",
        group=folder.parent.name or "runs",
        project=config["track_project"],
        settings=portable(plain(config.final_config_dict)),
        folder=folder,
    )


def _log(service: Service, rows: Sequence[Json]) -> None:
    for row in rows:
        service.log(_named(row), row["epoch"])


def _named(row: Mapping[str, object]) -> dict[str, float]:
    """The numbers of an epoch: losses and seconds under ``train``, metrics under ``valid``."""
    found = {}
    for key, value in row.items():
        if key.startswith("loss_") or key in ("train_seconds", "learning_rate"):
            found[f"train/{key.removeprefix('train_')}"] = value
        elif key != "epoch":
            found[f"valid/{key.removeprefix('valid_')}"] = value
    return _finite(found)


def _summary(result: Json) -> dict[str, float]:
    """The numbers of a result: of the best epoch, of the test if there was one, and what it took."""
    parts = {part: result.get(part) or {} for part in ("valid", "test", "seconds")}
    found = {
        f"{'best' if part == 'valid' else part}/{key}": v
        for part, of in parts.items()
        for key, v in of.items()
    }
    return _finite({**found, "best_epoch": result["best_epoch"], "parameters": result["parameters"]})


def _finite(values: Mapping[str, object]) -> dict[str, float]:
    numbers = {key: float(value) for key, value in values.items() if isinstance(value, (int, float))}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}

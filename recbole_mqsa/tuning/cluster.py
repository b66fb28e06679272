"""A search on a cluster of Ray's: Ray places the trials and ends the weak ones early, the study stays in the folder.

Ray needs a folder that all its machines reach; there are the trials. The driver alone, which is the process of the
command, reads and writes the study, so that ``--resume`` is the same as without a cluster.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..experiments.report.formatting import plural
from ..experiments.trials import FAILED
from ..interfaces import Json
from ..runs.folder import read_result
from .cluster_trial import EPOCH, SCORE, cluster_trial
from .record import folder_of
from .search import Search, Slot
from .worker import drop_weights, figures, pruned_figures

INSTALL = (
    'pip install ./third_party/recbole "ray[tune]>=2.50", as RecBole\'s own wheel takes none that works '
    "(docs/tuning.md has more)"
)
LEAST = 50
"""The oldest version of Ray that is known to work is 2.50."""
PRUNERS = ("halving", "off")
RETRIES = 2
"""How often a trial is begun anew, from its last state, whose process or machine died."""
QUIET = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the command at once, and --resume goes on
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # the other ignores that it is to be silent
}


def require_ray() -> None:
    """See that a Ray is there that works, without the time that its import takes.

    Raises:
        UserError: it is not installed, or is an old one.
    """
    try:
        found = version("ray")
    except PackageNotFoundError as error:
        raise UserError(f"engine ray needs Ray, which is not installed: {INSTALL}") from error
    major, minor = (int(part) for part in found.split(".")[:2])
    if (major, minor) < (2, LEAST):
        raise UserError(f"engine ray needs Ray 2.{LEAST}, and {found} is installed: {INSTALL}")


def ray(module: str = "") -> Any:
    """Ray, or a module of it; its versions have other types, so that none is relied on."""
    return importlib.import_module(f"ray.{module}" if module else "ray")


@dataclass
class ClusterSearch(Search):
    """A search whose trials run on a cluster of Ray's.

    Args:
        address: the cluster's, HOST:PORT, or auto for the one that this machine is part of.
    """

    address: str = "auto"
    _handed: set[int] = field(default_factory=set, repr=False)

    def check(self) -> None:
        """See that the search can begin here.

        Raises:
            UserError: Ray is not installed, or what :meth:`Search.check` refuses.
        """
        require_ray()
        super().check()

    def work(self, say: Callable[[str], None], watch: Callable[[str], None] | None) -> None:
        """Run on the cluster what has not ended."""
        if sum(one.state != "running" for one in self.trials) >= self.max_trials:
            return
        os.environ.update(QUIET)
        cluster = _connected(self.address)
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what dies is told in a line
        scratch = self.folder.absolute() / "ray"
        try:
            share = cluster.share(self.jobs)
            each = " and ".join(f"{count:g} {kind.upper()}" for kind, count in share.items())
            say(f"on {cluster.described}; {plural(self.jobs, 'trial')} at once, {each} each")
            self._tuner(say, scratch, share).fit()
        finally:
            cluster.leave()
        for one in self.trials:
            if one.state == "pruned":
                drop_weights(folder_of(self.folder, one.number))
        shutil.rmtree(scratch, ignore_errors=True)

    def _tuner(self, say: Callable[[str], None], scratch: Path, share: Mapping[str, float]) -> Any:
        tune = ray("tune")

        ended = sum(one.state != "running" for one in self.trials)
        trainable = tune.with_parameters(cluster_trial, plan=self.plan.as_json())
        return tune.Tuner(
            tune.with_resources(trainable, dict(share)),
            tune_config=tune.TuneConfig(
                metric=SCORE,
                mode="max" if self.plan.bigger else "min",
                search_alg=_searcher(self),
                scheduler=_scheduler(self),
                num_samples=self.max_trials - ended,
                max_concurrent_trials=self.jobs,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=str(scratch),
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                callbacks=[_callback(self, say)],
                verbose=0,
            ),
        )

    def next_config(self) -> Json | None:
        """What the next trial gets: one that was interrupted, or a new one; None where there are enough."""
        waiting = [one for one in self.trials if one.state == "running" and one.number not in self._handed]
        if waiting:
            tried = self.engine.complete(waiting[0].number)
        elif len(self.trials) < self.max_trials:
            tried = self.engine.draw()
        else:
            return None
        self._handed.add(tried.number)
        self.note()
        folder = folder_of(self.folder.absolute(), tried.number)
        (folder / FAILED).unlink(missing_ok=True)
        return {"number": tried.number, "settings": tried.settings, "folder": str(folder)}

    def concluded(self, number: int, died: str | None = None) -> str:
        """Record how a trial ended, as its folder tells; what is said of it.

        Args:
            died: why Ray gave it up, if it did.
        """
        folder = folder_of(self.folder, number)
        result = read_result(folder)
        if result is not None:
            self.engine.end(number, "finished", figures(self.plan, result))
        elif (folder / FAILED).exists():
            self.engine.end(number, "failed", reason=(folder / FAILED).read_text(encoding="utf-8").strip())
        elif died is not None or not self.engine.trial(number).curve:
            self.engine.end(number, "failed", reason=died or "it ended without a result")
        else:
            self.engine.end(number, "pruned", pruned_figures(self.engine, number, folder))
        tried = self.engine.trial(number)
        self.note()
        self.tell(tried)
        return f"FAILED: {tried.reason}" if tried.state == "failed" else Slot(self, tried).outcome


def _searcher(search: ClusterSearch) -> Any:
    """What Ray asks for settings: the study of the search."""
    base = ray("tune.search").Searcher

    class Asked(base):  # type: ignore[misc, valid-type]
        def suggest(self, trial_id: str) -> Json | str:
            config = search.next_config()
            if config is None:
                return str(base.FINISHED)
            return config

        def set_search_properties(self, *_: object, **__: object) -> bool:
            return True

        def on_trial_complete(self, *_: object, **__: object) -> None:
            """The callback records it."""

        def save(self, checkpoint_path: str) -> None:
            """The study is on the disk already."""

        restore = save

        def __reduce__(self) -> Any:  # Ray keeps a copy for its own way to resume, which is not used
            return base, ()

    return Asked()


def _number(trial: Any) -> int:
    """A trial's number in the study, by what was handed to it."""
    handed: Json = trial.config
    return int(handed["number"])


def _callback(search: ClusterSearch, say: Callable[[str], None]) -> Any:
    """What Ray tells: lines for the user, scores for the study."""
    base, begun = ray("tune").Callback, set[int]()

    class Told(base):  # type: ignore[misc, valid-type]
        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **_: object) -> None:
            number = _number(trial)
            if number not in begun:
                begun.add(number)
                say(f"{Slot(search, search.engine.trial(number)).title}  running")

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Json, **_: object) -> None:
            if EPOCH in result:
                search.engine.score(_number(trial), result[EPOCH], result[SCORE])

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: object) -> None:
            say(f"trial {_number(trial)}  died, and goes on from its last state: {_why(trial)}")

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: object) -> None:
            self._conclude(trial)

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: object) -> None:
            self._conclude(trial, f"it died {RETRIES + 1} times, the last time by {_why(trial)}")

        def _conclude(self, trial: Any, died: str | None = None) -> None:
            number = _number(trial)
            say(f"trial {number}  {search.concluded(number, died)}")

        def __reduce__(self) -> Any:
            return base, ()

    return Told()


def _why(trial: Any) -> str:
    """The last error of a trial, in a line."""
    error = None
    with suppress(Exception):  # it cannot be read where its class is not known here
        error = trial.get_pickled_error()
    if error is None:
        return "its process or machine does not answer"
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"


def _scheduler(search: ClusterSearch) -> Any:
    """What ends a trial early: asynchronous successive halving, or nothing."""
    plan, schedulers = search.plan, ray("tune.schedulers")
    if plan.pruner == "off":
        return schedulers.FIFOScheduler()
    grace = max(1, plan.epochs // 10)
    # It ends what reaches max_t before the run is whole, so that this is above the number of epochs.
    return schedulers.ASHAScheduler(
        time_attr=EPOCH, max_t=plan.epochs + 1, grace_period=grace, reduction_factor=3
    )


@dataclass(frozen=True)
class _Cluster:
    """A cluster that this process is connected to.

    Args:
        nodes: the resources of each machine.
    """

    nodes: tuple[Mapping[str, float], ...]

    @property
    def described(self) -> str:
        cores = sum(node.get("CPU", 0) for node in self.nodes)
        return f"{plural(len(self.nodes), 'machine')} with {plural(int(cores), 'core')}"

    def share(self, jobs: int) -> dict[str, float]:
        """The cores, and the part of the GPUs, of each of several trials; each has to fit on any machine."""
        cores = [node.get("CPU", 0) for node in self.nodes if node.get("CPU", 0) >= 1]
        gpus = sum(node.get("GPU", 0) for node in self.nodes)
        share = {"cpu": float(max(1, min(sum(cores) // jobs, min(cores))))} if cores else {"cpu": 1.0}
        return {**share, **({"gpu": min(1.0, gpus / jobs)} if gpus else {})}

    def leave(self) -> None:
        """Let go of the cluster; trials that still run there end."""
        ray().shutdown()


def _connected(address: str) -> _Cluster:
    """Connect to a cluster.

    Raises:
        UserError: there is none.
    """
    try:
        ray().init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # a ConnectionError, or what the version of Ray or Python does not like
        raise UserError(
            f"there is no Ray cluster to use at {address} ({' '.join(str(error).split())[:200]}); start one with "
            "ray start --head, or name another --address"
        ) from error
    return _Cluster(tuple(node["Resources"] for node in ray().nodes() if node["Alive"]))

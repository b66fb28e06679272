"""What RecBole 1.2.1 needs in order to run today: each work-around is a function in ``WORKAROUNDS``.

They run before any other module of RecBole's is imported (see :mod:`.table`), as these read numpy's old names and ray
at import.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from recbole_mqsa.errors import UserError
from recbole_mqsa.interfaces import Json
from recbole_mqsa.runs.atomic import write_whole
from recbole_mqsa.runs.checkpoints import safe_load
from recbole_mqsa.runs.logs import NOWHERE, tensorboard_folder
from recbole_mqsa.runs.plain import convert, pack_leaf, plain, unpack
from recbole_mqsa.settings.literals import literal

from .patching import Function, StandIn, replace_once
from .startup import lazy_compiler, lazy_sklearn


def numpy_aliases() -> None:
    """RecBole 1.2.1 with numpy >= 1.24. Without it: no ``np.float``, so MRR, MAP, GAUC and item features fail
    in a process that has created no Config; with numpy 2 no ``np.float_`` either, and Config itself fails."""
    aliases = {
        "bool": np.bool_,
        "int": np.int_,
        "long": np.int_,
        "float": np.float64,
        "float_": np.float64,
        "complex": np.complex128,
        "complex_": np.complex128,
        "object": np.object_,
        "str": np.str_,
        "unicode": np.str_,
        "unicode_": np.str_,
    }
    for name, value in aliases.items():
        if name not in vars(np):  # hasattr would make numpy warn of the names it dropped
            setattr(np, name, value)


def scipy_dok_update() -> None:
    """RecBole 1.2.1 with scipy >= 1.13. Without it: ``dok_matrix`` has no ``_update``, with which LightGCN,
    NGCF, NCL, GCMC, SpectralCF, KGIN and MCCLK fill their adjacency matrix."""
    if not hasattr(sparse.dok_matrix, "_update"):
        sparse.dok_matrix._update = lambda self, entries: self._dict.update(entries)


def lazy_ray() -> None:
    """RecBole 1.2.1 with any ray. Without it: ``recbole.quick_start`` imports ray 2.6.3, which numpy 2 and
    setuptools >= 81 break, though only ``objective_function`` needs ray. Here ray is imported when that
    function is called; ``import ray`` elsewhere works as before. Outside of a trial of Ray's, as in HyperTuning,
    ``tune.report`` does nothing."""
    if "recbole.quick_start" in sys.modules:
        return
    known = sys.modules.get("ray")
    sys.modules["ray"] = StandIn("ray", _from_ray, tune=StandIn("ray.tune", _from_ray, report=_report))
    try:
        importlib.import_module("recbole.quick_start")
    finally:
        del sys.modules["ray"]
        if known is not None:
            sys.modules["ray"] = known


def safe_checkpoints() -> None:
    """RecBole 1.2.1 with torch >= 2.6. Without it: a trainer saves its Config, numpy numbers and pickle
    protocol 4, all of which ``torch.load`` refuses in its safe mode, so every run fails at its final
    test; with an older torch, loading is unsafe. All trainers save and load through this module's name
    ``torch``."""
    from recbole.trainer import trainer

    if trainer.torch is torch:
        trainer.torch = StandIn(
            "torch", functools.partial(getattr, torch), save=_save_checkpoint, load=safe_load
        )


def array_parameters() -> None:
    """RecBole 1.2.1 with torch >= 2.6. Without it: a loaded ItemKNN, EASE or SLIMElastic lacks its arrays, which
    are not tensors and so are packed in a safe checkpoint (see ``safe_checkpoints``)."""
    from recbole.model.abstract_recommender import AbstractRecommender

    def unpacking(load: Callable[..., None]) -> Callable[..., None]:
        return lambda self, para: load(self, unpack(para))

    replace_once(AbstractRecommender, "load_other_parameter", unpacking)


def whole_downloads() -> None:
    """RecBole 1.2.1. Without it: a download raises at its end unless there is a process group, asks on the
    terminal above 1 GB, and when it breaks off leaves a folder that later passes for the data set."""
    from recbole.data.dataset import Dataset

    from recbole_mqsa.data.download import fetch, needs_download

    def downloading(_: Callable[..., None]) -> Callable[..., None]:
        def download(self: Dataset) -> None:
            if not self.config["local_rank"]:
                try:
                    url = self._get_download_url("url")
                except ValueError as error:
                    raise UserError(
                        f"There is no data file {Path(self.dataset_path, self.dataset_name)}.inter, and RecBole's list "
                        f"has no data set '{self.dataset_name}' to download: correct data_path or dataset."
                    ) from error
                fetch(self.dataset_name, Path(self.dataset_path), url)

        return download

    def loading(load: Callable[..., None]) -> Callable[..., None]:
        def load_data(self: Dataset, token: str, dataset_path: str) -> None:
            try:
                if needs_download(Path(dataset_path), token):
                    self._download()
            finally:  # all ranks wait here, even one that finds the data set downloaded already
                if torch.distributed.is_available() and torch.distributed.is_initialized():
                    torch.distributed.barrier()
            load(self, token, dataset_path)

        return load_data

    replace_once(Dataset, "_download", downloading)
    replace_once(Dataset, "_load_data", loading)


def literal_settings() -> None:
    """RecBole 1.2.1. Without it: every string among the settings is evaluated as a Python expression, so a
    command line or a dictionary can run any code."""
    from recbole.config import Config

    def converting(_: Function) -> Function:
        def convert(self: Config, settings: Json) -> Json:
            return {key: literal(v) if isinstance(v, str) else v for key, v in settings.items()}

        return convert

    replace_once(Config, "_convert_config_dict", converting)


def own_argument_lists() -> None:
    """RecBole 1.2.1. Without it: a Config adds its data set's keys to a list that all Configs of a process have
    in common, so that one run's keys are known to the next."""
    from recbole.config import Config

    def copying(categorise: Callable[..., None]) -> Callable[..., None]:
        def categorise_own(self: Config) -> None:
            categorise(self)
            self.parameters = {category: list(names) for category, names in self.parameters.items()}

        return categorise_own

    replace_once(Config, "_init_parameters_category", copying)


def tensorboard_in_run() -> None:
    """RecBole 1.2.1. Without it: every run writes its events below ``log_tensorboard`` of the current folder,
    wherever its other files go (see ``tensorboard_folder``)."""
    from recbole.trainer import trainer

    def directing(writer_for: Function) -> Function:
        def get_tensorboard(logger: logging.Logger) -> object:
            folder = tensorboard_folder.get()
            if folder is None:
                return writer_for(logger)
            if folder == NOWHERE:
                return StandIn("tensorboard", lambda _: lambda *_, **__: None)
            from torch.utils.tensorboard import SummaryWriter

            return SummaryWriter(str(folder))

        return get_tensorboard

    replace_once(trainer, "get_tensorboard", directing)


def metrics_of_counts() -> None:
    """RecBole 1.2.1. Without it: ItemCoverage, AveragePopularity, GiniIndex and TailPercentage make the evaluation
    fail, as its collector moves all that it holds to the CPU, even numbers and counters."""
    from recbole.evaluator import Collector

    def keeping_counts(get: Function) -> Function:
        def get_data_struct(self: Collector) -> object:
            data = self.data_struct._data_dict
            counts = {name: data.pop(name) for name in list(data) if not isinstance(data[name], torch.Tensor)}
            struct = get(self)
            data.update(counts)
            struct._data_dict.update(counts)
            return struct

        return get_data_struct

    replace_once(Collector, "get_data_struct", keeping_counts)


def no_anomaly_detection() -> None:
    """RecBole 1.2.1. Without it: importing any sequential model imports SINE, whose file turns on torch's anomaly
    detection for the whole process. Each training step of every model then records a stack trace for each
    operation, which is several times slower where the operations are small."""
    before = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    importlib.import_module("recbole.model.sequential_recommender")
    torch.autograd.set_detect_anomaly(*before)


def generators_for_hyperopt() -> None:
    """RecBole 1.2.1 with hyperopt >= 0.2.6. Without it: HyperTuning's exhaustive search hands hyperopt a generator of
    numpy's former kind, which has no ``integers``."""
    from recbole.trainer import hyper_tuning

    if hyper_tuning.np is np:
        numbers = StandIn("numpy.random", functools.partial(getattr, np.random), RandomState=_RandomState)
        hyper_tuning.np = StandIn("numpy", functools.partial(getattr, np), random=numbers)


def literal_spaces() -> None:
    """RecBole 1.2.1. Without it: HyperTuning evaluates the values of a ``choice`` in its file as Python, so that the
    file can run any code."""
    from recbole.trainer import hyper_tuning

    hyper_tuning.eval = _choices


def checkpoints_of_their_own() -> None:
    """RecBole 1.2.1. Without it: trainers that are made in the same second, as by two tuners at once, write the same
    checkpoint, and each tests what the other has saved."""
    from recbole.trainer import trainer

    replace_once(trainer, "get_local_time", lambda now: lambda: f"{now()}-{uuid.uuid4().hex[:6]}")


WORKAROUNDS: tuple[Callable[[], None], ...] = (
    numpy_aliases,
    scipy_dok_update,
    lazy_sklearn,
    lazy_compiler,
    lazy_ray,
    safe_checkpoints,
    array_parameters,
    whole_downloads,
    literal_settings,
    own_argument_lists,
    tensorboard_in_run,
    metrics_of_counts,
    no_anomaly_detection,
    generators_for_hyperopt,
    literal_spaces,
    checkpoints_of_their_own,
)


def _from_ray(name: str) -> Any:
    """An attribute of ``ray.tune``, which is imported now."""
    try:
        tune = importlib.import_module("ray.tune")
    except Exception as error:  # numpy 2 makes ray raise AttributeError
        if "ray" not in sys.modules:  # its import failed half-way
            for module in [module for module in sys.modules if module.startswith("ray.")]:
                del sys.modules[module]
        raise RuntimeError(
            f"RecBole needs ray.tune.{name}, but ray cannot be imported ({type(error).__name__}: {error}): "
            'ray 2.6.3 works after pip install "numpy<2" "setuptools<81" "pyarrow<22".'
        ) from error
    return getattr(tune, name)


def _report(metrics: Json | None = None, **named: object) -> None:
    """Report metrics to Ray, which ignores them outside of its trials; where nothing has imported it, there is none."""
    if "ray" not in sys.modules:
        return
    report, found = _from_ray("report"), {**(metrics or {}), **named}
    takes_one = "metrics" in inspect.signature(report).parameters  # since Ray 2.7
    report(found) if takes_one else report(**found)


class _RandomState(np.random.RandomState):
    """numpy's former generator with the method that hyperopt calls on the present one."""

    def integers(self, *bounds: int, **options: Any) -> Any:
        return self.randint(*bounds, **options)


def _choices(text: str) -> Any:
    """The values of a ``choice`` in a file of HyperTuning's."""
    values = literal(text)
    if not isinstance(values, (list, tuple)):
        raise UserError(f"choice has {text}; it has to be a list of literals, as in [32,64]")
    return values


def _save_checkpoint(state: Json, file: str, **_: object) -> None:
    """Replace ``torch.save`` in RecBole's trainers, as safe mode cannot read their pickle protocol 4."""
    settings = plain(state["config"].final_config_dict)
    settings["data_path"] = os.path.abspath(settings["data_path"])  # so that it is found from any folder
    checkpoint = dict(state, config=settings)
    for entry in state.keys() - {"config", "state_dict", "optimizer"}:
        checkpoint[entry] = convert(state[entry], pack_leaf)
    write_whole(Path(file), lambda draft: torch.save(checkpoint, draft))

"""Where a process computes: from ``device``, ``gpu_id`` and ``use_gpu``, and from its rank among several."""

from __future__ import annotations

import os
from typing import Callable

import torch

from ..errors import UserError
from ..interfaces import Json, Settings
from ..parallel import group


def choose_device(config: Settings, by_recbole: Callable[[], None]) -> None:
    """Replace ``config['device']``, the name that the user gave, by a torch device.

    'cuda:1' is the same as 'cuda' with ``gpu_id: 1``. With 'auto' RecBole chooses: a GPU if there is one and
    ``gpu_id`` is not empty. Unlike RecBole this also reads ``use_gpu``. Each of several processes takes a GPU of
    its own.

    Args:
        config: the settings.
        by_recbole: RecBole's own choice by ``gpu_id``, written into the settings. It hides all other GPUs from
            this process.

    Raises:
        UserError: the GPU does not exist, device and gpu_id contradict each other, or there are too few GPUs.
    """
    here, settings = group.place(), config.final_config_dict
    wanted = str(settings.get("device") or "auto")
    _name_gpus(settings, wanted, "gpu_id" in config.external_config_dict, here)

    # RecBole joins several processes on GPUs only, and then wraps model and loaders in ways that are not exact.
    # Without a local_rank it sets single_spec, which turns all of that off, as this package has its own.
    settings.pop("local_rank", None)
    by_recbole()
    if wanted.startswith("cuda") and settings["device"].type != "cuda":
        raise UserError(f"device is {wanted}, but torch finds no such GPU; set device to auto or cpu")
    if wanted == "cpu" or (wanted == "auto" and not settings["use_gpu"]):
        settings["device"] = torch.device("cpu")

    settings["world_size"] = here.world_size if here else 1
    if here is not None:
        _take_place(settings, here)


def _name_gpus(settings: Json, wanted: str, named: bool, here: group.Place | None) -> None:
    """Set ``gpu_id`` to the GPU that ``device`` names, or to all GPUs for several processes."""
    number = wanted.partition(":")[2]
    if number and named and str(settings["gpu_id"]) != number:
        raise UserError(f"device is {wanted}, but gpu_id is {settings['gpu_id']}; leave one of them out")
    if number:
        settings["gpu_id"] = number
    elif here and not named:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        settings["gpu_id"] = visible or ",".join(map(str, range(torch.cuda.device_count())))


def _take_place(settings: Json, here: group.Place) -> None:
    """Set what depends on the process's place among several: its ranks, and a GPU of its own."""
    settings.update(nproc=here.nproc, local_rank=here.local_rank, offset=here.rank - here.local_rank)
    if settings["device"].type == "cuda":
        if here.nproc > (gpus := len(settings["gpu_id"].split(","))):
            raise UserError(
                f"{here.nproc} processes on this machine need a GPU each, and it has {gpus} (gpu_id "
                f"{settings['gpu_id']}); lower nproc, name more GPUs, or set device to cpu"
            )
        settings["device"] = torch.device("cuda", here.local_rank)

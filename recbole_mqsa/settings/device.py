"""Where a process computes: what ``device``, ``gpu_id`` and ``use_gpu`` say, and which of several it is."""

from __future__ import annotations

import os
from typing import Any, Callable

import torch

from ..errors import UserError
from ..parallel import group


def choose_device(config: Any, by_recbole: Callable[[], None]) -> None:
    """Makes ``config['device']`` of the wish that it is before.

    'cuda:1' is the same as 'cuda' with ``gpu_id: 1``. Under 'auto' RecBole chooses, a GPU if there is one and
    ``gpu_id`` is not empty; unlike RecBole this asks ``use_gpu`` too. Of several processes each takes a GPU of
    its own.

    Args:
        config: the settings.
        by_recbole: RecBole's own choice by ``gpu_id``, written into the settings. It hides all other GPUs from
            this process.

    Raises:
        UserError: a GPU is wished for that is not there, two different ones are, or there are too few.
    """
    here, settings = group.place(), config.final_config_dict
    wish = str(settings.get("device") or "auto")
    number = wish.partition(":")[2]
    named = "gpu_id" in config.external_config_dict
    if number and named and str(settings["gpu_id"]) != number:
        raise UserError(f"device is {wish}, but gpu_id is {settings['gpu_id']}; leave one of them out")
    if number:
        settings["gpu_id"] = number
    elif here and not named:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        settings["gpu_id"] = visible or ",".join(map(str, range(torch.cuda.device_count())))

    # RecBole joins several processes on GPUs only, and then wraps model and loaders in ways that are not exact.
    # Without a local_rank it says single_spec, which keeps all that off, as this package has its own.
    settings.pop("local_rank", None)
    by_recbole()
    if wish.startswith("cuda") and settings["device"].type != "cuda":
        raise UserError(f"device is {wish}, but torch finds no such GPU; set device to auto or cpu")
    if wish == "cpu" or (wish == "auto" and not settings["use_gpu"]):
        settings["device"] = torch.device("cpu")

    settings["world_size"] = here.world_size if here else 1
    if here is None:
        return
    settings.update(nproc=here.nproc, local_rank=here.local_rank, offset=here.rank - here.local_rank)
    if settings["device"].type == "cuda":
        if here.nproc > (gpus := len(settings["gpu_id"].split(","))):
            raise UserError(
                f"{here.nproc} processes on this machine need a GPU each, and it has {gpus} (gpu_id "
                f"{settings['gpu_id']}); lower nproc, name more, or set device to cpu"
            )
        settings["device"] = torch.device("cuda", here.local_rank)

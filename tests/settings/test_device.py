"""What device, gpu_id and use_gpu choose, where torch finds GPUs and where it finds none."""

from __future__ import annotations

import os

import pytest
import torch

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config


def device_with(monkeypatch, gpus, **settings):
    """The device that a Config chooses, and the GPUs that RecBole then leaves visible."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "9")
    return str(Config("MQSATED", "ml-100k", config_dict=settings)["device"]), os.environ[
        "CUDA_VISIBLE_DEVICES"
    ]


@pytest.mark.parametrize(
    ("gpus", "settings", "expected"),
    [
        (True, {}, ("cuda", "0")),
        (True, {"device": "auto", "gpu_id": 2}, ("cuda", "2")),
        (True, {"device": "cuda", "gpu_id": 2}, ("cuda", "2")),
        (True, {"device": "cuda:1"}, ("cuda", "1")),
        (True, {"device": "cuda:1", "gpu_id": "1"}, ("cuda", "1")),
        (True, {"device": "cpu"}, ("cpu", "0")),
        (True, {"use_gpu": False}, ("cpu", "0")),
        (True, {"device": "cuda", "use_gpu": False}, ("cuda", "0")),
        (True, {"gpu_id": ""}, ("cpu", "")),
        (False, {}, ("cpu", "0")),
        (False, {"device": "cpu"}, ("cpu", "0")),
    ],
)
def test_device(monkeypatch, gpus, settings, expected):
    assert device_with(monkeypatch, gpus, **settings) == expected


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there(monkeypatch, device):
    with pytest.raises(UserError, match=f"device is {device}, but torch finds no such GPU"):
        device_with(monkeypatch, False, device=device)


def test_two_different_gpus(monkeypatch):
    with pytest.raises(UserError, match="device is cuda:1, but gpu_id is 2"):
        device_with(monkeypatch, True, device="cuda:1", gpu_id=2)


def placed(monkeypatch, rank, gpus):
    """As the second of two processes that torchrun has started, say, on a machine of so many GPUs."""
    names = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "here"}
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("gpus", "settings", "expected"),
    [(2, {}, "cuda:1"), (0, {}, "cpu"), (1, {"device": "cpu"}, "cpu"), (4, {"gpu_id": "2,3"}, "cuda:1")],
)
def test_each_process_has_its_own(monkeypatch, gpus, settings, expected):
    placed(monkeypatch, 1, gpus)
    config = Config("MQSATED", "ml-100k", config_dict=settings)
    assert (str(config["device"]), config["world_size"], config["nproc"]) == (expected, 2, 2)


@pytest.mark.parametrize("settings", [{"gpu_id": "3"}, {"device": "cuda:1"}])
def test_fewer_gpus_than_processes(monkeypatch, settings):
    placed(monkeypatch, 0, 4)
    with pytest.raises(UserError, match="2 processes on this machine need a GPU each, and it has 1"):
        Config("MQSATED", "ml-100k", config_dict=settings)

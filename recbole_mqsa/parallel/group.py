"""Several processes that train one model together: who they are, and what they exchange.

A single process is a group of one: every function here then returns what it is given, at once. The names are
torch's: each process has a rank, from 0 to the world size; rank 0 is the main process, which writes the files.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import PeerLost, UserError
from ..interfaces import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a process stands among all, in the terms of ``torchrun``.

    Attributes:
        rank: its number among all processes of the run.
        world_size: the number of processes.
        local_rank: its number on its machine.
        nproc: the number of processes on its machine.
    """

    rank: int
    world_size: int
    local_rank: int
    nproc: int


def place() -> Place | None:
    """This process's place by the environment that ``torchrun`` sets; None for a single process."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if not all(os.environ.get(name, "").isdigit() for name in names) or "MASTER_ADDR" not in os.environ:
        return None
    here = Place(*(int(os.environ[name]) for name in names))
    return here if here.world_size > 1 else None


def is_alone(nproc: object) -> bool:
    """Whether a run with this setting ``nproc`` is one process, by torchrun as well."""
    return nproc in (None, 1) and place() is None


_groups = itertools.count()


@functools.cache
def _store() -> Any:
    """The store in which the processes meet; made once, as successive runs use the same one."""
    store, _, _ = next(iter(dist.rendezvous("env://")))  # type: ignore[attr-defined]
    return store


@contextmanager
def joined(config: Settings) -> Iterator[None]:
    """Within, the processes that the environment names form a group: gloo on the CPU, nccl on GPUs.

    Args:
        config: the settings, of which ``device``, ``nproc`` and ``rank_timeout`` are read.

    Raises:
        UserError: the settings ask for several processes, but only one was started.
    """
    here = place()
    if here is None and not dist.is_initialized() and (config["nproc"] or 1) > 1:
        raise UserError(
            f"nproc is {config['nproc']}, but this is one process; start it with the command line or with torchrun"
        )
    if here is None or dist.is_initialized():
        yield
        return
    on_gpu = config["device"].type == "cuda"
    if on_gpu:
        torch.cuda.set_device(config["device"])
    with _exchange():
        store = dist.PrefixStore(f"recbole_mqsa/{next(_groups)}", _store())  # type: ignore[attr-defined]
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=store,
            rank=here.rank,
            world_size=here.world_size,
            timeout=timedelta(seconds=config["rank_timeout"]),
        )
    try:
        yield
    except BaseException:
        if not on_gpu:  # nccl would wait here for processes that wait for this one; its end frees them
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def size() -> int:
    """The number of processes; 1 outside a group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's rank, also after its group has ended."""
    if dist.is_initialized():
        return dist.get_rank()
    here = place()
    return here.rank if here else 0


def is_main() -> bool:
    """Whether this is the process that writes files."""
    return rank() == 0


def own_span(count: int) -> range:
    """This rank's part of ``range(count)``: the parts of all ranks, in order, are the whole, without padding."""
    return range(count * rank() // size(), count * (rank() + 1) // size())


# Exchanges. All ranks have to call these functions, in the same order.


@contextmanager
def _exchange() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the narrowest class that both gloo and nccl raise
        raise PeerLost(f"rank {rank()} has lost another process of this run: {error}") from error


def from_main(make: Callable[[], T]) -> T:
    """For all ranks, what ``make`` returns on the main process, the only one to call it. Tensors must be on the CPU."""
    if size() == 1:
        return make()
    box = [make() if is_main() else None]
    with _exchange():
        dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def gather_objects(own: T) -> list[T]:
    """The objects of all ranks, in the order of ranks."""
    if size() == 1:
        return [own]
    boxes = [own] * size()
    with _exchange():
        dist.all_gather_object(boxes, own)
    return boxes


def sum_over_ranks(numbers: Iterable[float]) -> list[float]:
    """The sum over the ranks of each number."""
    own = list(numbers)
    if size() == 1:
        return own
    total = torch.tensor(own, dtype=torch.float64)
    with _exchange():
        dist.all_reduce(total)
    return total.tolist()


def gather_in_order(rows: Tensor) -> Tensor:
    """The rows [n, ...] of all ranks, in the order of ranks, on the CPU; n may differ, and may be 0."""
    if size() == 1:
        return rows
    rows = rows.cpu().contiguous()
    lengths = gather_objects(len(rows))
    padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in lengths]
    with _exchange():
        dist.all_gather(parts, padded)
    return torch.cat([part[:length] for part, length in zip(parts, lengths)])


def copy_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrite each tensor with that of the main process."""
    if size() > 1:
        with _exchange(), torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)


def add_gradients(parameters: Iterable[Tensor], own: bool = True) -> None:
    """Set the gradient of each parameter to the sum over all ranks; one that no rank has stays None.

    All gradients go in one message, because each message has a latency that a step of a small model would feel.

    Args:
        parameters: the same on all ranks.
        own: whether this rank's gradients count; else they are taken for 0, whatever they are.
    """
    learnt = [parameter for parameter in parameters if parameter.requires_grad]
    if size() == 1 or not learnt:
        return
    with torch.no_grad():
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learnt]
        there = learnt[0].new_tensor([float(p.grad is not None) for p in learnt])
        message = torch.cat([*(gradient.reshape(-1) for gradient in gradients), there])
        if not own:
            message[: -len(learnt)] = 0
        with _exchange():
            dist.all_reduce(message)
        *sums, there = message.split([*(p.numel() for p in learnt), len(learnt)])
        for parameter, gradient, summed, known in zip(learnt, gradients, sums, there.tolist()):
            if known:
                gradient.copy_(summed.view_as(gradient))
                parameter.grad = gradient

"""Batches computed side by side on the cores, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


def side_by_side(compute: Callable[[Given], Made], batches: Iterable[Given]) -> Iterator[Made]:
    """``map(compute, batches)`` with a thread for each core that torch may use, and few results waiting.

    Two cores that each compute a batch wait for one another less than two that share every product.
    """
    cores = torch.get_num_threads()
    if cores == 1:
        yield from map(compute, batches)
        return
    waiting: deque[Future[Made]] = deque()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for batch in batches:
            waiting.append(pool.submit(compute, batch))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)

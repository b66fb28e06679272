"""Dropout that draws the random bits of several elements at once: on a CPU the draws cost more than the layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """``F.dropout`` from 16 random bits per element: p is met to within 2**-17, and the mean is preserved exactly.

    Args:
        x: any shape.
        p: probability of a zero, in [0, 1).
        training: whether to drop at all.
    """
    if not training or p == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p)
    size = x.numel()
    words = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None)  # four elements per word
    bits = words.view(torch.int16)[:size].view(x.shape)
    dropped = min(round(p * 2**16), 2**16 - 1)  # of the 2**16 values
    keep = torch.ge(bits, dropped - 2**15, out=torch.empty(x.shape, dtype=x.dtype))
    return x * keep.mul_(2**16 / (2**16 - dropped))

"""MQSATED on padded sequences, for exporters: the same weights and scores, but no shape that depends on the data.

The model packs the real positions of a batch one after another (:mod:`recbole_mqsa.model.ragged`), so the size of what
it computes depends on the ids themselves, which no exporter can follow. Here every position is computed, and a mask
keeps the padding out. Letters: B batch, T positions, D hidden, H heads, L query window, I items.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.layers import MultiQueryEncoder, WindowAttentionLayer, WindowAttentionStack
from ..model.mqsated import MQSATED


class Places(NamedTuple):
    """Where the real positions of padded sequences lie.

    Args:
        depth: [B, T] how many older real positions come before each position.
        attends: [B, 1, T, T] whether a query may read a key: no newer one, no padding, but always itself, so that the
            softmax of a padded query has something to sum.
        newest: [B, 1, D] the column of the newest position, as an index of ``gather``.
    """

    depth: Tensor
    attends: Tensor
    newest: Tensor


class PaddedMQSATED(nn.Module):
    """The scores of all items after padded histories, as :meth:`MQSATED.factors` gives them.

    Args:
        model: trained; its modules are shared, and smoothed embeddings (``transition: ges``) are computed once.
    """

    items: Tensor
    positions: Tensor

    def __init__(self, model: MQSATED) -> None:
        super().__init__()
        self.encoder, self.longest = model.encoder, model.max_seq_length
        self.register_buffer("items", model.item_embedding.weight.detach().clone())
        self.register_buffer("positions", model.position_embedding.weight.detach().clone())

    def forward(self, item_seq: Tensor) -> Tensor:
        """[B, T] item ids, padded with 0 on either side, to [B, I + 1]; only the newest ``longest`` items count."""
        real = item_seq != 0
        age = (real.sum(1, keepdim=True) - real.cumsum(1)).clamp(min=0)
        valid = real & (age < self.longest)
        places = self._places(valid)
        embedded = self.items[item_seq] * self.items.size(1) ** 0.5
        states = embedded + self.positions[age.clamp(max=self.longest - 1)]
        newest = encoded(self.encoder, states * valid[:, :, None], places)[:, 0]
        return (newest * valid.any(1, keepdim=True)) @ self.items.T

    def _places(self, valid: Tensor) -> Places:
        column = torch.arange(valid.size(1), device=valid.device)
        earlier = column[None, :] <= column[:, None]
        itself = column[None, :] == column[:, None]
        attends = (earlier & valid[:, None, :]) | itself
        newest = (column * valid).amax(1)[:, None, None].expand(-1, 1, self.items.size(1))
        return Places((valid.cumsum(1) - 1).clamp(min=0), attends[:, None], newest)


def encoded(encoder: MultiQueryEncoder, states: Tensor, places: Places) -> Tensor:
    """[B, T, D] to [B, 1, D]: see :meth:`MultiQueryEncoder.forward` with ``newest``."""
    mix = encoder.mix_logits.softmax(0) if encoder.learned else encoder.mix
    stacks = cast("list[WindowAttentionStack]", list(encoder.stacks))
    outputs = [
        weight * _through(stack, states, places)
        for weight, stack in zip(mix, stacks)
        if encoder.learned or weight != 0
    ]
    return sum(outputs[1:], outputs[0])


def _through(stack: WindowAttentionStack, states: Tensor, places: Places) -> Tensor:
    *below, last = cast("list[WindowAttentionLayer]", list(stack.layers))
    for layer in below:
        states = _layer(layer, states, places)
    return stack.final_norm(_layer(last, states, places, newest=True))


def _layer(layer: WindowAttentionLayer, states: Tensor, places: Places, newest: bool = False) -> Tensor:
    """[B, T, D] to [B, T, D]; with ``newest`` to [B, 1, D]: see :meth:`WindowAttentionLayer.forward`."""
    query, attends = _pooled(states, places.depth, layer.window_weights), places.attends
    if newest:
        query = query.gather(1, places.newest)
        at = places.newest[:, None, :, :1].expand(-1, -1, -1, attends.size(3))
        attends = attends.gather(2, at)
    query = layer.query_norm(query)
    attended = _attention(layer, query, states, attends)
    residual = layer.output_norm(attended + query)
    return layer.feedforward[1](F.relu(layer.feedforward[0](residual))) + residual


def _pooled(states: Tensor, depth: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of the last L states up to each position: see :func:`..model.pooling.pool_window`."""
    length, window = states.size(1), len(weights)
    if window == 1:
        return states
    before = F.pad(states, (0, 0, window - 1, 0))
    total = states * weights[0]
    for age in range(1, window):
        older = before.narrow(1, window - 1 - age, length)
        total = total + older * (weights[age] * (depth >= age))[:, :, None]
    return total / weights.cumsum(0)[depth.clamp(max=window - 1)][:, :, None]


def _attention(layer: WindowAttentionLayer, query: Tensor, states: Tensor, attends: Tensor) -> Tensor:
    """[B, Q, D] queries over [B, T, D] states, where ``attends`` [B, 1, Q, T] lets them."""
    heads, size = layer.n_heads, query.size(2) // layer.n_heads
    q, k, v = (
        x.unflatten(2, (heads, size)).transpose(1, 2)  # [B, H, Q or T, D/H]
        for x in (layer.query(query) / math.sqrt(size), layer.key(states), layer.value(states))
    )
    scores = (q @ k.transpose(2, 3)).masked_fill(~attends, -math.inf)
    return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)

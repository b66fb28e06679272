"""Multi-query self-attention (Zhu et al., WSDM 2024, section 3) on packed positions.

Letters: B batch, T positions, P real positions, D hidden, H heads, L query window. Training needs the state after
every position, ranking only that after the newest.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dropout import dropout
from .pooling import POOLINGS, pool_window
from .ragged import Ragged


def linear(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer with Glorot-uniform weights and zero bias, as in the authors' code."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class WindowAttentionLayer(nn.Module):
    """One layer: attention whose query is a pooled window, then a feed-forward part.

    The query is normalised, keys and values are not. The normalised query is the residual of the attention,
    and there is no output projection.

    Args:
        hidden_size: D.
        inner_size: width of the feed-forward part.
        n_heads: H; divides D.
        window_weights: [L] weight of each age in the query's window.
        hidden_dropout_prob: after the feed-forward ReLU and after its second linear layer.
        attn_dropout_prob: on the attention probabilities.
        layer_norm_eps: epsilon of the norms.
    """

    window_weights: Tensor

    def __init__(
        self,
        hidden_size: int,
        inner_size: int,
        n_heads: int,
        window_weights: Tensor,
        hidden_dropout_prob: float,
        attn_dropout_prob: float,
        layer_norm_eps: float,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attn_dropout_prob = attn_dropout_prob
        self.hidden_dropout_prob = hidden_dropout_prob
        self.register_buffer("window_weights", window_weights, persistent=False)
        self.query_norm = nn.LayerNorm(hidden_size, layer_norm_eps)
        self.query = linear(hidden_size, hidden_size)
        self.key = linear(hidden_size, hidden_size)
        self.value = linear(hidden_size, hidden_size)
        self.output_norm = nn.LayerNorm(hidden_size, layer_norm_eps)
        self.feedforward = nn.ModuleList([linear(hidden_size, inner_size), linear(inner_size, hidden_size)])

    def forward(self, states: Tensor, layout: Ragged, newest: bool = False) -> Tensor:
        """[P, D] to [P, D]; with ``newest`` to [B, D], the newest position of each sequence."""
        query, attend = pool_window(states, layout.depth, self.window_weights), self._attention
        if newest:
            query, attend = layout.last(query), self._newest_attention
        query = self.query_norm(query)
        attended = attend(self.query(query), self.key(states), self.value(states), layout)
        residual = self.output_norm(attended + query)
        inner = self._dropout(F.relu(self.feedforward[0](residual)))
        return self._dropout(self.feedforward[1](inner)) + residual

    def _dropout(self, x: Tensor) -> Tensor:
        return dropout(x, self.hidden_dropout_prob, self.training)

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, layout: Ragged) -> Tensor:
        """Causal attention within each sequence; all [P, D]."""
        out = []
        packed = (layout.grouped(x) for x in (query / math.sqrt(query.size(1) // self.n_heads), key, value))
        for q, k, v in zip(*packed):
            b, t, d = q.shape
            # [b, t, D] -> [b, H, t, D/H]
            q, k, v = (x.view(b, t, self.n_heads, d // self.n_heads).transpose(1, 2) for x in (q, k, v))
            future = torch.ones(t, t, dtype=torch.bool, device=q.device).triu(1)
            scores = (q @ k.transpose(2, 3)).masked_fill(future, -math.inf)
            weights = dropout(scores.softmax(3), self.attn_dropout_prob, self.training)
            out.append((weights @ v).transpose(1, 2).reshape(b, t, d))
        return layout.packed(out)

    def _newest_attention(self, query: Tensor, key: Tensor, value: Tensor, layout: Ragged) -> Tensor:
        """Attention of one query per sequence [B, D] to the whole sequence; keys and values are [P, D]."""
        size = len(query), self.n_heads, query.size(1) // self.n_heads
        query, key, value = (x.view(-1, *size[1:]) for x in (query / math.sqrt(size[2]), key, value))
        scores = (query[layout.row] * key).sum(2)
        row = layout.row[:, None].expand_as(scores)
        largest = scores.new_full(size[:2], -math.inf).scatter_reduce(0, row, scores, "amax")
        weights = (scores - largest[layout.row]).exp()
        total = scores.new_zeros(size[:2]).index_add(0, layout.row, weights)
        weights = dropout(weights / total[layout.row], self.attn_dropout_prob, self.training)
        return value.new_zeros(size).index_add(0, layout.row, weights[:, :, None] * value).flatten(1)


class WindowAttentionStack(nn.Module):
    """``n_layers`` layers with one query window, then a norm; the arguments are the layer's."""

    def __init__(self, n_layers: int, hidden_size: int, layer_norm_eps: float, **layer: object) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            WindowAttentionLayer(hidden_size=hidden_size, layer_norm_eps=layer_norm_eps, **layer)  # type: ignore[arg-type]
            for _ in range(n_layers)
        )
        self.final_norm = nn.LayerNorm(hidden_size, layer_norm_eps)

    def forward(self, states: Tensor, layout: Ragged, newest: bool = False) -> Tensor:
        """[P, D] to [P, D]; with ``newest`` to [B, D], which is less work for the last layer."""
        *below, last = self.layers
        for layer in below:
            states = layer(states, layout)
        return self.final_norm(last(states, layout, newest))


class MultiQueryEncoder(nn.Module):
    """MQSA: a weighted sum of stacks over one input, each with its own window and parameters.

    ``output = sum_w alpha_w * stack_w(input)``; with windows 1 and L this is the paper's
    ``alpha * short + (1 - alpha) * long``.

    Args:
        query_windows: L of each stack.
        alpha: the weight of the first of two windows, a list of all weights that sums to 1, or 'learned'.
        query_pooling: a name in ``POOLINGS``.
        query_decay: the decay of 'decay' pooling.
        stack: arguments of each stack.
    """

    def __init__(
        self,
        query_windows: list[int],
        alpha: float | list[float] | str,
        query_pooling: str = "mean",
        query_decay: float = 0.5,
        **stack: object,
    ) -> None:
        super().__init__()
        pooling = POOLINGS[query_pooling]
        self.stacks = nn.ModuleList(
            WindowAttentionStack(window_weights=pooling(window, query_decay), **stack)  # type: ignore[arg-type]
            for window in query_windows
        )
        self.learned = alpha == "learned" and len(query_windows) > 1
        if self.learned:
            self.mix_logits = nn.Parameter(torch.zeros(len(query_windows)))
        else:
            self.mix = mixing_weights(alpha, len(query_windows))

    def forward(self, states: Tensor, layout: Ragged, newest: bool = False) -> Tensor:
        """[P, D] to [P, D]; with ``newest`` to [B, D]. A stack of weight 0 is skipped."""
        mix = self.mix_logits.softmax(0) if self.learned else self.mix
        outputs = [
            weight * stack(states, layout, newest)
            for weight, stack in zip(mix, self.stacks)
            if self.learned or weight != 0
        ]
        return sum(outputs[1:], outputs[0])


def mixing_weights(alpha: float | list[float] | str, n_windows: int) -> list[float]:
    """The fixed weight of each window's stack; a single window needs no ``alpha``."""
    if n_windows == 1:
        return [1.0]
    if isinstance(alpha, (list, tuple)):
        return [float(weight) for weight in alpha]
    return [float(alpha), 1 - float(alpha)]

"""FMLP-Rec as a RecBole model (Zhou et al., WWW 2022, arXiv 2202.13556): filters in place of attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from ..interfaces import Batch, Settings
from ..settings.rules import NETWORK, WITHOUT_SAMPLES
from ..settings.spec import ModelSpec
from .dropout import dropout
from .softmax import recommendation_loss, softmax_options


class FilterBlock(nn.Module):
    """A learnable filter along time, then a feed-forward part, each with a residual and a norm.

    The filter multiplies the spectrum of each of the D channels. This is a circular convolution over all
    positions, newer ones included, so only the state of the last position may be used to predict.

    Args:
        max_length: T, the length of every input.
        hidden_size: D.
        dropout_prob: after the filter and after the feed-forward part.
        layer_norm_eps: epsilon of the norms.
    """

    def __init__(self, max_length: int, hidden_size: int, dropout_prob: float, layer_norm_eps: float) -> None:
        super().__init__()
        self.dropout_prob = dropout_prob
        self.filter = nn.Parameter(torch.empty(1, max_length // 2 + 1, hidden_size, 2))
        self.filter_norm = nn.LayerNorm(hidden_size, layer_norm_eps)
        self.feedforward = nn.ModuleList(
            [nn.Linear(hidden_size, 4 * hidden_size), nn.Linear(4 * hidden_size, hidden_size)]
        )
        self.feedforward_norm = nn.LayerNorm(hidden_size, layer_norm_eps)

    def forward(self, states: Tensor, newest: bool = False) -> Tensor:
        """[B, T, D] to [B, T, D]; with ``newest`` to [B, 1, D], the last position only."""
        spectrum = torch.fft.rfft(states, dim=1, norm="ortho") * torch.view_as_complex(self.filter)
        filtered = torch.fft.irfft(spectrum, n=states.size(1), dim=1, norm="ortho")
        if newest:  # everything below treats each position on its own
            filtered, states = filtered[:, -1:], states[:, -1:]
        states = self.filter_norm(self._dropout(filtered) + states)
        inner = self.feedforward[1](F.gelu(self.feedforward[0](states)))
        return self.feedforward_norm(self._dropout(inner) + states)

    def _dropout(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout_prob, self.training)


class FMLPRec(SequentialRecommender):
    """FMLP-Rec, trained on prefixes and scored at the newest item; padding takes part, as in the authors' code.

    Args:
        config: the settings of ``properties/model/FMLPRec.yaml``.
        dataset: gives the number of items.
    """

    spec = ModelSpec(rules=(*WITHOUT_SAMPLES, *NETWORK))

    def __init__(self, config: Settings, dataset: object) -> None:
        super().__init__(config, dataset)
        hidden_size, eps = config["hidden_size"], config["layer_norm_eps"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.softmax = softmax_options(config["softmax_block"], config["softmax_precision"], self.device)
        self.item_embedding = nn.Embedding(self.n_items, hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps)
        self.blocks = nn.ModuleList(
            FilterBlock(self.max_seq_length, hidden_size, self.hidden_dropout_prob, eps)
            for _ in range(config["n_layers"])
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                nn.init.normal_(parameter, std=config["initializer_range"])

    def forward(self, item_seq: Tensor) -> Tensor:
        """[B, T'] item ids, padded on either side, to [B, D]: the state at the newest item."""
        items = F.pad(self._left_padded(item_seq), (self.max_seq_length - item_seq.size(1), 0))
        states = self.norm(self.item_embedding(items) + self.position_embedding.weight)
        states = dropout(states, self.hidden_dropout_prob, self.training)
        for block in self.blocks:
            states = block(states, newest=block is self.blocks[-1])
        return states[:, -1]

    @staticmethod
    def _left_padded(item_seq: Tensor) -> Tensor:
        """The same rows with the newest item in the last column."""
        length, column = item_seq.size(1), torch.arange(item_seq.size(1), device=item_seq.device)
        newest = ((item_seq != 0) * column).amax(1, keepdim=True)
        return item_seq.gather(1, (column + newest + 1) % length)

    def calculate_loss(self, interaction: Batch) -> Tensor:
        """Cross-entropy of the next item over all items."""
        states = self.forward(interaction[self.ITEM_SEQ])
        return recommendation_loss(
            states, interaction[self.POS_ITEM_ID], self.item_embedding.weight, **self.softmax
        )

    def predict(self, interaction: Batch) -> Tensor:
        """[B] the score of each row's item."""
        items = self.item_embedding(interaction[self.ITEM_ID])
        return (self.forward(interaction[self.ITEM_SEQ]) * items).sum(1)

    def factors(self, interaction: Batch) -> tuple[Tensor, Tensor]:
        """[B, D] and [I + 1, D], whose products are the scores of all items, padding first."""
        return self.forward(interaction[self.ITEM_SEQ]), self.item_embedding.weight

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """[B, I + 1] the scores of all items, padding first."""
        states, items = self.factors(interaction)
        return states @ items.T

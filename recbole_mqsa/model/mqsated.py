"""MQSA-TED as a RecBole model (Zhu et al., WSDM 2024, arXiv 2311.01056)."""

from __future__ import annotations

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from ..interfaces import Batch, Settings
from ..parallel import group
from ..settings.rules import NETWORK, WITHOUT_SAMPLES, is_number, is_whole, number, one_of, whole
from ..settings.spec import ModelSpec, Rule
from .dropout import dropout
from .item_table import ItemTable
from .layers import MultiQueryEncoder
from .pooling import POOLINGS
from .protocols import CountsActions, KnowsLengths
from .ragged import Ragged
from .sampled import NegativeSampler, sampled_recommendation_loss
from .softmax import recommendation_loss, softmax_options
from .transition import transition_terms


def _windows_fit(windows: list[int], config: Settings) -> bool:
    fit = all(is_whole(window, 1) and window <= config["MAX_ITEM_LIST_LENGTH"] for window in windows)
    return bool(windows) and fit and len(set(windows)) == len(windows)


def _alpha_fits(alpha: float | list[float] | str, config: Settings) -> bool:
    count = len(config["query_windows"] or [])
    if count < 2 or alpha == "learned":
        return True
    weights = alpha if isinstance(alpha, list) else [alpha, 1 - alpha] if is_number(alpha) else []
    in_range = all(is_number(weight) and 0 <= weight <= 1 for weight in weights)
    return in_range and len(weights) == count and abs(sum(weights) - 1) <= 1e-6


def _is_sparse_possible(sparse: object, config: Settings) -> bool:
    """Whether no part of a step reads or sums all rows of the item embeddings."""
    by_rows = config["negatives"] != "full" and config["transition"] in ("ted", "none")
    alone = group.is_alone(config["nproc"])
    simple = config["learner"] == "adam" and not config["clip_grad_norm"]
    return sparse is False or (sparse is True and by_rows and alone and simple)


RULES: tuple[Rule, ...] = (
    *WITHOUT_SAMPLES,
    *NETWORK,
    *whole(1, "attention_groups"),
    *number("above 0 and at most 1", lambda value: 0 < value <= 1, "query_decay"),
    *number("from 0 to 1", lambda value: 0 <= value <= 1, "negatives_beta"),
    (
        "negatives",
        lambda value, _: value == "full" or is_whole(value, 1),
        "'full' or a whole number of at least 1",
    ),
    (
        "sparse_gradients",
        _is_sparse_possible,
        "False, or True with a number of negatives, transition ted or none, learner adam, no clip_grad_norm and "
        "one process",
    ),
    ("query_windows", _windows_fit, "different whole numbers from 1 to the maximum {MAX_ITEM_LIST_LENGTH}"),
    (
        "alpha",
        _alpha_fits,
        "a number from 0 to 1 for two query windows, a list of one such number for each of the windows "
        "{query_windows} that sums to 1, or 'learned'",
    ),
    one_of("query_pooling", *POOLINGS),
)
"""The rules of its settings."""


class MQSATED(SequentialRecommender):
    """Multi-query self-attention with transition-aware embedding distillation.

    Training takes RecBole's interaction of an input list and the item after it, and learns from every
    position of the list: its target is the item at the next position.

    Args:
        config: the settings of ``properties/model/MQSATED.yaml``.
        dataset: the training part, which counts the transitions.
    """

    spec = ModelSpec(
        training="sequences",
        rules=RULES,
        draws_negatives=True,
        variants={
            # The paper's SASRec learns from every position of a sequence; RecBole's from the last one of each prefix.
            "SASRec-whole": {"query_windows": [1], "lambda_kd": 0.0},
            # Without the shortcuts that make MQSATED fast: the difference of the two is what they cost in quality.
            "MQSATED-plain": {
                "softmax_precision": "float32",
                "softmax_block": 0,
                "attention_groups": 1,
                "distillation_heads": 0,
            },
        },
    )

    def __init__(self, config: Settings, dataset: CountsActions) -> None:
        super().__init__(config, dataset)
        self.hidden_size = config["hidden_size"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.attention_groups = config["attention_groups"]
        self.softmax = softmax_options(config["softmax_block"], config["softmax_precision"], self.device)

        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.encoder = MultiQueryEncoder(
            query_windows=config["query_windows"],
            alpha=config["alpha"],
            query_pooling=config["query_pooling"],
            query_decay=config["query_decay"],
            n_layers=config["n_layers"],
            n_heads=config["n_heads"],
            hidden_size=self.hidden_size,
            inner_size=config["inner_size"],
            hidden_dropout_prob=self.hidden_dropout_prob,
            attn_dropout_prob=config["attn_dropout_prob"],
            layer_norm_eps=config["layer_norm_eps"],
        )
        for embedding in (self.item_embedding, self.position_embedding):
            nn.init.normal_(embedding.weight, std=config["initializer_range"])
        nn.init.zeros_(self.item_embedding.weight[0].detach())
        self.sampler, self.sparse_gradients = None, config["sparse_gradients"]
        if config["negatives"] != "full":
            popularity = torch.from_numpy(dataset.item_counts())
            self.sampler = NegativeSampler(popularity, config["negatives"], config["negatives_beta"])
        self.transition = transition_terms(self, config, dataset)

    def encode(self, items: ItemTable, inputs: Tensor, layout: Ragged, newest: bool = False) -> Tensor:
        """The state after each real position, or after the ``newest`` of each sequence.

        Args:
            items: the item embeddings.
            inputs: [P] packed item ids.
            layout: which sequence and position each of them is.

        Returns:
            [P, D] packed states, or [B, D].
        """
        # Positions count from the newest item, so padding on either side gives the same states.
        embedded = items.rows(inputs) * self.hidden_size**0.5 + self.position_embedding(layout.age)
        return self.encoder(dropout(embedded, self.hidden_dropout_prob, self.training), layout, newest)

    def forward(self, item_seq: Tensor) -> Tensor:
        """[B, T'] item ids, T' <= T, padded with 0 on either side, to [B, D], the state after the newest item.

        The state of an empty sequence is zero.
        """
        layout = Ragged(item_seq != 0, self.attention_groups)
        items = ItemTable(self.item_embedding.weight)
        states = self.encode(items, layout.pack(item_seq), layout, newest=True)
        return states * (layout.lengths > 0)[:, None]

    def losses(self, interaction: Batch) -> dict[str, Tensor]:
        """The parts of the loss: ``recommendation``, and ``distillation`` or ``regularisation``, weighted."""
        item_seq = interaction[self.ITEM_SEQ]
        known = interaction.known_lengths if isinstance(interaction, KnowsLengths) else None
        layout = Ragged(item_seq != 0, self.attention_groups, known)
        items = ItemTable(self.item_embedding.weight, self.sparse_gradients)
        inputs = layout.pack(item_seq)
        states = self.encode(items, inputs, layout)
        # The next position's item; after the newest one, the interaction's own target.
        targets = torch.where(layout.age == 0, interaction[self.POS_ITEM_ID][layout.row], inputs.roll(-1))
        drawn = self.sampler() if self.sampler is not None else None
        if drawn is None:
            parts = {"recommendation": recommendation_loss(states, targets, items, **self.softmax)}
        else:
            dtype = self.softmax["dtype"]
            parts = {"recommendation": sampled_recommendation_loss(states, targets, items, drawn, dtype)}
        for name, term in self.transition.items():
            parts[name] = term(items, inputs, drawn)
        return parts

    def calculate_loss(self, interaction: Batch) -> Tensor:
        """L_rec + lambda_kd * L_kd (or what ``transition`` adds instead); L2 is the optimiser's ``weight_decay``."""
        return sum(self.losses(interaction).values())  # type: ignore[return-value]

    def predict(self, interaction: Batch) -> Tensor:
        """[B] the score of each row's item."""
        states = self.forward(interaction[self.ITEM_SEQ])
        return (states * self.item_embedding(interaction[self.ITEM_ID])).sum(1)

    def factors(self, interaction: Batch) -> tuple[Tensor, Tensor]:
        """[B, D] and [I + 1, D], whose products are the scores of all items, padding first."""
        return self.forward(interaction[self.ITEM_SEQ]), self.item_embedding.weight

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """[B, I + 1] the scores of all items, padding first."""
        states, items = self.factors(interaction)
        return states @ items.T

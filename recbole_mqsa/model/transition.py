"""How the global item transitions enter a model: by TED, by one of its rivals, or not at all.

``TRANSITIONS`` works on any RecBole model with an item embedding and leaves the model's code alone. To add a way,
write a function and enter it there.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import UserError
from ..interfaces import Model, Settings
from ..parallel import group
from .distillation import TransitionTeacher, distillation_loss, sample_heads
from .graph import (
    Smoothing,
    SymmetricMatrix,
    follower_edges,
    graph_regularisation,
    laplacian,
    smoothing_matrix,
)
from .item_table import ItemTable
from .protocols import CountsTransitions, has_transition
from .sampled import Drawn, sampled_distillation_loss
from .softmax import softmax_options


class DistillationTerm(nn.Module):
    """lambda_kd * L_kd (see :mod:`.distillation`), over some of a batch's items.

    Args:
        counts: [I + 1, I + 1] transition counts.
        weight: lambda_kd.
        tau: temperature.
        n_heads: items to distil per step; 0 takes all that are offered.
        dropout_prob: dropout of the heads' embeddings in training.
        block, dtype: see :func:`.softmax.weighted_logsumexp`.
    """

    def __init__(
        self,
        counts: sparse.csr_matrix,
        weight: float,
        tau: float,
        n_heads: int,
        dropout_prob: float,
        block: int | None = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.teacher = TransitionTeacher(counts, tau)
        self.weight, self.tau, self.n_heads = weight, tau, n_heads
        self.dropout_prob, self.block, self.dtype = dropout_prob, block, dtype

    def forward(self, items: Tensor | ItemTable, heads: Tensor, drawn: Drawn | None = None) -> Tensor:
        """The term for embeddings [I + 1, D] and item ids [N], from which the heads are drawn.

        ``drawn`` items, if given, estimate the softmax over the catalogue.
        """
        heads = sample_heads(heads, self.n_heads)
        dropped = self.dropout_prob if self.training else 0.0
        if drawn is None:
            loss = distillation_loss(heads, items, self.teacher, self.tau, dropped, self.block, self.dtype)
        else:
            loss = sampled_distillation_loss(heads, items, self.teacher, self.tau, drawn, dropped)
        return self.weight * loss


class RegularisationTerm(nn.Module):
    """lambda_reg * sum over the graph's edges of weight * ||e_i - e_j||^2 (see :mod:`.graph`).

    Args:
        counts: [I + 1, I + 1] transition counts.
        weight: lambda_reg.
        neighbours: how many followers of an item get an edge at most.
    """

    def __init__(self, counts: sparse.csr_matrix, weight: float, neighbours: int) -> None:
        super().__init__()
        self.laplacian = SymmetricMatrix(laplacian(follower_edges(counts, neighbours)))
        self.weight = weight

    def forward(
        self, items: Tensor | ItemTable, heads: Tensor | None = None, drawn: Drawn | None = None
    ) -> Tensor:
        """The term for embeddings [I + 1, D]; every step counts all edges, whatever the batch holds."""
        return self.weight * graph_regularisation(ItemTable.of(items).weight, self.laplacian)


# The ways: each takes model, settings and training part, and returns the loss terms that it adds, by name.


def ted(model: Model, config: Settings, dataset: object) -> dict[str, nn.Module]:
    """Transition-aware embedding distillation; the heads' dropout is the model's own, if it has one."""
    if config["lambda_kd"] == 0:
        return {}
    item_embedding_of(model, config["transition"])
    term = DistillationTerm(
        _counts(config, dataset),
        weight=config["lambda_kd"],
        tau=config["tau"],
        n_heads=-(-config["distillation_heads"] // group.size()),  # each process draws its part of them
        dropout_prob=_dropout_prob(config),
        **softmax_options(config["softmax_block"], config["softmax_precision"], config["device"]),
    )
    return {"distillation": term}


def grareg(model: Model, config: Settings, dataset: object) -> dict[str, nn.Module]:
    """Graph regularisation: pulls an item towards its most frequent followers."""
    if config["lambda_reg"] == 0:
        return {}
    item_embedding_of(model, config["transition"])
    counts = _counts(config, dataset)
    return {"regularisation": RegularisationTerm(counts, config["lambda_reg"], config["grareg_neighbours"])}


def ges(model: Model, config: Settings, dataset: object) -> dict[str, nn.Module]:
    """Graph-based embedding smoothing, of inputs and outputs alike.

    Wherever the model reads the item embedding's ``weight``, it gets the smoothed one; what is learned and saved is
    the weight before smoothing. The graph is symmetrised. Within ``parametrize.cached()``, as in training and
    evaluation, the weight is smoothed once, however often it is read.
    """
    embedding = item_embedding_of(model, config["transition"])
    smoothing = Smoothing(smoothing_matrix(_counts(config, dataset)), config["ges_layers"])
    parametrize.register_parametrization(embedding, "weight", smoothing)
    return {}


def none(model: Model, config: Settings, dataset: object) -> dict[str, nn.Module]:
    """The model alone."""
    return {}


TRANSITIONS: dict[str, Callable[[Model, Settings, object], dict[str, nn.Module]]] = {
    "ted": ted,
    "grareg": grareg,
    "ges": ges,
    "none": none,
}


# Putting them on a model.


def transition_terms(model: Model, config: Settings, dataset: object) -> nn.ModuleDict:
    """The loss terms that ``transition`` adds to a model; they have no parameters.

    Args:
        model: has its item embedding already; 'ges' changes what it reads from it.
        config: the settings; ``transition`` names an entry of ``TRANSITIONS``.
        dataset: the training part; has to count transitions.

    Raises:
        UserError: the model has no item embedding, or the data set does not count transitions.
    """
    return nn.ModuleDict(TRANSITIONS[config["transition"] or "none"](model, config, dataset))


def attach_transition(model: Model, config: Settings, dataset: object) -> Model:
    """Give a model the terms of ``transition``, unless it has them already, as MQSATED does.

    Training adds the terms to the model's own loss (:mod:`recbole_mqsa.training.objective`).

    Args:
        model: one of RecBole's or of ours, just built; it is changed and returned.
        config, dataset: as for :func:`transition_terms`.
    """
    if not has_transition(model) and (config["transition"] or "none") != "none":
        model.add_module("transition", transition_terms(model, config, dataset))
    return model


def item_embedding_of(model: Model, transition: str) -> nn.Embedding:
    """The model's ``item_embedding``, or else its only embedding with one row per item.

    Raises:
        UserError: there is none, or more than one to choose from.
    """
    n_items = model.n_items
    named = getattr(model, "item_embedding", None)
    # That of BERT4Rec has one more row, its mask token.
    if isinstance(named, nn.Embedding) and named.num_embeddings >= n_items:
        return named
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == n_items
    }
    if len(found) != 1:
        has = f"has {len(found)} ({', '.join(found)})" if found else "has none"
        raise UserError(
            f"transition '{transition}' works on a model's item embedding, and {type(model).__name__} "
            f"{has}; set transition to none or take a model with one item embedding"
        )
    return next(iter(found.values()))


def _counts(config: Settings, dataset: object) -> sparse.csr_matrix:
    if not isinstance(dataset, CountsTransitions):
        raise UserError(
            f"transition '{config['transition']}' counts what follows what, and RecBole's own {type(dataset).__name__} "
            "does not; run the model by recbole-mqsa, or build its data as a recbole_mqsa SequenceDataset"
        )
    return dataset.transition_counts(
        config["time_span"],
        time_decay=config["time_decay"],
        backward_weight=config["backward_weight"],
    )


def _dropout_prob(config: Settings) -> float:
    for key in ("hidden_dropout_prob", "dropout_prob"):
        if isinstance(config[key], Real) and 0 <= config[key] < 1:
            return float(config[key])
    return 0.0

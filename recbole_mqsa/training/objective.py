"""The loss of a training step, composed as the settings ask, for RecBole's trainers to take as ``loss_func``.

From the inside out: the model's own loss, computed in groups of similar length; plus the terms of ``transition``;
weighted as this rank's part of the joint batch's loss. No method of a model is ever replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Union

import torch
from recbole.utils import ModelType
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import UserError
from ..interfaces import Batch, Model, Settings
from ..model.item_table import ItemTable
from ..model.protocols import NamesItsLosses, has_transition
from ..model.ragged import halved_groups
from ..model.transition import item_embedding_of
from ..parallel import group
from ..parallel.sharding import JointLoss

Loss = Callable[[Batch], Union[Tensor, tuple[Tensor, ...]]]
"""From an interaction to a mean over its rows, or to a tuple of such means that add up to the loss."""


class Objective:
    """What a step minimises, as the parts that add up to it.

    Args:
        model: just built; it is read, not changed.
        config: the settings.
        examples: the number of examples that the model's mean of an interaction runs over.

    Attributes:
        names: the names of the parts, known after the first step; numbers from 1 if the model does not name them.
        is_models_own: whether it is the model's own loss and nothing else.
        steps: how often the loss of a batch was computed.
    """

    def __init__(self, model: Model, config: Settings, examples: Callable[[Batch], int] = len) -> None:
        self.model, self.config, self.examples = model, config, examples
        self.names: list[str] = []
        self.steps = 0
        self.terms = nn.ModuleDict()
        own: Loss = model.calculate_loss
        if isinstance(model, NamesItsLosses):
            own = partial(self._named, model)
        elif has_transition(model):
            self.terms = model.transition
        self.groups = config["length_groups"] or 1 if config["device"].type == "cpu" else 1
        self.is_models_own = not self.terms and self.groups == 1 and group.size() == 1
        self._own = self.around(own)

    def __call__(self, interaction: Batch) -> tuple[Tensor, ...]:
        """The parts of the loss of a batch."""
        return self._own(interaction)

    def around(self, loss: Loss) -> Callable[[Batch], tuple[Tensor, ...]]:
        """The same composition around another loss of the model, such as that of one phase of its trainer."""
        if self.groups > 1:  # on a GPU padding costs less than reading the lengths of a batch
            loss = _InGroups(loss, self.groups, self.config)  # type: ignore[arg-type] # one mean, by ModelSpec
        if self.terms:
            loss = _WithTerms(loss, self.terms, self.model, self.config)
        if group.size() > 1:
            loss = JointLoss(loss, self.model, self.config["USER_ID_FIELD"], self.examples)

        def parts(interaction: Batch) -> tuple[Tensor, ...]:
            self.steps += 1
            with parametrize.cached():
                losses = loss(interaction)
            losses = losses if isinstance(losses, tuple) else (losses,)
            if len(self.names) != len(losses):
                self.names = [str(number) for number in range(1, len(losses) + 1)]
            return losses

        return parts

    def _named(self, model: NamesItsLosses, interaction: Batch) -> tuple[Tensor, ...]:
        losses = model.losses(interaction)
        self.names = list(losses)
        return tuple(losses.values())


class _InGroups:
    """A loss computed in groups of similar length, without most of a batch's padding.

    RecBole pads every prefix to the maximum length, 50 columns where the mean is 8. A state that does not depend on
    later columns is the same without them. The mean over a batch is the sum over its groups of count / total times
    the group's mean.
    """

    def __init__(self, loss: Callable[[Batch], Tensor], groups: int, config: Settings) -> None:
        self.loss, self.groups, self.config = loss, groups, config

    def __call__(self, interaction: Batch) -> Tensor:
        lengths = interaction[self.config["ITEM_LIST_LENGTH_FIELD"]]
        number_of = halved_groups(lengths, int(lengths.max()), self.groups)
        parts = [_cut(interaction[number_of == number], self.config) for number in number_of.unique()]
        counted = [(part, count) for part in parts if (count := examples_in(part, self.config))]
        if not counted:
            return self.loss(interaction)
        total = sum(count for _, count in counted)
        return torch.stack([self.loss(part) * (count / total) for part, count in counted]).sum()


def _cut(part: Batch, config: Settings) -> Batch:
    """Drop the columns that are padding in all rows.

    Input lists are padded on the right. BERT4Rec's lists of masked items are padded on the left, where the index 0
    stands for none.
    """
    width = part[config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]].size(1)
    longest = max(1, int(part[config["ITEM_LIST_LENGTH_FIELD"]].max()))
    masked = [config[field] for field in ("MASK_INDEX", "POS_ITEMS", "NEG_ITEMS") if config[field] in part]
    for name in set(part.columns) - set(masked):
        if part[name].dim() == 2 and part[name].size(1) == width:
            part.interaction[name] = part[name][:, :longest].contiguous()
    if masked:
        most = max(1, int((part[config["MASK_INDEX"]] > 0).sum(1).max()))
        for name in masked:
            part.interaction[name] = part[name][:, -most:].contiguous()
    return part


def examples_in(batch: Batch, config: Settings) -> int:
    """What RecBole's losses of a batch are a mean over: BERT4Rec's its masked items, the others' its rows."""
    if config["MASK_INDEX"] in batch:
        return int((batch[config["MASK_INDEX"]] > 0).sum())
    return len(batch)


class _WithTerms:
    """A loss and the terms of ``transition``, all of which RecBole's trainers add up.

    TED takes its heads from the last items of the input lists, before any masking, or for general models from the
    positive items. All items of all prefixes would give the oldest items the most weight.
    """

    def __init__(self, loss: Loss, terms: nn.ModuleDict, model: Model, config: Settings) -> None:
        self.loss, self.terms, self.config = loss, terms, config
        self.embedding, self.n_items = item_embedding_of(model, config["transition"]), model.n_items

    def __call__(self, interaction: Batch) -> tuple[Tensor, ...]:
        losses = self.loss(interaction)
        heads = batch_heads(interaction, self.config) if "distillation" in self.terms else None
        weight = self.embedding.weight
        items = ItemTable(weight if len(weight) == self.n_items else weight[: self.n_items])
        terms = (term(items, heads) for term in self.terms.values())
        return (*(losses if isinstance(losses, tuple) else (losses,)), *terms)


def batch_heads(interaction: Batch, config: Settings) -> Tensor:
    """[N] the items of a batch that may be distilled, at most one per row.

    For sequential models the last item of each row's input list, padded on either side; for others the positive
    item.

    Raises:
        UserError: the batch holds no items.
    """
    field, label = config["ITEM_ID_FIELD"], config["LABEL_FIELD"]
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
        item_seq = interaction[field + config["LIST_SUFFIX"]]  # BERT4Rec's masked list is another field
        column = (item_seq != 0).long().cumsum(1).argmax(1, keepdim=True)  # its first maximum
        heads = item_seq.gather(1, column).squeeze(1)
        return heads[heads > 0]
    if field not in interaction:
        raise UserError(
            f"transition 'ted' distils the items of a batch, but {config['model']} trains on batches of users "
            "alone; set transition to none, grareg or ges"
        )
    return interaction[field][interaction[label] > 0] if label in interaction else interaction[field]

"""The loss of a training step, composed of what a run asks for and passed to RecBole's trainers as ``loss_func``.

From the inside out: the model's own loss, computed in groups of similar length, with the terms of ``transition``
added, as this rank's part of the joint batch's loss. No method of a model is ever replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from recbole.utils import ModelType
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import UserError
from ..model.item_table import ItemTable
from ..model.protocols import HasTransition, NamesItsLosses
from ..model.ragged import halved_groups
from ..model.transition import item_embedding_of
from ..parallel import group
from ..parallel.sharding import JointLoss

Loss = Callable[[Any], Any]
"""Takes an interaction, returns a mean over its rows, or a tuple of the parts that add up to the loss."""


class Objective:
    """What a step minimises, in its parts.

    Args:
        model: just built; it is read, not changed.
        config: the settings.
        examples: how many examples the model's mean of an interaction runs over.

    Attributes:
        names: of the parts, once a step was taken; numbers from 1 where the model gives them no names.
        is_plain: whether it is the model's own loss and nothing else.
    """

    def __init__(self, model: Any, config: Any, examples: Callable[[Any], int] = len) -> None:
        self.model, self.config, self.examples = model, config, examples
        self.names: list[str] = []
        self.names_itself = isinstance(model, NamesItsLosses)
        self.terms: Mapping[str, nn.Module] = (
            model.transition if isinstance(model, HasTransition) and not self.names_itself else {}
        )
        self.groups = config["length_groups"] or 1 if config["device"].type == "cpu" else 1
        self.is_plain = not self.terms and self.groups == 1 and group.size() == 1
        self._own = self.around(self._named if self.names_itself else model.calculate_loss)

    def __call__(self, interaction: Any) -> tuple[Tensor, ...]:
        """The parts of the loss of a batch."""
        return self._own(interaction)

    def around(self, loss: Loss) -> Callable[[Any], tuple[Tensor, ...]]:
        """The same composition around another loss of the model, such as one phase's of its trainer."""
        if self.groups > 1:  # on a GPU padding costs less than asking for the lengths of a batch
            loss = _InGroups(loss, self.groups, self.config)
        if self.terms:
            loss = _WithTerms(loss, self.model, self.config)
        if group.size() > 1:
            loss = JointLoss(loss, self.model, self.config["USER_ID_FIELD"], self.examples)

        def parts(interaction: Any) -> tuple[Tensor, ...]:
            with parametrize.cached():
                losses = loss(interaction)
            losses = losses if isinstance(losses, tuple) else (losses,)
            if len(self.names) != len(losses):
                self.names = [str(number) for number in range(1, len(losses) + 1)]
            return losses

        return parts

    def _named(self, interaction: Any) -> tuple[Tensor, ...]:
        losses = self.model.losses(interaction)
        self.names = list(losses)
        return tuple(losses.values())


class _InGroups:
    """A loss computed in groups of similar length, without most of a batch's padding.

    RecBole pads every prefix to the maximum length, 50 columns where the mean is 8. A state that depends on nothing
    after it is the same without the columns after it, and a mean over a batch is the mean over its groups, each
    weighted by what it counts: sum over the groups of count / total * the group's mean.
    """

    def __init__(self, loss: Loss, groups: int, config: Any) -> None:
        self.loss, self.groups, self.config = loss, groups, config

    def __call__(self, interaction: Any) -> Tensor:
        lengths = interaction[self.config["ITEM_LIST_LENGTH_FIELD"]]
        number_of = halved_groups(lengths, int(lengths.max()), self.groups)
        parts = [_cut(interaction[number_of == number], self.config) for number in number_of.unique()]
        counted = [(part, count) for part in parts if (count := _count(part, self.config))]
        if not counted:
            return self.loss(interaction)
        total = sum(count for _, count in counted)
        return torch.stack([self.loss(part) * (count / total) for part, count in counted]).sum()


def _cut(part: Any, config: Any) -> Any:
    """Rows without the columns that are padding in all of them.

    Input lists are padded at the right; what BERT4Rec lists for each masked item at the left, where the
    index 0 stands for none.
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


def _count(part: Any, config: Any) -> int:
    """What the loss is a mean over: masked items, or rows."""
    if config["MASK_INDEX"] in part:
        return int((part[config["MASK_INDEX"]] > 0).sum())
    return len(part)


class _WithTerms:
    """A loss and the terms of ``transition``, all of which RecBole's trainers add up.

    The heads that TED chooses from are the last items of the input lists, as they stand before any masking, or for
    general models the positive items: taking all items of all prefixes would weigh the old ones most.
    """

    def __init__(self, loss: Loss, model: Any, config: Any) -> None:
        self.loss, self.terms, self.config = loss, model.transition, config
        self.embedding, self.n_items = item_embedding_of(model, config["transition"]), model.n_items

    def __call__(self, interaction: Any) -> tuple[Tensor, ...]:
        losses = self.loss(interaction)
        heads = batch_heads(interaction, self.config) if "distillation" in self.terms else None
        weight = self.embedding.weight
        items = ItemTable(weight if len(weight) == self.n_items else weight[: self.n_items])
        terms = (term(items, heads) for term in self.terms.values())
        return (*(losses if isinstance(losses, tuple) else (losses,)), *terms)


def batch_heads(interaction: Any, config: Any) -> Tensor:
    """[N] the items of a batch that may be distilled, one a row at most.

    For sequential models the last item of each row's input list, padded at either side; for others the
    positive item.

    Raises:
        UserError: the batch holds users only.
    """
    field, label = config["ITEM_ID_FIELD"], config["LABEL_FIELD"]
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
        item_seq = interaction[field + config["LIST_SUFFIX"]]  # the masked one of BERT4Rec is another field
        column = (item_seq != 0).long().cumsum(1).argmax(1, keepdim=True)  # the first of the largest sums
        heads = item_seq.gather(1, column).squeeze(1)
        return heads[heads > 0]
    if field not in interaction:
        raise UserError(
            f"transition 'ted' distils the items of a batch, but {config['model']} trains on batches of users "
            "alone; set transition to none, grareg or ges"
        )
    return interaction[field][interaction[label] > 0] if label in interaction else interaction[field]

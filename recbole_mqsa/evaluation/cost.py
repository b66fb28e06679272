"""What a model costs besides time: its parameters, and the operations to score one user."""

from __future__ import annotations

import warnings

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch.utils.flop_counter import FlopCounterMode

from ..interfaces import Batch, Loader, Model


def parameters(model: Model) -> int:
    """The number of learnable numbers."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def scoring_flops(model: Model, eval_data: Loader) -> int | None:
    """Floating-point operations of the matrix products and convolutions that score all items for one user.

    The user's input has the maximum length T, as the cost of a model without padding depends on the length. Not
    counted are what is computed once for all users, such as LightGCN's propagation, elementwise operations (among
    them MQSA-TED's attention, with one query per window, and its pooling) and Fourier transforms. None if the model
    can only score item by item.
    """
    interaction = _longest_input(model, eval_data.collate_fn([0])[0][:1]).to(model.device)
    model.eval()
    counter = FlopCounterMode(display=False)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learnt:  # the counter hooks into gradients even where none are computed
            parameter.requires_grad_(False)
        model.full_sort_predict(interaction)  # fills what the model caches for all users
        # oneDNN runs a recurrent layer as one operation, which the counter does not know; torch runs it as products.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TF32 acceleration", UserWarning)  # caused by the switch itself
            with torch.backends.mkldnn.flags(enabled=False), counter:
                model.full_sort_predict(interaction)
    except NotImplementedError:
        return None
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)
    return counter.get_total_flops()


def _longest_input(model: Model, interaction: Batch) -> Batch:
    """One user's interaction with an input of T items, if the model reads an input list."""
    if isinstance(model, SequentialRecommender):
        length = model.max_seq_length
        items = torch.arange(length) % (model.n_items - 1) + 1
        interaction.interaction[model.ITEM_SEQ] = items[None]
        interaction.interaction[model.ITEM_SEQ_LEN] = torch.tensor([length])
    return interaction

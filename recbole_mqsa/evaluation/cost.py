"""What a model costs besides time: its parameters, and the operations that score one more user."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: torch.nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def scoring_flops(model: Any, eval_data: Any) -> int | None:
    """Floating-point operations of the matrix products and convolutions that score all items for one user.

    The user's input is as long as inputs can be, T items, for models without padding cost as much as they read.
    What is computed once for all users, such as LightGCN's propagation, is not counted, nor are elementwise
    operations (among them MQSA-TED's attention, of one query a window, and its pooling) and Fourier transforms.
    None where the model scores item by item only.
    """
    interaction = _longest_input(model, eval_data.collate_fn([0])[0]).to(model.device)
    model.eval()
    counter = FlopCounterMode(display=False)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learnt:  # the counter watches for gradients even where none are computed
            parameter.requires_grad_(False)
        model.full_sort_predict(interaction)  # fills what a model keeps for all users
        # oneDNN's recurrent layers are one operation that nobody counts; torch's own are products.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TF32 acceleration", UserWarning)  # said by the switch itself
            with torch.backends.mkldnn.flags(enabled=False), counter:
                model.full_sort_predict(interaction)
    except NotImplementedError:
        return None
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)
    return counter.get_total_flops()


def _longest_input(model: Any, interaction: Any) -> Any:
    """The interaction of one user with T items in the place of those that it reads, if the model reads any."""
    if isinstance(model, SequentialRecommender):
        length = model.max_seq_length
        items = torch.arange(length) % (model.n_items - 1) + 1
        interaction.interaction[model.ITEM_SEQ] = items[None]
        interaction.interaction[model.ITEM_SEQ_LEN] = torch.tensor([length])
    return interaction

"""RecBole's models that this package's data path cannot train, each refused with the reason before data is read."""

from __future__ import annotations

import importlib.util

import recbole.data.dataset

from ..errors import UserError
from ..interfaces import Settings
from .spec import is_ours, is_served, needs_only_order

_BY_STAGES = "it is trained in several runs, of which RecBole reports the first, a pre-training, as a result"
_OF_A_GRAPH = "it starts from embeddings of a knowledge graph"

UNABLE = {
    "DIEN": "its input is a sequence of drawn items beside the user's own",
    "FEARec": "it compares each prefix with others before the same target, from a table of all prefixes",
    "GRU4RecKG": _OF_A_GRAPH,
    "KSR": _OF_A_GRAPH,
    "RaCT": _BY_STAGES,
    "S3Rec": _BY_STAGES,
}
"""RecBole's general and sequential models that need more than users, items and their order, or more than one run."""


def refuse_unable(config: Settings) -> None:
    """Refuse a model that cannot run under these settings.

    Raises:
        UserError: with the reason, and where the model does run.
    """
    if is_ours(config.model_class) or not is_served(config):
        return
    model = str(config["model"])
    if (reason := _reason(model, config)) is not None:
        raise UserError(
            f"model '{model}' does not run here: {reason}; use another, or run it with "
            "recbole.quick_start.run_recbole after importing recbole_mqsa"
        )
    if model == "NCL" and importlib.util.find_spec("faiss") is None:
        raise UserError("model 'NCL' needs the package faiss, which is not installed: pip install faiss-cpu")


def _reason(model: str, config: Settings) -> str | None:
    if model in UNABLE:
        return UNABLE[model]
    own = hasattr(recbole.data.dataset, f"{model}Dataset")
    if own or not needs_only_order(config):
        return "it needs more data than users, items and their order"
    return None

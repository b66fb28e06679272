"""The variants that a benchmark compares: models by name, and what a study varies about one model."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence

from ..interfaces import Json
from ..model.registry import MODELS
from .trials import Variant

PAPER = (
    *("Pop", "ItemTransition", "ItemTransition-train", "LightGCN", "FPMC", "Caser", "GRU4Rec"),
    *("SASRec", "SASRec-whole", "BERT4Rec", "BERT4Rec-whole", "FMLPRec", "MQSATED"),
)
"""The models of the paper's main table, with ItemTransition from its table 1, counted with and without the validation
part, and its SASRec and BERT4Rec beside RecBole's."""

ABLATION = (
    Variant("full", "MQSATED", {}),
    Variant("without TED", "MQSATED", {"transition": "none"}),
    Variant("without the long query", "MQSATED", {"query_windows": [1]}),
    Variant("without the short query", "MQSATED", {"query_windows": [3]}),
    Variant("GraReg for TED", "MQSATED", {"transition": "grareg"}),
    Variant("GES for TED", "MQSATED", {"transition": "ges"}),
    Variant("learned alpha", "MQSATED", {"alpha": "learned"}),
    Variant("decay pooling", "MQSATED", {"query_pooling": "decay"}),
    Variant("three windows", "MQSATED", {"query_windows": [1, 2, 4], "alpha": [1 / 3, 1 / 3, 1 / 3]}),
    Variant("time span 2", "MQSATED", {"time_span": 2}),
    Variant("time span 3", "MQSATED", {"time_span": 3}),
)
"""What each part of MQSA-TED contributes; the full model has time span 1."""

_PARTS: dict[str, Json] = {
    "paper": {"preset": "paper"},
    "+ three windows": {"query_windows": [1, 2, 4], "alpha": [0.5, 0.25, 0.25]},
    "+ three distances": {"time_span": 3},
    "+ average": {"ema_decay": 0.998},
    "+ memory": {
        **{"transition_memory": 0.5, "memory_scale": 100.0, "memory_recency": 0.6, "memory_items": 10},
        **{"memory_span": 5, "memory_decay": 0.8},
    },
}


def _climbed(parts: dict[str, Json]) -> Iterator[Variant]:
    settings: Json = {}
    for name, part in parts.items():
        settings = {**settings, **part}
        yield Variant(name, "MQSATED", settings)


LADDER = (*_climbed(_PARTS), Variant("preset=best", "MQSATED", {"preset": "best"}))
"""From the paper's model to ``preset=best`` as it is on Amazon Beauty, part by part; each keeps the former. The last
step is what is left: the fit of the memory, the protocol, and what makes training faster."""


def named_variants(names: Sequence[str]) -> list[Variant]:
    """A variant for each name, which is that of a model, or of a variant in the ``spec`` of one of ours."""
    variants = {
        variant: Variant(variant, name, dict(settings))
        for name, module in MODELS.items()
        for variant, settings in getattr(importlib.import_module(module), name).spec.variants.items()
    }
    return [variants.get(name, Variant(name, name, {})) for name in names]


def swept_variants(model: str, param: str, values: Sequence[object]) -> list[Variant]:
    """A variant of ``model`` for each value of the setting ``param``."""
    return [Variant(f"{param}={value}".replace(" ", ""), model, {param: value}) for value in values]

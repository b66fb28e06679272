"""The models that this package adds to RecBole. To add one, write its module and add a line here."""

from __future__ import annotations

MODELS = {
    "MQSATED": "recbole_mqsa.model.mqsated",
    "BERT4RecWhole": "recbole_mqsa.model.bert4rec",
    "FMLPRec": "recbole_mqsa.model.fmlprec",
    "ItemTransition": "recbole_mqsa.model.counting",
    "Pop": "recbole_mqsa.model.counting",  # in place of RecBole's, which counts an item once a batch
}
"""The module of each model: it has a class of that name, whose ``spec`` says the rest."""

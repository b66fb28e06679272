"""The padded twin: MQSATED's own scores, wherever the padding is and however long the histories are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.models import built

from recbole_mqsa.export.padded import PaddedMQSATED

VARIANTS = [
    {},
    {"query_windows": [1], "n_layers": 1, "n_heads": 4},
    {"query_windows": [2, 5, 12], "alpha": "learned", "n_layers": 3},
    {"query_windows": [1, 4], "alpha": [0.0, 1.0], "query_pooling": "decay", "attention_groups": 3},
    {"transition": "ges"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_scores_are_the_models(home: Path, variant: dict[str, object]) -> None:
    way = str(variant.get("transition", "ted"))
    settings = {key: value for key, value in variant.items() if key != "transition"}
    model = built(home, "MQSATED", way, hidden_size=16, inner_size=32, **settings)[0].eval()
    torch.nn.init.normal_(model.item_embedding.weight.detach()[1:])
    torch.nn.init.normal_(model.position_embedding.weight.detach())
    padded = PaddedMQSATED(model).eval()
    longest = model.max_seq_length
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for length in [1, 2, 3, longest - 1, longest, longest + 3]:
            items = torch.randint(1, model.n_items, (4, length), generator=generator)
            # The model is never given more than its longest; the twin leaves out what is older.
            expected = model.full_sort_predict({"item_id_list": items[:, -longest:]})
            scale = expected.abs().max()
            for padding in ((0, 0), (2, 0), (0, 7), (1, 1)):
                found = padded(torch.nn.functional.pad(items, padding))
                torch.testing.assert_close(found / scale, expected / scale, atol=1e-5, rtol=0)


def test_one_batch_of_many_lengths_and_nobody(home: Path) -> None:
    model = built(home, "MQSATED", "ted", hidden_size=16, inner_size=16)[0].eval()
    items = torch.tensor([[0, 0, 0, 0], [5, 0, 0, 0], [0, 0, 3, 4], [1, 2, 3, 4]])
    with torch.no_grad():
        expected = model.full_sort_predict({"item_id_list": items})
        torch.testing.assert_close(PaddedMQSATED(model)(items), expected, atol=1e-6, rtol=0)
        assert not expected[0].any()

"""What an exported model adds to the scores: the newest items, and the transition memory, against the slow ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from helpers.models import built

from recbole_mqsa.export.scoring import Scoring, newest
from recbole_mqsa.model.memory import memory_of


def test_newest_items_lie_at_the_left() -> None:
    item_seq = torch.tensor([[1, 2, 3, 4], [0, 5, 6, 0], [0, 0, 0, 7], [0, 0, 0, 0]])
    items, length = newest(item_seq, 3)
    assert items.tolist() == [[2, 3, 4], [5, 6, 0], [7, 0, 0], [0, 0, 0]] and length.tolist() == [3, 2, 1, 0]
    items, length = newest(item_seq, 6)
    assert items[0].tolist() == [1, 2, 3, 4, 0, 0] and length.tolist() == [4, 2, 1, 0]


def test_the_memory_adds_what_it_adds_for_strangers(home: Path) -> None:
    numbers = {"transition_memory": 0.7, "memory_items": 3, "memory_recency": 0.5, "memory_scale": 50.0}
    model = built(home, "MQSATED", "ted", hidden_size=16, inner_size=16, **numbers)[0].eval()
    memory = memory_of(model)
    assert memory is not None
    people = [[4], [4, 4, 9], [1, 2, 3, 4, 5], [7, 7]]
    lengths = np.array([len(one) for one in people])
    ends = lengths.cumsum()
    bonus = memory.after(ends - lengths, ends, None, np.concatenate(people))
    padded = torch.tensor([[0] * (6 - len(one)) + one for one in people])
    with torch.no_grad():
        expected = model.full_sort_predict({"item_id_list": padded})
        expected[bonus.rows, bonus.items] += bonus.values
        found = Scoring(model)(padded)
    torch.testing.assert_close(found[:, 1:], expected[:, 1:], atol=1e-5, rtol=0)
    assert (found[:, 0] == -torch.inf).all() and bonus.values.max() > 0.5

"""Targets that no list can hold, as the user has had them: counted against a loop."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_mqsa.training.build import build_dataset, build_loaders

PEOPLE = {"ann": "a b c a", "bob": "b c b d", "cid": "a a a a a", "dan": "d b a c e", "eve": "f g h i j"}


@pytest.mark.parametrize("model", ["MQSATED", "BPR"])
def test_repeat_targets(toy: Any, model: str) -> None:
    config = toy(PEOPLE, model)
    _, valid, test = build_loaders(config, build_dataset(config))
    for loader, place in ((valid, -2), (test, -1)):
        items = [one.split() for one in PEOPLE.values()]
        assert loader._dataset.repeat_targets() == sum(one[place] in one[:place] for one in items)

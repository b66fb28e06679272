"""Splits by group, against RecBole's loops."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from recbole.data.dataset import Dataset

from recbole_mqsa.data.split import by_ratio, leave_one_out

RECBOLE = Dataset.__new__(Dataset)
KEYS = {
    "mixed": np.random.default_rng(0).geometric(0.05, 300),
    "sizes 1 to 4": np.repeat([9, 2, 5, 1], [1, 2, 3, 4]),
    "backwards": np.array([3, 3, 2, 1, 2, 3, 1, 1, 1]),
    "one": np.array([7]),
    "none": np.array([], dtype=int),
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("n_left", [1, 2])
def test_leave_one_out(keys, n_left):
    expected = RECBOLE._split_index_by_leave_one_out(RECBOLE._grouped_index(keys), n_left)
    assert [part.tolist() for part in leave_one_out(keys, n_left)] == expected


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("ratios", [[0.8, 0.1, 0.1], [0.5, 0.5], [0.34, 0.33, 0.33], [0, 0.5, 0.5], [1.0]])
def test_by_ratio(keys, ratios):
    cut = partial(RECBOLE._calcu_split_ids, ratios=ratios)
    expected: list[list[int]] = [[] for _ in ratios]
    for group in RECBOLE._grouped_index(keys):
        cuts = [0, *cut(len(group)), len(group)]
        for part, begin, end in zip(expected, cuts, cuts[1:]):
            part += group[begin:end]
    assert [part.tolist() for part in by_ratio(keys, len(ratios), cut)] == expected

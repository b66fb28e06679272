"""Trials and their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.trials import Variant, trials_of

VARIANTS = [Variant("one", "Pop", {}), Variant("two", "Pop", {"topk": [5, 20]})]


def test_a_trial_for_each_data_set_variant_and_seed(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, VARIANTS, ["a", "b"], [1, 2])
    named = [(trial.dataset, trial.variant.name, trial.seed) for trial in trials]
    assert named[:3] == [("a", "one", 1), ("a", "one", 2), ("a", "two", 1)] and len(set(named)) == 8
    assert trials[2].folder == tmp_path / "cells" / "a" / "two" / "seed-1"


@pytest.mark.parametrize(
    ("variants", "datasets", "seeds", "says"),
    [
        ([Variant("a/b", "Pop", {})], ["data"], [1], "variant 'a/b'"),
        ([Variant("..", "Pop", {})], ["data"], [1], r"variant '\.\.'"),
        (VARIANTS, ["data", "data"], [1], "data set 'data' is named twice"),
        (VARIANTS, ["data"], [1, 1], "seed '1' is named twice"),
        ([], ["data"], [1], "at least one variant"),
    ],
)
def test_trials_need_folders_of_their_own(
    tmp_path: Path, variants: Any, datasets: Any, seeds: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        trials_of(tmp_path, variants, datasets, seeds)

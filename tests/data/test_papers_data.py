"""The paper's data sets are read as RecBole reads them."""

from __future__ import annotations

import pytest
from helpers.paths import SHARED
from helpers.same_data import assert_accounted, assert_same_parts, assert_same_samples, assert_same_table
from helpers.slow_reader import RecBolesReading
from recbole.data.dataset import SequentialDataset

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.settings.config import Config


@pytest.mark.parametrize("name", ["amazon-beauty", "amazon-sports-outdoors", "amazon-toys-games", "yelp"])
def test_the_papers_data(name):
    """RecBole's float32 holds their times, so that the exact order is the same."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"the paper's data are not in {SHARED / name}")
    config = Config("MQSATED", name, config_dict={"data_path": str(SHARED)})
    ours, theirs = SequenceDataset(config), SequentialDataset(config)
    assert_same_table(ours, theirs)
    assert_accounted(ours)
    parts = ours.build()
    assert_same_samples(parts, theirs.build())
    if name in ("amazon-beauty", "yelp"):
        assert_same_parts(parts, RecBolesReading(config).build())

"""The paper's own data and numbers (Zhu et al., WSDM 2024), wherever they depend on no training.

All of it is here, so that each data set is loaded once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import SHARED

from recbole_mqsa.evaluation import slices
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer

Loaders = tuple[Any, Any, Any]
METRICS = ("hit@5", "ndcg@5", "hit@10", "ndcg@10", "hit@20", "ndcg@20")


def config_of(model: str, name: str) -> Config:
    return Config(model, name, config_dict={"data_path": str(SHARED), "checkpoint_dir": "."})


@pytest.fixture(scope="module")
def paper_data() -> Callable[[str], Loaders]:
    """Training, validation and test loaders of a data set."""

    @functools.cache
    def load(name: str) -> Loaders:
        if not (SHARED / name).is_dir():
            pytest.skip(f"the paper's data are not in {SHARED / name}")
        config = config_of("Pop", name)
        return build_loaders(config, build_dataset(config))

    return load


def evaluated(loaders: Loaders, model: str) -> Any:
    """A trainer after its test, and the metrics."""
    train, _, test = loaders
    config = config_of(model, train._dataset.dataset_name)
    trainer = build_trainer(config, build_model(config, train._dataset))
    return trainer, trainer.evaluate(test, load_best_model=False)


# The main table's row of popularity.
POP = {
    "amazon-beauty": [0.0077, 0.0042, 0.0135, 0.0061, 0.0217, 0.0081],
    "amazon-sports-outdoors": [0.0057, 0.0041, 0.0091, 0.0052, 0.0175, 0.0073],
    "amazon-toys-games": [0.0065, 0.0044, 0.0090, 0.0052, 0.0143, 0.0065],
    "yelp": [0.0056, 0.0036, 0.0096, 0.0049, 0.0158, 0.0065],
}


@pytest.mark.parametrize("name", POP)
def test_popularity_has_the_papers_row(paper_data: Any, name: str) -> None:
    _, result = evaluated(paper_data(name), "Pop")
    assert [round(float(result[metric]), 4) for metric in METRICS] == POP[name]


# Table 1: samples, and NDCG@20 of its "Item Trans.".
TABLE = {
    "amazon-beauty": {"0": (20446, 0.0081), ">0": (1917, 0.5520), "all": (22363, 0.0547)},
    "amazon-sports-outdoors": {"0": (33778, 0.0045), ">0": (1820, 0.4772), "all": (35598, 0.0287)},
}


@pytest.mark.parametrize("name", TABLE)
def test_transitions_have_the_papers_table(paper_data: Any, name: str) -> None:
    train, _, test = paper_data(name)
    trainer, result = evaluated((train, None, test), "ItemTransition")
    counts = train._dataset.transition_counts(longest=slices.LONGEST)
    frequency = slices.transition_frequency(counts, test._dataset)
    found = slices.by_transition_frequency(trainer.config, frequency, trainer.eval_collector.ranks)
    for slice_, (samples, ndcg) in TABLE[name].items():
        assert found[slice_]["samples"] == samples
        assert found[slice_]["ndcg@20"] == pytest.approx(ndcg, abs=0.0005)
    assert result["ndcg@20"] == pytest.approx(TABLE[name]["all"][1], abs=2e-4)


def test_beauty_has_the_papers_number_of_pairs(paper_data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    train = paper_data("amazon-beauty")[0]._dataset
    assert train.transition_counts().sum() == 127_895
    begin, end = train.training_sequences()
    assert (end - begin).sum() == 127_895 and (end - begin).max() == 49
    monkeypatch.setitem(train.config.final_config_dict, "long_sequences", "windows")
    assert train.transition_counts().sum() == 131_413
    begin, end = train.training_sequences()
    assert (end - begin).sum() == 131_413 == len(train)


def test_all_models_see_the_same_test_items(paper_data: Any) -> None:
    """Beauty, whole: RecBole's general and sequential data paths and ours agree on every user's test item."""
    _, _, ours = paper_data("amazon-beauty")
    expected = ours._dataset.inter_feat
    for model in ("LightGCN", "SASRec"):
        config = config_of(model, "amazon-beauty")
        _, _, test = build_loaders(config, build_dataset(config))
        found = test._dataset.inter_feat
        assert torch.equal(found["user_id"], expected["user_id"])
        assert torch.equal(found["item_id"], expected["item_id"])
        index = np.arange(0, len(found["user_id"]), 97)
        assert all(map(torch.equal, test.seen_index(index), ours.seen_index(index)))


def test_the_five_core_is_found_in_a_raw_download(tmp_path: Path) -> None:
    """Ratings as RecBole's hub has them, with users and items of too few actions around the 5-core of Beauty."""
    source = SHARED / "amazon-beauty" / "amazon-beauty.inter"
    if not source.is_file():
        pytest.skip(f"needs {source}")
    core = [line.split("\t") for line in source.read_text().splitlines()[1:]]
    lines = [f"U{user}\tI{item}\t{int(time) % 5 + 1}\t{1000 + int(time)}" for user, item, time in core]
    # Chains of users with four actions: on items of the core, and on items that only they have.
    for user in range(3000):
        lines += [f"few{user}\tI{(user * 7 + n) % 12101 + 1}\t5\t{n}" for n in range(3)]
        lines.append(f"few{user}\trare{user // 3}\t1\t9")
    folder = tmp_path / "amazon-beauty"
    folder.mkdir()
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "amazon-beauty.inter").write_text("\n".join([header, *lines]) + "\n")
    dataset = build_dataset(Config("MQSATED", "amazon-beauty", config_dict={"data_path": str(tmp_path)}))
    assert (dataset.user_num - 1, dataset.item_num - 1, dataset.inter_num) == (22363, 12101, 198502)

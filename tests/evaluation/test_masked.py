"""Targets among the seen items: counted, and refused where there are no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from recbole_mqsa.errors import UserError
from recbole_mqsa.evaluation import masked
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_dataset, build_loaders
from recbole_mqsa.training.run import run


def loaders_of(name: str, model: str = "Pop", **more: object) -> Any:
    settings = {"data_path": str(ROOT / "tests" / "cases"), "load_col": None, **more}
    config = Config(model, name, config_dict=settings)
    return build_loaders(config, build_dataset(config))


@pytest.mark.parametrize("block", [1, 7, masked.ACTIONS])
@pytest.mark.parametrize("name", ["repeats", "tiny", "oneitem", "dup"])
def test_they_are_those_in_the_history(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "ACTIONS", block if name in ("repeats", "tiny") else masked.ACTIONS)
    for loader in loaders_of(name)[1:]:
        data, found = loader._dataset, masked.masked_targets(loader)
        for sample in range(0, len(data), 7):
            begin, end = data.history(slice(sample, sample + 1))
            seen = data.sequences.items[begin[0] : end[0]]
            assert found[sample] == (data.sequences.items[end[0]] in seen)


@pytest.mark.parametrize("name", ["dup", "oneitem", "repeats"])
def test_a_part_without_any_other_target_is_refused(name: str, tmp_path: Path) -> None:
    _, valid, test = loaders_of(name)
    with pytest.raises(UserError, match="every target of the validation part is masked: each of its "):
        masked.tell_of_masked(valid, test)
    masked.tell_of_masked(*loaders_of(name, mask_seen=False)[1:])
    with pytest.raises(UserError, match="set mask_seen to False, or rm_dup_inter to 'first'"):
        run(valid.config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_some_are_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    _, valid, test = loaders_of("tiny")
    masked.tell_of_masked(valid, test)
    counts = [int(masked.masked_targets(loader).sum()) for loader in (valid, test)]
    assert all(0 < count < len(loader._dataset) for count, loader in zip(counts, (valid, test)))
    assert [text.partition(" ")[0] for text in caplog.messages] == [str(count) for count in counts]

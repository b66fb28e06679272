"""A process alone, and one that should not be; what several exchange is in ``test_sharding.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.ranks import config, write_walk

from recbole_mqsa.errors import UserError
from recbole_mqsa.parallel import group
from recbole_mqsa.training.run import run


def test_a_process_alone_gets_back_what_it_gives() -> None:
    rows = torch.rand(3, 2)
    assert group.gather_in_order(rows) is rows
    assert group.sum_over_ranks([1.5]) == [1.5]
    assert group.from_main(lambda: "made") == "made"
    assert list(group.own_span(4)) == [0, 1, 2, 3]
    assert (group.size(), group.rank(), group.is_main()) == (1, 0, True)


def test_a_place_needs_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "somewhere",
    }
    for name, value in here.items():
        assert group.place() is None
        monkeypatch.setenv(name, value)
    assert group.place() == group.Place(rank=5, world_size=8, local_rank=1, nproc=4)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert group.place() is None


def test_nproc_without_processes_is_refused(tmp_path: Path) -> None:
    write_walk(tmp_path)
    with pytest.raises(UserError, match="nproc is 2, but this is one process"):
        run(config(tmp_path, "MQSATED", nproc=2), tmp_path / "run")
    with pytest.raises(UserError, match="nproc is 0; it has to be a whole number of at least 1"):
        config(tmp_path, "MQSATED", nproc=0)

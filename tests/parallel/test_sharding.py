"""Several processes: the gradients, losses, metrics and weights of one, and a resumed run that repeats the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.ranks import CASES, N_USERS, SPANS, in_three_processes, one_epoch, write_walk
from helpers.runs import without_seconds

from recbole_mqsa.parallel.launch import spawn

Ranks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    write_walk(folder)
    return folder


@pytest.fixture(scope="module")
def written(walk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all that several processes have done."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(in_three_processes, 3, walk, folder)
    return folder


@pytest.fixture(scope="module", params=[2, 3])
def ranks(written: Path, request: pytest.FixtureRequest) -> Ranks:
    """What each rank knows after an epoch of each case."""
    return [torch.load(written / f"{rank}-of-{request.param}.pt") for rank in range(request.param)]


@pytest.fixture(scope="module")
def alone(walk: Path) -> dict[str, dict[str, Any]]:
    return {case: one_epoch(walk, case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_losses_are_those_of_one_process(ranks: Ranks, alone: Any, case: str) -> None:
    ours, theirs = ranks[0][case], alone[case]
    assert len(ours["steps"]) > 1  # [steps, numbers], NaN where a weight has no gradient
    torch.testing.assert_close(ours["steps"], theirs["steps"], rtol=0, atol=1e-5, equal_nan=True)
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)


def test_in_small_batches_some_ranks_have_nothing(ranks: Ranks) -> None:
    of = [rank["batches in which some have nothing"] for rank in ranks]
    assert any(rank["own batches"] < len(rank["steps"]) for rank in of)


@pytest.mark.parametrize("case", CASES)
def test_all_ranks_end_with_the_same_weights(ranks: Ranks, case: str) -> None:
    first, *others = ranks
    for other in others:
        assert torch.equal(first[case]["weights"], other[case]["weights"])


@pytest.mark.parametrize("case", ["large batches", "RecBole's model"])
def test_metrics_are_those_of_one_process_on_every_rank(ranks: Ranks, alone: Any, case: str) -> None:
    assert len(alone[case]["ranks"]) == N_USERS
    assert len(alone[case]["metrics"]) > 10
    for rank in ranks:
        assert torch.equal(rank[case]["ranks"], alone[case]["ranks"])
        assert rank[case]["metrics"] == pytest.approx(alone[case]["metrics"], abs=1e-9)


@pytest.mark.parametrize("count", SPANS)
def test_spans_are_the_whole_in_order(ranks: Ranks, count: int) -> None:
    parts = [rank["spans"][count] for rank in ranks]
    assert [row for part in parts for row in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_resumed_run_repeats_the_whole_one(written: Path) -> None:
    """Of two processes."""
    assert without_seconds(written / "broken") == without_seconds(written / "whole")

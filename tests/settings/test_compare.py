"""In what two runs differ: settings that change results, under the names that a user knows."""

from __future__ import annotations

import pytest

from recbole_mqsa.settings.compare import differing, differing_refit


def test_where_a_run_computes_makes_no_difference() -> None:
    assert differing({"tau": 0.1, "device": "cpu", "new": 1}, {"tau": 0.1, "device": "cuda"}) == []
    assert differing({"tau": 0.1, "world_size": 1}, {"tau": 0.2, "world_size": 2}) == ["tau", "nproc"]


RUN = {"best_epoch": 3, "settings": {"epochs": 20, "tau": 0.1, "transition_memory": 0.5, "memory_fit": True}}


@pytest.mark.parametrize(
    ("fitted", "settings", "other"),
    [
        (None, {}, []),
        (None, {"tau": 0.2}, ["tau"]),
        (None, {"epochs": 5}, ["epochs"]),
        (None, {"transition_memory": 8.0}, ["transition_memory"]),
        (8.0, {"transition_memory": 8.0}, []),
        (8.0, {}, ["transition_memory"]),
    ],
)
def test_a_refit_has_its_runs_settings_and_the_memory_that_it_fitted(
    fitted: float | None, settings: dict[str, object], other: list[str]
) -> None:
    run = RUN if fitted is None else {**RUN, "memory": {"chosen": {"transition_memory": fitted}}}
    refit = {"settings": {**RUN["settings"], "epochs": 4, "memory_fit": False, **settings}}  # type: ignore[dict-item]
    assert differing_refit(run, refit) == other

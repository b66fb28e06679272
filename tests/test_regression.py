"""Short runs give the numbers that were recorded before the package was restructured (``helpers/regression.py``).

On the recorded processor and torch they are equal to the last digit. Elsewhere sums run in another order, and the
large products may be in float32 rather than bfloat16: the same draws then lead to losses that differ by less than
1 %, and ranks of some users that differ. What only counts is equal anywhere.

A few runs are made by default, all of them with RECBOLE_MQSA_REGRESSION=all in the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.paths import FIXTURES
from helpers.regression import CASES, command, machine, numbers

from recbole_mqsa.cli.main import main

RECORDED = json.loads((FIXTURES / "regression.json").read_text())
QUICK = ("MQSATED", "SASRec-ted", "Pop", "MQSATED-2")
CHOSEN = tuple(CASES) if os.environ.get("RECBOLE_MQSA_REGRESSION") == "all" else QUICK
COUNTED = ("parameters", "flops", "users", "epochs_run")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As recorded, in the processes that a run starts as well."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses(found: dict[str, Any]) -> list[float]:
    """Every loss of every epoch."""
    return [float(value) for row in found["epochs"] for key, value in row.items() if key.startswith("loss")]


@pytest.mark.parametrize("name", CHOSEN)
def test_the_numbers_are_those_recorded(name: str, tmp_path: Path) -> None:
    _, module, *words = command(CASES[name], tmp_path / "run")[1:]
    assert module == "recbole_mqsa" and main(words) == 0
    found, recorded = numbers(tmp_path / "run"), RECORDED["runs"][name]
    if machine() == RECORDED["machine"] or name in ("Pop", "ItemTransition"):
        assert found == recorded
    assert [found[key] for key in COUNTED] == [recorded[key] for key in COUNTED]
    assert losses(found) == pytest.approx(losses(recorded), rel=1e-2)


def test_every_run_is_recorded() -> None:
    assert set(RECORDED["runs"]) == set(CASES) and set(QUICK) < set(CASES)

"""Each of RecBole's models runs or is refused in one sentence, as ``docs/recbole_models.md`` says.

``helpers/sweep.py`` makes the page. Some of its lines are made again by default, all of them with
RECBOLE_MQSA_SWEEP=all in the environment.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from helpers import sweep

import recbole_mqsa
from recbole_mqsa.errors import UserError

QUICK = ("DGCF", "EASE", "FDSA", "GRU4RecCPR", "Random", "SLIMElastic")
"""A model of each kind that needs care, beside those that are refused at once."""
AT_ONCE = ("DIEN", "FEARec", "GRU4RecKG", "KSR", "NCL", "RaCT", "S3Rec")
WHOLE = os.environ.get("RECBOLE_MQSA_SWEEP") == "all"
CHOSEN = [case for case in sweep.cases() if WHOLE or case[0] in (*QUICK, *AT_ONCE)]
LINES = sweep.PAGE.read_text(encoding="utf-8").splitlines() if sweep.PAGE.exists() else []


@pytest.mark.parametrize(("model", "more"), CHOSEN, ids=str)
def test_the_page_says_what_happens(model: str, more: dict[str, Any], tmp_path: Path) -> None:
    if model == "NCL" and importlib.util.find_spec("faiss"):
        pytest.skip("faiss is installed, without which the page was made")
    says = sweep.outcome(model, more, tmp_path / "run")
    assert sweep.row(model, sweep.models()[model], more, says) in LINES
    assert says != sweep.DIFFERENT and "RecBole's code fails" not in says
    finished = says.startswith(sweep.RUNS)
    assert (tmp_path / "run").exists() == finished  # a refused run leaves nothing


def test_the_page_has_a_line_for_every_case() -> None:
    rows = [line for line in LINES if line.startswith("| `")]
    assert sweep.page(rows, len(sweep.models())).splitlines() == LINES
    starts = [sweep.row(model, sweep.models()[model], more, "")[:-3] for model, more in sweep.cases()]
    assert len(rows) == len(starts) and all(row.startswith(start) for row, start in zip(rows, starts))


@pytest.mark.parametrize("model", AT_ONCE)
def test_what_cannot_run_is_refused_before_data_is_read(model: str, tmp_path: Path) -> None:
    if model == "NCL" and importlib.util.find_spec("faiss"):
        pytest.skip("faiss is installed")
    with pytest.raises(UserError, match=f"model '{model}' (does not run here: it|needs the package faiss)"):
        recbole_mqsa.train(model, "nowhere", tmp_path / "run", data_path="nowhere")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", ["FM", "KGAT"])
def test_models_of_features_and_graphs_are_refused_for_their_data(model: str) -> None:
    with pytest.raises(UserError, match=f"'{model}' does not run here: it needs more data than users, items"):
        recbole_mqsa.train(model, "nowhere")

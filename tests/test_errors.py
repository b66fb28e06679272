"""Each bad input of ``docs/errors.md`` ends in its sentence, with exit code 2 and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.bad_inputs import CASES, PAGE, Bad, page, row, said, sentence

LINES = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: f"{bad.kind}: {bad.shown}")
def test_a_bad_input_ends_in_its_sentence(bad: Bad, tmp_path: Path) -> None:
    here = tmp_path / "here"
    code, text = said(bad, here)
    assert code == 2
    assert row(bad, sentence(text)) in LINES
    if "--resume" in bad.words:  # what an interrupted run has is kept
        return
    given = {name for name, _ in bad.files}
    left = {file.relative_to(here).as_posix() for file in here.rglob("*") if file.is_file()}
    assert left - {"run/.lock", "run/run.log"} <= given | {"bad/bad.inter"}


def test_the_page_holds_these_cases() -> None:
    rows = [line for line in LINES if line.startswith("| ")][2:]
    assert page(rows).splitlines() == LINES
    assert len(rows) == len(CASES) >= 100


def test_what_is_no_mistake_ends_in_no_sentence(tmp_path: Path) -> None:
    assert said(Bad("good"), tmp_path / "here") == (0, "")

"""A study as a whole: checked before it runs, foretold, run and reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.chain import write_chain

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.study import Study
from recbole_mqsa.experiments.trials import Variant


def study(home: Path, **settings: object) -> Study:
    return Study(
        home / "out", [Variant("Pop", "Pop", {})], ["chain"], [1], {"data_path": str(home), **settings}
    )


def test_it_is_foretold_run_once_and_reported(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.8)
    once = study(tmp_path)
    once.check()
    assert list(once.outlook()) == ["chain  Pop  seed 1  time unknown", "1 left, time unknown"]
    assert not (tmp_path / "out").exists()

    said: list[str] = []
    assert once.run(said.append)
    assert [line.split()[4:6] for line in said[:2]] == [["1", "running"], ["1", "done"]]
    assert said[2:] == [f"the report is {tmp_path / 'out' / 'report.html'}"]
    assert (tmp_path / "out" / "report.html").exists()

    again = study(tmp_path)
    assert list(again.outlook()) == ["chain  Pop  seed 1  finished", "nothing left"]
    assert again.run(said.append) and len(said) == 4  # the report alone


def test_a_failed_run_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    assert not study(tmp_path).run(said.append)  # there are no data
    assert "FAILED" in said[1] and "chain" in (tmp_path / "out" / "report.md").read_text()


def test_bad_settings_and_a_file_in_the_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="variant 'Pop' on chain: seed is -1"):
        Study(tmp_path / "out", [Variant("Pop", "Pop", {})], ["chain"], [-1]).check()
    with pytest.raises(UserError, match="unknown setting 'xyzzy'"):
        study(tmp_path, xyzzy=1).check()
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="out is a file; name a folder"):
        study(tmp_path).check()

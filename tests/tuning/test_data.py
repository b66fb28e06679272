"""Of which data a search is."""

from __future__ import annotations

from pathlib import Path

from recbole_mqsa.tuning.data import fingerprint


def test_a_fingerprint_is_of_the_files_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    given = {"data_path": str(tmp_path)}
    assert fingerprint("d", given) is None
    (tmp_path / "d" / "d.inter").write_text("a")
    first = fingerprint("d", given)
    (tmp_path / "d" / "d.zip").write_text("b")
    assert fingerprint("d", given) == first is not None
    (tmp_path / "d" / "d.inter").write_text("c")
    assert fingerprint("d", given) != first

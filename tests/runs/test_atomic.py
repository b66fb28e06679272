"""Files that are whole or as they were, and folders that one holder has at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs import atomic
from recbole_mqsa.runs.atomic import locked, wait_until_free, write_text, write_whole


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_text(file, "first")

    def break_off(draft: Path) -> None:
        assert draft.parent == tmp_path and file.read_text() == "first"
        draft.write_text("half of the sec")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(file, break_off)
    assert file.read_text() == "first"
    write_text(file, "second é")
    assert file.read_text("utf-8") == "second é"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_holder_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "another benchmark"),
        pytest.raises(UserError, match="is being written by another benchmark; wait for it, or name another"),
        locked(tmp_path, "another benchmark"),
    ):
        pytest.fail("both hold it")
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "another benchmark"):
        raise ZeroDivisionError
    with locked(tmp_path, "another benchmark"):
        pass


def test_a_folder_is_waited_for_until_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until_free(tmp_path / "none")
    with locked(tmp_path, "me"):
        monkeypatch.setattr(atomic, "PATIENCE", 0.1)
        with pytest.raises(UserError, match="is still being written by another process"):
            wait_until_free(tmp_path)
        monkeypatch.setattr(atomic, "PATIENCE", 60.0)
        answers = iter([False, True])
        monkeypatch.setattr(atomic, "_is_free", lambda folder: next(answers))
        wait_until_free(tmp_path)

"""A file brings data and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs.checkpoints import safe_load


class Danger:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_safe_load_says_in_a_sentence_why_not(tmp_path: Path) -> None:
    good, unsafe, cut, foreign = (tmp_path / name for name in ("good", "unsafe", "cut", "foreign"))
    torch.save({"weights": torch.arange(3)}, good)
    assert safe_load(good)["weights"].tolist() == [0, 1, 2]
    torch.save({"config": Danger(tmp_path / "made")}, unsafe)
    cut.write_bytes(good.read_bytes()[:-200])
    foreign.write_text("hello")
    for file, reason in (
        (tmp_path / "none", "No such file"),
        (unsafe, "holds Python objects"),
        (cut, "is damaged or not a checkpoint"),
        (foreign, "is damaged or not a checkpoint"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            safe_load(file)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()

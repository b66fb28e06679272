"""Literals, plain values and safe checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

SPELLED = "__import__('os').getcwd()"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("+3", 3),
        ("0.5", 0.5),
        (" [1, 3] ", [1, 3]),
        ("{'valid': 'full'}", {"valid": "full"}),
        ("(1, 2)", (1, 2)),
        ("TRUE", True),
        ("false", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("'1'", "1"),
        ("[Hit, NDCG]", ["Hit", "NDCG"]),
        ("[NDCG@5]", ["NDCG@5"]),
        ("[ a, 2, true ]", ["a", 2, True]),
    ],
)
def test_a_literal_is_read(text: str, value: object) -> None:
    from recbole_mqsa.settings.literals import literal

    assert literal(text) == value and type(literal(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        SPELLED,
        "max(1, 2)",
        "1 + 1",
        "sum",
        "2019-2-1",
        "007",
        "[",
        "[a, b",
        "[sum(1), 2]",
        "[a,, b]",
        "",
        "\t",
        "b'x'",
        "{1, 2}",
        "1j",
        "...",
        "(" * 999,
    ],
)
def test_anything_else_stays_the_string(text: str) -> None:
    from recbole_mqsa.settings.literals import literal

    assert literal(text) == text


def test_plain_keeps_data_and_leaves_out_the_rest() -> None:
    import numpy as np
    import torch

    from recbole_mqsa.runs.plain import plain

    given = {
        "device": torch.device("cpu"),
        "score": np.float64(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "windows": (1, np.int32(3)),
        "array": np.ones((1, 2)),
        "path": Path("a"),
        "none": None,
        "nested": {"function": print, 2: "two"},
        "list": [print],
    }
    expected = {
        "device": "cpu",
        "score": 0.5,
        "count": 3,
        "flag": True,
        "windows": [1, 3],
        "array": [[1.0, 1.0]],
        "path": "a",
        "none": None,
        "nested": {2: "two"},
    }
    assert plain(given) == expected
    assert [type(value) for value in plain(given).values()] == [type(value) for value in expected.values()]
    with pytest.raises(TypeError, match="has no plain form"):
        plain(print)


class Danger:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_safe_load_says_in_a_sentence_why_not(tmp_path: Path) -> None:
    import torch

    from recbole_mqsa.errors import UserError
    from recbole_mqsa.runs.checkpoints import safe_load

    good, unsafe, cut, foreign = (tmp_path / name for name in ("good", "unsafe", "cut", "foreign"))
    torch.save({"weights": torch.arange(3)}, good)
    assert safe_load(good)["weights"].tolist() == [0, 1, 2]
    torch.save({"config": Danger(tmp_path / "made")}, unsafe)
    cut.write_bytes(good.read_bytes()[:-200])
    foreign.write_text("hello")
    for file, reason in (
        (tmp_path / "none", "No such file"),
        (unsafe, "holds Python objects"),
        (cut, "is damaged or no checkpoint"),
        (foreign, "is damaged or no checkpoint"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            safe_load(file)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()

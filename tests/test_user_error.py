"""A UserError is one line that a terminal can show, whatever it quotes."""

from __future__ import annotations

import pickle

import pytest

from recbole_mqsa.errors import UnknownSetting, UserError


@pytest.mark.parametrize("kind", [UserError, UnknownSetting])
def test_what_does_not_print_is_escaped(kind: type[UserError]) -> None:
    error = kind("a\nb\tc\0d\x1b[31m\u2028é 雪")
    assert str(error) == "a b\\tc\\x00d\\x1b[31m\\u2028é 雪"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)

"""Addresses of storages: which are refused, and that a password is nowhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from helpers.postgres import free_port

from recbole_mqsa.errors import UserError
from recbole_mqsa.tuning import address
from recbole_mqsa.tuning.address import (
    Unreachable,
    check_address,
    handed_over,
    hidden,
    open_address,
    steadily,
    taken_over,
)

pytest.importorskip("optuna")


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql+psycopg2://me:s3cr@et/x@host:5/db", "postgresql+psycopg2://me:***@host:5/db"),
        ("postgresql://:s3cret@host/db", "postgresql://:***@host/db"),
        ("postgresql://me@host/db?password=s3cret&a=b", "postgresql://me@host/db?password=***&a=b"),
        ("postgresql://me@host:5/db", "postgresql://me@host:5/db"),
        ("grpc://host:5", "grpc://host:5"),
        ("--storage=postgresql://me:s3cret@host/db", "--storage=postgresql://me:***@host/db"),
        ("runs/a@b", "runs/a@b"),
    ],
)
def test_passwords_are_hidden(url: str, seen: str) -> None:
    assert hidden(url) == seen


def test_a_trial_gets_the_address_but_its_command_line_has_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(address.ADDRESS, raising=False)
    place = "postgresql://me:s3cret@host/db#x"
    word = handed_over(place)
    assert "s3cret" not in word and taken_over(word) == place
    assert handed_over("a/study.journal") == taken_over("a/study.journal") == "a/study.journal"
    del os.environ[address.ADDRESS]


def test_the_page_of_a_search_has_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers.toy_trial import toy_plan

    from recbole_mqsa.tuning.record import Tried
    from recbole_mqsa.tuning.report import Found, facts

    monkeypatch.setattr(sys, "argv", ["recbole-mqsa", "tune", "--storage=postgresql://me:s3cret@host/db"])
    trial = Tried(0, "finished", {"learning_rate": 0.1, "tau": 0.1}, 0.5, {1: 0.5}, 0, 1, 1.0)
    shown = facts(Found(tmp_path, toy_plan(), [trial], {}, 0))["command"]
    assert shown == ["recbole-mqsa", "tune", "--storage=postgresql://me:***@host/db"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("here", "'here' is no address; name one like postgresql://"),
        ("redis://host", "of an unknown kind, 'redis'"),
        ("mysql://me:s3cret@host/db", "storage mysql://me:\\*\\*\\*@host/db is of an unknown kind"),
        ("grpc://host", "needs a host and a port"),
        ("grpc://host:port", "needs a host and a port"),
        ("postgresql://me:s3#cret@host/db", "write %23 for one"),
    ],
)
def test_what_is_no_address_is_refused(url: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as told:
        check_address(url)
    assert "s3" not in str(told.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "found", lambda module: False)
    with pytest.raises(
        UserError, match=r'needs a package that is not installed: pip install ".\[tune-server\]"'
    ):
        check_address("postgresql://host/db")


def test_what_does_not_answer_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "CONNECT_SECONDS", 0.3)
    port = free_port()
    with pytest.raises(Unreachable, match="does not answer within"):
        open_address(f"grpc://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match=r"cannot be used .*unable to open database file"):
        open_address(f"sqlite:///{tmp_path}/none/study.db")
    pytest.importorskip("psycopg2")
    with pytest.raises(Unreachable, match=r"cannot be used .*[Cc]onnection refused") as told:
        open_address(f"postgresql://me:s3cret@127.0.0.1:{port}/db")
    assert "s3cret" not in str(told.value) and "\n" not in str(told.value)


def test_a_storage_that_comes_back_is_waited_for_and_one_that_stays_away_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from optuna.exceptions import StorageInternalError

    monkeypatch.setattr(address.time, "sleep", lambda _: None)
    answers = iter([StorageInternalError("away"), ConnectionError("away")])

    def action() -> int:
        for error in answers:
            raise error
        return 7

    assert steadily(action, "grpc://h:1#x") == 7
    with pytest.raises(
        Unreachable, match="study 'x' in postgresql://me:\\*\\*\\*@h/d does not answer any more"
    ):
        steadily(lambda: (_ for _ in ()).throw(StorageInternalError("away")), "postgresql://me:pw@h/d#x", 0)
    with pytest.raises(ConnectionError):  # a file is not waited for
        steadily(lambda: (_ for _ in ()).throw(ConnectionError()), "study.journal")

"""Errors inside a run: a sentence for what a user can mend, a traceback for a bug; nothing half-written."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import settings
from recbole.model.general_recommender import BPR

from recbole_mqsa.errors import UserError
from recbole_mqsa.runs.atomic import write_whole
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.faults import explained
from recbole_mqsa.training.run import run


class Failing(BPR):
    """A user's own model with a bug."""

    def calculate_loss(self, interaction: Any) -> Any:
        raise KeyError("my_field")


class TooLarge(BPR):
    """A model that needs more memory than there is."""

    def calculate_loss(self, interaction: Any) -> Any:
        return torch.zeros(1 << 50)


def config_of(home: Path, model: Any, **more: Any) -> Config:
    return Config(model, "chain", config_dict=settings(home, "BPR", **more))


def test_a_bug_keeps_its_traceback_and_the_log_has_it(home: Path) -> None:
    with pytest.raises(KeyError, match="my_field"):
        run(config_of(home, Failing, embedding_size=8), home / "run")
    log = (home / "run" / "run.log").read_text()
    assert "Traceback (most recent call last)" in log and "KeyError: 'my_field'" in log


def test_no_memory_names_what_to_lower(home: Path) -> None:
    with pytest.raises(
        UserError, match=r"memory does not suffice for TooLarge on 'chain' \(RuntimeError: "
    ) as caught:
        run(config_of(home, TooLarge, train_batch_size=32, embedding_size=8), home / "run")
    assert str(caught.value).endswith("lower train_batch_size (32)")
    assert not (home / "run").exists()


def test_recboles_own_code_is_named_with_its_line(home: Path) -> None:
    config = Config("ConvNCF", "chain", config_dict=settings(home, "ConvNCF", embedding_size=8))
    with pytest.raises(
        UserError, match=r"RecBole's code fails for model 'ConvNCF' on data set 'chain'"
    ) as caught:
        run(config, home / "run")
    assert "RuntimeError: " in str(caught.value) and "layers.py, line " in str(caught.value)
    assert not (home / "run").exists()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("x"), OSError("no file"), StopIteration()])
def test_other_errors_pass(error: Exception, home: Path) -> None:
    with pytest.raises(type(error)), explained(config_of(home, "Pop")):
        raise error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "memory does not suffice for Pop on 'chain' (MemoryError); lower the model's sizes"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            "(OutOfMemoryError: CUDA out of memory. Tried)",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/there/file"),
            "/there/file: Read-only file system; ",
        ),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(error: Exception, says: str, home: Path) -> None:
    with pytest.raises(UserError) as caught, explained(config_of(home, "Pop")):
        raise error
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can be written beyond 100 KB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda draft: draft.write_bytes(b"x" * 200_000),
        lambda draft: torch.save({"weight": torch.zeros(50_000)}, draft),
    ],
    ids=["bytes", "torch"],
)
def test_a_full_disk_leaves_the_file_before(write: Any, small_files: None, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("before")
    with pytest.raises(UserError, match=r"kept cannot be written \(.+\); make room there or correct"):
        write_whole(file, write)
    assert file.read_text() == "before" and list(tmp_path.iterdir()) == [file]


def test_a_run_on_a_full_disk_is_a_sentence(small_files: None, home: Path) -> None:
    with pytest.raises(UserError, match=r"(checkpoint|state)\.pth cannot be written"):
        run(config_of(home, "BPR", embedding_size=512), home / "run")


def test_another_error_of_writing_passes(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        write_whole(tmp_path / "file", lambda _: (_ for _ in ()).throw(RuntimeError("a bug")))

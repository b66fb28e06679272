"""Nothing on disk or on the command line runs code: each payload would make a file, and a sentence comes instead."""

from __future__ import annotations

import csv
import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.chain import write_chain
from helpers.runs import settings, trained

from recbole_mqsa import Config, UserError, load
from recbole_mqsa.cli.main import main
from recbole_mqsa.training.run import run


class Payload:
    """What makes the file at ``path`` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data, and a run in ``run``."""
    home = tmp_path_factory.mktemp("finished")
    write_chain(home, certainty=0.8)
    trained(home, "run", epochs=1)
    return home


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of that folder, for a payload to be put in."""
    return Path(shutil.copytree(finished, tmp_path / "home"))


def torch_file(path: Path, payload: Payload) -> None:
    torch.save({"state_dict": payload, "settings": payload, "epoch": payload}, path)


def plain_pickle(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps(payload))


def object_arrays(path: Path, payload: Payload) -> None:
    """An npz with the names of the arrays that are read, each an array of objects."""
    with np.load(path, allow_pickle=False) as arrays:
        names = arrays.files
    np.savez(path, **{name: np.array([payload], dtype=object) for name in names}, allow_pickle=True)


def renamed_array(path: Path, payload: Payload) -> None:
    """An npz whose entries are pickles without numpy's header."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps(payload))
    path.write_bytes(buffer.getvalue())


def load_and_test(home: Path) -> None:
    load(home / "run", data_path=home).evaluate()


def go_on(home: Path) -> None:
    run(
        Config("MQSATED", "chain", config_dict=settings(home, "MQSATED", epochs=2)), home / "run", resume=True
    )


@pytest.mark.parametrize("make", [torch_file, plain_pickle])
@pytest.mark.parametrize(("file", "read"), [("checkpoint.pth", load_and_test), ("state.pth", go_on)])
def test_a_checkpoint_or_state_runs_nothing(
    home: Path, file: str, read: Callable[[Path], None], make: Callable[[Path, Payload], None]
) -> None:
    made = home / "made"
    make(home / "run" / file, Payload(made))
    with pytest.raises(UserError, match=file):
        read(home)
    assert not made.exists()


@pytest.mark.parametrize("make", [object_arrays, renamed_array])
@pytest.mark.parametrize("read", [load_and_test, go_on])
def test_arrays_of_objects_are_not_read(
    home: Path, read: Callable[[Path], None], make: Callable[[Path, Payload], None]
) -> None:
    made = home / "made"
    make(home / "run" / "ids.npz", Payload(made))
    with pytest.raises(UserError, match=r"ids\.npz"):
        read(home)
    assert not made.exists()


CODE = "__import__('os').mkdir('made')"


@pytest.mark.parametrize(
    "words",
    [
        [f"--learning_rate={CODE}"],
        [f"--query_windows=[{CODE}]"],
        [f"--eval_args={CODE}"],
        [f"--user_inter_num_interval={CODE}"],
        [f"--val_interval={{'rating': {CODE!r}}}"],
        [f"--topk={CODE}"],
        [f"--device={CODE}"],
        [f"--metrics={CODE}"],
        ["--config_files=danger.yaml"],
    ],
    ids=lambda words: words[0].partition("=")[0],
)
def test_settings_are_read_and_not_evaluated(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str]
) -> None:
    monkeypatch.chdir(home)
    Path("danger.yaml").write_text(f'learning_rate: !!python/object/apply:os.mkdir ["made"]\n# {CODE}\n')
    assert main(["--dataset=chain", "--data_path=.", "--epochs=1", "--output_dir=out", *words]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("recbole-mqsa: ")
    assert not Path("made").exists()


@pytest.mark.parametrize("key", ["dataset_save_path", "dataloaders_save_path"])
def test_recboles_pickles_are_not_read(home: Path, key: str) -> None:
    """RecBole unpickles the files of these settings; here they are refused, or left unread."""
    made = home / "made"
    plain_pickle(home / "saved.pth", Payload(made))
    given = settings(home, "MQSATED", epochs=1, **{key: str(home / "saved.pth")})
    with pytest.raises(UserError, match=key):
        run(Config("MQSATED", "chain", config_dict=given), home / "other")
    assert not made.exists()


HOSTILE = ("u\"; COPY (SELECT 1) TO 'made'; --", "i'); COPY (SELECT 1) TO 'made'; --")


@pytest.mark.parametrize(
    ("time_format", "code"), [("s", 0), ("%Y'); COPY (SELECT 1) TO 'made'; --", 2)], ids=["names", "form"]
)
def test_prepare_quotes_whatever_goes_into_its_sql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_format: str, code: int
) -> None:
    """The file, its columns, its values and the form of times would each write a file."""
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    user, item = HOSTILE
    with open("o'rders\".csv", "w", newline="") as file:
        rows = ((f"c'{customer}", f'i"{sku}', 1000 + sku) for customer in range(8) for sku in range(6))
        csv.writer(file).writerows([(user, item, "t"), *rows])
    words = ["--input=o'rders\".csv", f"--user={user}", f"--item={item}", "--time=t", "--output=data/shop"]
    assert main(["prepare", *words, f"--time_format={time_format}"]) == code
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["o'rders\".csv"]

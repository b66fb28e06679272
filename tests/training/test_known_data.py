"""A run knows its data, its settings and its files: the same numbers again, or one sentence."""

from __future__ import annotations

import json
import random
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from helpers.chain import train, write_chain

from recbole_mqsa import Config, UserError, load
from recbole_mqsa.training.run import run

SHORT = {"epochs": 4, "eval_step": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the chain, and a finished run of four epochs on it."""
    home = tmp_path_factory.mktemp("known")
    write_chain(home, certainty=0.9)
    train(home, "run", **SHORT)
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy of both."""
    shutil.copytree(trained, tmp_path / "home")
    return tmp_path / "home"


def lines_of(home: Path) -> list[str]:
    return (home / "chain/chain.inter").read_text().splitlines()


def write_lines(home: Path, lines: list[str]) -> None:
    (home / "chain/chain.inter").write_text("\n".join(lines) + "\n")


def test_shuffled_lines_give_the_same_numbers(home: Path) -> None:
    head, *rows = lines_of(home)
    random.Random(0).shuffle(rows)
    write_lines(home, [head, *rows])
    recorded = json.loads((home / "run/result.json").read_text())["test"]
    assert load(home / "run", data_path=home).evaluate() == pytest.approx(recorded, abs=1e-9)


@pytest.mark.parametrize("change", ["drop", "rename an item", "exchange"])
def test_other_data_are_refused(home: Path, change: str) -> None:
    head, *rows = lines_of(home)
    if change == "drop":
        rows = rows[:-1]
    elif change == "rename an item":
        rows = [row.replace("\t7\t", "\tseven\t") for row in rows]
    else:
        user, item, time = rows[0].split("\t")
        rows[0] = "\t".join([user, str((int(item) + 1) % 40), time])
    write_lines(home, [head, *rows])
    with pytest.raises(UserError, match="are not those that the run"):
        load(home / "run", data_path=home).evaluate()


def test_a_finished_run_with_other_settings_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match=r"finished with other settings \(learning_rate\)"):
        train(home, "run", resume=True, **SHORT, learning_rate=0.9)


def test_a_finished_run_goes_on_with_more_epochs(home: Path) -> None:
    """Bit for bit as if it had been asked for all of them at once."""
    more = train(home, "run", resume=True, epochs=6, eval_step=1)
    whole = train(home, "whole", epochs=6, eval_step=1)
    assert more.result["epochs_run"] == 6
    for key in ("valid", "test", "best_epoch"):
        assert more.result[key] == whole.result[key]


def test_fewer_epochs_are_refused(home: Path) -> None:
    with pytest.raises(UserError, match="was finished with 4 epochs"):
        train(home, "run", resume=True, epochs=3, eval_step=1)


@pytest.mark.parametrize("name", ["checkpoint.pth", "state.pth"])
def test_a_flipped_bit_is_noticed(home: Path, name: str) -> None:
    file = home / "run" / name
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        record = max(archive.infolist(), key=lambda one: one.file_size)
    name_length, padding = struct.unpack(
        "<HH", content[record.header_offset + 26 : record.header_offset + 30]
    )
    content[record.header_offset + 30 + name_length + padding + record.file_size // 2] ^= 8
    file.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        if name == "checkpoint.pth":
            load(home / "run", data_path=home).evaluate()
        else:
            train(home, "run", resume=True, epochs=6, eval_step=1)


def test_an_edited_result_is_noticed(home: Path) -> None:
    file = home / "run/result.json"
    result = json.loads(file.read_text())
    result["test"]["ndcg@5"] += 0.01
    file.write_text(json.dumps(result))
    with pytest.raises(UserError, match="is not what the run wrote"):
        load(home / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"test": {}}'])
def test_a_damaged_result_is_noticed(home: Path, text: str) -> None:
    (home / "run/result.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        load(home / "run")


def test_weights_that_are_no_numbers_are_refused(home: Path) -> None:
    file = home / "run/checkpoint.pth"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["state_dict"]["item_embedding.weight"][3, 1] = float("inf")
    torch.save(checkpoint, file)
    with pytest.raises(UserError, match="NaN or infinite"):
        load(home / "run", data_path=home).evaluate()


def test_a_run_is_read_from_another_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    settings = {"data_path": ".", "epochs": 1, "state": "ERROR", "show_progress": False, "hidden_size": 8}
    here = run(Config("MQSATED", "chain", config_dict=settings), home / "relative")
    monkeypatch.chdir(tmp_path)
    assert load(here.folder).evaluate() == pytest.approx(here.result["test"], abs=1e-9)


def test_the_former_state_is_used_where_the_last_is_damaged(home: Path) -> None:
    class Stop(Exception):
        pass

    def stop(epoch: int, score: float) -> None:
        if epoch == 3:
            raise Stop

    settings = {"epochs": 6, "eval_step": 1, "state_interval": 0}
    with pytest.raises(Stop):
        train(home, "broken", callback=stop, **settings)
    state, former = home / "broken/state.pth", home / "broken/state.former.pth"
    assert state.exists() and former.exists()
    state.write_bytes(state.read_bytes()[:-1000])
    again, whole = train(home, "broken", resume=True, **settings), train(home, "whole", **settings)
    assert again.result["test"] == whole.result["test"]


def test_somebodys_own_files_are_not_overwritten(home: Path) -> None:
    mine = home / "mine"
    mine.mkdir()
    (mine / "checkpoint.pth").write_text("my thesis")
    with pytest.raises(UserError, match=r"holds checkpoint\.pth, which is not of a run"):
        train(home, "mine", **SHORT)
    with pytest.raises(UserError, match=r"holds checkpoint\.pth, which is not of a run"):
        train(home, "mine", resume=True, **SHORT)
    assert (mine / "checkpoint.pth").read_text() == "my thesis"

"""The download against a small server on loopback: a whole data set, or one sentence and nothing at all."""

from __future__ import annotations

import http.server
import io
import os
import signal
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recbole_mqsa.data.download import fetch, needs_download
from recbole_mqsa.errors import UserError

ACTIONS = b"user_id:token\titem_id:token\ttimestamp:float\n" + b"".join(
    b"u%d\ti%d\t%d\n" % (user, item, 10 * user + item) for user in range(4) for item in range(user, user + 5)
)


def zipped(files: dict[str, bytes], link: str | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link is not None:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc")
    return buffer.getvalue()


RIGHT = zipped(
    {"Amazon_Toy.inter": ACTIONS, "Amazon_Toy.item": b"item_id:token\ni1\n", "README.md": b"about"}
)
BODIES = {
    "/right.zip": RIGHT,
    "/cut.zip": RIGHT[: len(RIGHT) // 2],
    "/page.zip": b"<html>The bucket has moved.</html>",
    "/crc.zip": RIGHT.replace(b"u1\ti1", b"u1\ti9", 1),
    "/empty.zip": zipped({"Amazon_Toy.item": b"item_id:token\n"}),
    "/two.zip": zipped({"One.inter": ACTIONS, "Two.inter": ACTIONS}),
    "/twice.zip": zipped({"a/Toy.inter": ACTIONS, "b/Toy.inter": ACTIONS}),
    "/subfolder.zip": zipped(
        {"Toy/Toy.inter": ACTIONS, "Toy/Toy.kg": b"kg", "__MACOSX/Toy/._Toy.inter": b"x"}
    ),
    "/parts.zip": zipped({"Toy.train.inter": ACTIONS, "Toy.test.inter": ACTIONS}),
    "/parent.zip": zipped({"../Toy.inter": ACTIONS}),
    "/absolute.zip": zipped({"/tmp/Toy.inter": ACTIONS}),
    "/drive.zip": zipped({"C:\\Toy.inter": ACTIONS}),
    "/bomb.zip": zipped({"Toy.inter": ACTIONS + bytes(10**7)}, method=zipfile.ZIP_DEFLATED),
    "/link.zip": zipped({"Toy.inter": ACTIONS}, link="Toy.item"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path not in BODIES:
            self.send_error(404)
            return
        body = BODIES[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(RIGHT) if self.path == "/cut.zip" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("archive", "files"),
    [
        ("right", ["amazon-toy.inter", "amazon-toy.item"]),
        ("subfolder", ["amazon-toy.inter", "amazon-toy.kg"]),
        ("parts", ["amazon-toy.test.inter", "amazon-toy.train.inter"]),
    ],
)
def test_a_whole_archive_arrives_under_the_data_sets_name(
    server: str, tmp_path: Path, archive: str, files: list[str]
) -> None:
    folder = tmp_path / "dataset" / "amazon-toy"
    assert needs_download(folder, "amazon-toy")
    fetch("amazon-toy", folder, f"{server}/{archive}.zip")
    assert names(folder) == files
    assert (folder / files[0]).read_bytes() == ACTIONS
    assert names(folder.parent) == ["amazon-toy"]
    assert not needs_download(folder, "amazon-toy")


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        ("cut", f"the connection broke after {len(RIGHT) // 2} of {len(RIGHT)} bytes"),
        ("page", "File is not a zip file"),
        ("crc", "Bad CRC-32 for file 'Amazon_Toy.inter'"),
        ("empty", "holds no .inter file"),
        ("two", "those of several data sets"),
        ("twice", "holds Toy.inter twice"),
        ("parent", "../Toy.inter leads out of its folder"),
        ("absolute", "/tmp/Toy.inter leads out of its folder"),
        ("drive", "leads out of its folder"),
        ("link", "Toy.item leads out of its folder"),
        ("bomb", "more than 200 times its size"),
        ("missing", "HTTP Error 404"),
    ],
)
def test_a_failure_leaves_nothing_behind_and_says_what_to_do(
    server: str, tmp_path: Path, archive: str, reason: str
) -> None:
    folder, url = tmp_path / "toy", f"{server}/{archive}.zip"
    with pytest.raises(UserError) as caught:
        fetch("toy", folder, url)
    message = str(caught.value)
    assert reason in message and url in message and str(folder / "toy.inter") in message
    assert "\n" not in message
    assert names(tmp_path) == []


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/toy.zip"


def test_a_refused_connection_and_a_silent_server_end_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = address(silent)
        with pytest.raises(UserError, match="timed out"):
            fetch("toy", tmp_path / "toy", url, timeout=0.2)
    with pytest.raises(UserError, match="refused"):
        fetch("toy", tmp_path / "toy", url)
    assert names(tmp_path) == []


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A signal raises KeyboardInterrupt, however these tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_control_c_cleans_up_and_passes_on(tmp_path: Path) -> None:
    begun: list[list[str]] = []

    def interrupt() -> None:
        while not names(tmp_path):
            time.sleep(0.01)
        time.sleep(0.2)  # until the silent server is waited for
        begun.append(names(tmp_path))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            fetch("toy", tmp_path / "toy", address(silent))
    assert len(begun[0]) == 1 and names(tmp_path) == []


def test_the_folder_of_a_faster_process_is_used_and_a_foreign_one_stays(server: str, tmp_path: Path) -> None:
    faster, foreign = tmp_path / "faster", tmp_path / "foreign"
    for folder, file in ((faster, "faster.inter"), (foreign, "notes.txt")):
        folder.mkdir()
        (folder / file).write_text("mine")
    fetch("faster", faster, f"{server}/right.zip")
    with pytest.raises(UserError, match="could not be downloaded"):
        fetch("foreign", foreign, f"{server}/right.zip")
    with pytest.raises(UserError, match=r"holds no foreign\.inter"):
        needs_download(foreign, "foreign")
    assert (faster / "faster.inter").read_text() == (foreign / "notes.txt").read_text() == "mine"
    assert names(tmp_path) == ["faster", "foreign"]


def test_only_the_first_of_several_processes_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each meets the others before it loads, the first also when its download failed."""
    import torch
    from recbole.data.dataset import Dataset

    course: list[str] = []

    def process(rank: int) -> Dataset:
        dataset = Dataset.__new__(Dataset)
        dataset.config = {"local_rank": rank}
        dataset.dataset_name, dataset.dataset_path = "toy", str(tmp_path / "toy")
        dataset.benchmark_filename_list = None
        return dataset

    def fail(*_: object) -> None:
        course.append("download")
        raise OSError("broken")

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "barrier", lambda: course.append("barrier"))
    monkeypatch.setattr(Dataset, "_get_download_url", fail)
    with pytest.raises(OSError, match="broken"):
        process(0)._load_data("toy", str(tmp_path / "toy"))
    with pytest.raises(ValueError, match="not exist"):
        process(1)._load_data("toy", str(tmp_path / "toy"))
    assert course == ["download", "barrier", "barrier"]


@pytest.mark.parametrize("leftover", [False, True], ids=["no folder", "an empty folder"])
def test_recbole_downloads_and_loads_in_one_process(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: bool
) -> None:
    from recbole.config import Config
    from recbole.data import create_dataset
    from recbole.data.dataset import Dataset

    monkeypatch.setattr("sys.argv", ["test"])
    monkeypatch.setattr(Dataset, "_get_download_url", lambda self, table: f"{server}/right.zip")
    if leftover:  # what RecBole's own broken download leaves
        os.mkdir(tmp_path / "toy")
    settings = {"data_path": str(tmp_path), "load_col": {"inter": ["user_id", "item_id"]}}
    dataset = create_dataset(Config(model="BPR", dataset="toy", config_dict=settings))
    assert (dataset.user_num, dataset.item_num, dataset.inter_num) == (4 + 1, 8 + 1, 20)  # with the padding
    assert names(tmp_path) == ["toy"]

"""Cells run once, apart, in parallel, and survive each other's failures and the end of the program."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.chain import write_chain
from helpers.paths import ROOT

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.cells import Cell, Row, cells_of
from recbole_mqsa.experiments.plan import LOCK, locked
from recbole_mqsa.experiments.schedule import divided_cores, estimate, rest, run_cells, train_command
from recbole_mqsa.experiments.variants import ABLATION
from recbole_mqsa.settings.config import Config

ROWS = [Row("one", "Pop", {}), Row("two", "Pop", {"topk": [5, 20]})]
WRITE = """
import json, os, pathlib, sys, time
folder, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
with open(folder.parents[2] / "started.txt", "a") as file:
    file.write(f"{folder.name} {sorted(os.sched_getaffinity(0))} {os.environ['OMP_NUM_THREADS']}\\n")
time.sleep(seconds)
result = {"seconds": {"training": 60.0}, "settings": {"valid_metric": "NDCG@20"}, "test": {"ndcg@20": 0.5}}
(folder / "result.json").write_text(json.dumps(result))
"""


def fake(seconds: float = 0.0):
    """A command that takes so long and then leaves a result."""
    return lambda cell, settings: [sys.executable, "-c", WRITE, str(cell.folder), str(seconds)]


def finish(cell: Cell, seconds: float = 60.0) -> None:
    cell.folder.mkdir(parents=True)
    result = {"seconds": {"training": seconds - 1, "test": 1.0}, "settings": {}, "test": {}}
    (cell.folder / "result.json").write_text(json.dumps(result))


def test_a_finished_cell_is_never_run_again(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ROWS, ["data"], [1, 2])
    assert len(cells) == 4
    finish(cells[0])
    said: list[str] = []
    assert run_cells(cells, {}, say=said.append, command=fake())
    started = [line.split()[0] for line in (tmp_path / "cells" / "started.txt").read_text().splitlines()]
    assert started == ["seed-2", "seed-1", "seed-2"]
    assert run_cells(cells, {}, say=said.append, command=lambda *_: 1 / 0)  # type: ignore[arg-type, return-value]


def test_a_failed_cell_says_why_while_the_others_go_on_and_is_tried_again(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ROWS, ["data"], [1])
    crash = "import sys; print('Traceback\\nValueError: the reason', file=sys.stderr); sys.exit(3)"

    def one_fails(cell: Cell, settings: dict[str, Any]) -> list[str]:
        return [sys.executable, "-c", crash] if cell is cells[0] else fake()(cell, settings)

    said: list[str] = []
    assert not run_cells(cells, {}, say=said.append, command=one_fails)
    assert cells[0].failure == "ValueError: the reason" and cells[1].finished
    assert "Traceback" in (cells[0].folder / "failed.txt").read_text()
    assert any("FAILED" in line and "the reason" in line for line in said)
    assert run_cells(cells, {}, say=said.append, command=fake())
    assert cells[0].failure is None and not (cells[0].folder / "failed.txt").exists()


def test_a_killed_cell_names_the_signal(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ROWS[:1], ["data"], [1])
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert not run_cells(cells, {}, say=lambda _: None, command=lambda *_: [sys.executable, "-c", kill])
    assert "signal 9 (SIGKILL)" in (cells[0].failure or "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: first\nmore of it", "ValueError: first"),
        ("Traceback (most recent call last):\n  x\nKeyError: 1\n\nDuring ...\n\n"
         "Traceback (most recent call last):\n  y\nmine.Lost: second", "mine.Lost: second"),
        ("a warning\nrecbole-mqsa: a sentence\na last word", "a sentence"),
        ("one\nanother", "another"),
        ("", "exit code 1, without a word"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure_is_its_error(tmp_path: Path, said: str, why: str) -> None:
    cells = cells_of(tmp_path, ROWS[:1], ["data"], [1])
    fail = f"import sys; sys.stderr.write({said!r}); sys.exit(1)"
    assert not run_cells(cells, {}, say=lambda _: None, command=lambda *_: [sys.executable, "-c", fail])
    assert cells[0].failure == why


@pytest.mark.parametrize("nproc", [1, 64])
def test_the_processes_of_a_cell_share_its_cores(tmp_path: Path, nproc: int) -> None:
    cells = cells_of(tmp_path, ROWS[:1], ["data"], [1])
    assert run_cells(cells, {"nproc": nproc}, say=lambda _: None, command=fake())
    threads = int((tmp_path / "cells" / "started.txt").read_text().split()[-1])
    assert threads == (len(os.sched_getaffinity(0)) if nproc == 1 else 1)


def test_jobs_run_at_once_each_on_its_own_cores(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    before = os.sched_getaffinity(0)
    cells = cells_of(tmp_path, ROWS, ["data"], [1])
    said: list[str] = []
    assert run_cells(cells, {}, jobs=2, say=said.append, command=fake(1.0))
    assert ["running" in line for line in said[:2]] == [True, True]
    lines = (tmp_path / "cells" / "started.txt").read_text().splitlines()
    cores = [set(json.loads(line.partition(" ")[2].rpartition(" ")[0])) for line in lines]
    assert not cores[0] & cores[1] and cores[0] | cores[1] == before
    assert [int(line.split()[-1]) for line in lines] == [len(one) for one in cores]
    assert os.sched_getaffinity(0) == before


def test_what_runs_is_watched(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ROWS[:1], ["data"], [1, 2])
    finish(cells[0], 30)
    cells[1].folder.mkdir(parents=True)
    (cells[1].folder / "epochs.csv").write_text("epoch\n0\n1\n")
    watched: list[str] = []
    assert run_cells(cells, {}, say=lambda _: None, watch=watched.append, command=fake(2.5))
    # Of the 30 seconds some have passed.
    assert re.match(r"1 left, about 2[6-9]\.\d s; one on data, seed 2: 2 epochs, \d", watched[0])


def test_cores_are_divided() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert divided_cores(1) == [cores]
    assert sorted(core for part in divided_cores(len(cores)) for core in part) == cores
    assert len(divided_cores(2 * len(cores))) == 2 * len(cores)


def test_time_is_estimated_from_what_is_finished(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ROWS, ["data", "more"], [1, 2])
    named = {(cell.dataset, cell.row.name, cell.seed): cell for cell in cells}
    assert all(estimate(cell, cells) is None for cell in cells)
    assert rest(cells, cells, 1) == "8 left, time unknown"
    finish(named["data", "one", 1], 100)
    assert estimate(named["data", "one", 2], cells) == 100  # the same row and data
    assert estimate(named["more", "one", 1], cells) == 100  # the same row elsewhere
    assert estimate(named["data", "two", 1], cells) is None
    finish(named["more", "one", 1], 300)
    assert estimate(named["data", "one", 2], cells) == 100
    assert estimate(named["more", "one", 2], cells) == 300
    ahead = [cell for cell in cells if not cell.finished]
    assert rest(ahead, cells, 1).startswith("6 left, about 6.7 min")  # 100 + 300
    assert rest(ahead, cells, 2) == "6 left, about 5.0 min and 4 of unknown time"  # the longest
    assert rest([], cells, 1) == "nothing left"
    running = [named["data", "one", 2], named["more", "one", 2]]
    elapsed = {id(running[0]): 130.0, id(running[1]): 200.0}  # the first takes longer than was thought
    assert rest(running, cells, 1, elapsed) == "2 left, about 1.7 min"


def test_the_command_trains_the_row(tmp_path: Path) -> None:
    (cell,) = cells_of(tmp_path, ROWS[1:], ["data"], [7])
    words = train_command(cell, {"epochs": 3, "topk": [10], "name": "x"})
    assert "--topk=[5, 20]" in words and "--topk=[10]" not in words  # the row's own comes first
    assert {"--model=Pop", "--dataset=data", "--seed=7", "--epochs=3", "--name='x'", "--resume"} <= set(words)


def test_a_second_benchmark_in_the_folder_is_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "b"),
        pytest.raises(UserError, match="another benchmark is writing"),
        locked(tmp_path / "b"),
    ):
        pass
    with locked(tmp_path / "b"):
        pass
    assert not list((tmp_path / "b").iterdir())


def test_cells_get_the_flag_and_no_progress_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What every cell is given has passed the check before, so it must not fail them all."""
    write_chain(tmp_path, certainty=0.9)
    words = ["benchmark", "--models=Pop", "--datasets=chain", f"--data_path={tmp_path}", "--allow_unknown"]
    words += ["--mine=3", "--show_progress=True", f"--output_dir={tmp_path / 'b'}"]
    assert main(words) == 0, capsys.readouterr()


@pytest.mark.parametrize(
    ("rows", "datasets", "seeds", "says"),
    [
        ([Row("a/b", "Pop", {})], ["data"], [1], "row 'a/b'"),
        ([Row("..", "Pop", {})], ["data"], [1], r"row '\.\.'"),
        (ROWS, ["data", "data"], [1], "data set 'data' is there twice"),
        (ROWS, ["data"], [1, 1], "seed '1' is there twice"),
        ([], ["data"], [1], "at least one row"),
    ],
)
def test_cells_need_folders_of_their_own(
    tmp_path: Path, rows: Any, datasets: Any, seeds: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        cells_of(tmp_path, rows, datasets, seeds)


# The command line, with real runs.


@pytest.fixture
def chain(tmp_path: Path) -> list[str]:
    write_chain(tmp_path, certainty=0.8)
    return ["--datasets=chain", f"--data_path={tmp_path}", f"--output_dir={tmp_path / 'out'}"]


def test_a_benchmark_from_the_command_line(tmp_path: Path, chain: list[str], capfd: Any) -> None:
    words = ["benchmark", "--models=Pop,ItemTransition,NoSuch", "--seeds=1,2", *chain]
    assert main(words) == 2  # before anything runs
    assert "unknown model 'NoSuch'" in capfd.readouterr().err and not (tmp_path / "out").exists()

    words[1] = "--models=Pop,EASE"
    assert main([*words, "--dry_run"]) == 0
    assert "4 left, time unknown" in capfd.readouterr().out and not (tmp_path / "out").exists()
    assert main(words) == 1
    text = capfd.readouterr().out
    assert text.count("done in") == 2 and text.count("FAILED") == 2 and "run_recbole" in text
    assert (tmp_path / "out" / "report.md").exists()

    words[1] = "--models=Pop,ItemTransition"
    assert main(words) == 0
    text = capfd.readouterr().out
    assert text.count("running") == 2 and "Pop" not in text  # the finished ones stay
    assert main([*words, "--topk=[5,20,50]"]) == 2
    assert "finished with other settings (topk)" in capfd.readouterr().err


def test_a_sweep_has_a_row_for_each_value(tmp_path: Path, chain: list[str]) -> None:
    small = tmp_path / "small.yaml"
    small.write_text("hidden_size: 16\ninner_size: 16\nepochs: 3\n")
    words = ["sweep", "--param=query_windows", "--values=[1],[1,2]", f"--config_files={small}", "--epochs=1"]
    assert main([*words, *chain]) == 0
    plan = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert plan["study"] == {"kind": "sweep", "param": "query_windows", "values": [[1], [1, 2]]}
    cell = tmp_path / "out" / "cells" / "chain" / "query_windows=[1,2]" / "seed-2020"
    result = json.loads((cell / "result.json").read_text())
    assert result["command"][:2] == ["recbole_mqsa/__main__.py", "train"]  # no path of this machine
    settings = result["settings"]
    assert (settings["query_windows"], settings["hidden_size"], settings["epochs"]) == ([1, 2], 16, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sweep", "--values=1"], "name it and its values"),
        (["sweep", "--param=tau", "--values="], "names no value"),
        (["sweep", "--param=tau", "--values=0.1,0"], "row 'tau=0' on chain: tau is 0"),
        (["sweep", "--param=tau", "--values=0.1", "--tau=0.2"], "leave it out"),
        (["benchmark", "--seeds=one"], "--seeds has one"),
        (["benchmark", "--jobs=0"], "--jobs has 0"),
        (["benchmark", "--models=Pop,Pop"], "row 'Pop' is there twice"),
        (["benchmark", "--dataset=chain"], "dataset is chain, but each cell has its own; write --datasets"),
        (["sweep", "--param=tau", "--values=0.1", "--seed=1"], "each cell has its own; write --seeds"),
        (
            ["sweep", "--param=seed", "--values=1,2"],
            "cannot vary seed, which each run has of its own; write --seeds",
        ),
        (["sweep", "--param=model", "--values=Pop"], "cannot vary model"),
        (["ablation", "--model=SASRec"], "each cell has its own; leave it out"),
        (["benchmark", "--config_files=nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["ablation", "--time_spam=2"], "did you mean 'time_span'?"),
        (["report"], "the benchmark's folder"),
        (["inspect"], "folders of trained runs"),
        (["inspect", "--runs=nowhere"], "holds no finished run"),
    ],
)
def test_a_mistaken_benchmark_is_refused(chain: list[str], capsys: Any, words: list[str], says: str) -> None:
    more = chain if words[0] in ("sweep", "benchmark", "ablation") else []
    assert main([*words, *more]) == 2
    assert says in capsys.readouterr().err


def heed_interrupts() -> None:
    """What a shell starts in the background ignores them, and so does what that starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def endless(folder: Path, chain: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """A benchmark of one cell that does not end by itself, once it has learnt something, and the cell's folder."""
    command = [sys.executable, "-m", "recbole_mqsa", "benchmark", "--models=MQSATED", *chain]
    command += ["--epochs=100000", "--stopping_step=100000", "--hidden_size=16", "--inner_size=16"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=heed_interrupts)
    cell = folder / "out" / "cells" / "chain" / "MQSATED" / "seed-2020"
    deadline = time.monotonic() + 120
    while not (cell / "checkpoint.pth").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    return process, cell


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_goes_on(tmp_path: Path, chain: list[str], how: signal.Signals) -> None:
    process, cell = endless(tmp_path, chain)
    process.send_signal(how)
    assert process.wait(60) == 130
    assert (cell / "epochs.csv").exists() and not (cell / "result.json").exists()
    with pytest.raises(subprocess.CalledProcessError):  # its run ended with it
        subprocess.run(["pgrep", "-f", str(cell)], check=True, stdout=subprocess.DEVNULL)
    assert not (cell / "failed.txt").exists()
    assert main(["benchmark", "--models=MQSATED", *chain, "--dry_run", "--epochs=7"]) == 0


def test_a_cell_ends_with_a_benchmark_that_was_killed(tmp_path: Path, chain: list[str]) -> None:
    process, cell = endless(tmp_path, chain)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 120
    while subprocess.run(["pgrep", "-f", str(cell)], stdout=subprocess.DEVNULL).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not (cell / "result.json").exists()


def test_a_lock_that_its_holder_has_removed_is_none(tmp_path: Path, monkeypatch: Any) -> None:
    with locked(tmp_path):
        former = (tmp_path / LOCK).open("a")
    with (
        locked(tmp_path),
        monkeypatch.context() as patched,
    ):  # one that opened it before, and comes to hold it now
        patched.setattr(Path, "open", lambda *_: former)
        with pytest.raises(UserError, match="another benchmark"), locked(tmp_path):
            pass


def test_the_ablation_varies_what_its_rows_say() -> None:
    built = {row.name: Config(row.model, "ml-100k", command_line=row.settings) for row in ABLATION}
    plan = {row.name: {key: built[row.name][key] for key in row.settings} for row in ABLATION}
    full = built["full"].final_config_dict
    assert next(iter(plan)) == "full" and not plan["full"]
    for name, varied in plan.items():
        other = {key for key, value in built[name].final_config_dict.items() if full.get(key) != value}
        # Each setting of a row is another than the full model's, and no other is.
        assert other == set(varied), name
    assert plan["without TED"] == {"transition": "none"}
    assert plan["without the long query"]["query_windows"] == [1]
    assert plan["without the short query"]["query_windows"] == [full["query_windows"][1]]
    assert len(plan["three windows"]["query_windows"]) == 3
    assert [plan[f"time span {k}"]["time_span"] for k in (2, 3)] == [2, 3] and full["time_span"] == 1

"""The command line as a program: commands, exit codes, and what becomes of its output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.paths import ROOT

import recbole_mqsa
from recbole_mqsa.cli.main import COMMANDS, main
from recbole_mqsa.cli.parser import Parser
from recbole_mqsa.errors import PeerLost, UserError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
QUICK = [
    ["--version"],
    ["--help"],
    ["trian"],
    ["--tau=1", "stray"],
    ["report", "--outputdir=x"],
    *([name, "--help"] for name in COMMANDS),
    ["train", "--help", "--model=SASRec", "--dataset=yelp"],
]


def doing(act: Callable[[Namespace, dict[str, Any]], int]) -> dict[str, Any]:
    """A table of one command, 'toy', with one option."""

    def add_options(parser: Parser) -> None:
        parser.option("size", "NUMBER", "How large.", kind=int, default=3)

    return {"toy": SimpleNamespace(__doc__="Do something.\n\nMore.", add_options=add_options, run=act)}


def raising(error: BaseException) -> dict[str, Any]:
    def act(given: Namespace, settings: dict[str, Any]) -> int:
        raise error

    return doing(act)


def test_a_command_gets_its_options_and_settings_and_sets_the_exit_code() -> None:
    seen: list[Any] = []

    def act(given: Namespace, settings: dict[str, Any]) -> int:
        seen.append((given.size, given.allow_unknown, settings))
        return 1

    assert main(["toy", "--size=5", "--tau=0.5", "--allow_unknown"], doing(act)) == 1
    assert main(["toy"], doing(act)) == 1
    assert seen == [(5, True, {"tau": 0.5}), (3, False, {})]


def test_without_a_command_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    commands = {"train": doing(lambda given, settings: seen.append(settings) or 0)["toy"]}
    assert main([], commands) == main(["--tau=2"], commands) == main(["train", "--tau=2"], commands) == 0
    monkeypatch.setattr(sys, "argv", ["recbole-mqsa", "--tau=0.7"])
    assert main(commands=commands) == 0
    assert seen == [{}, {"tau": 2}, {"tau": 2}, {"tau": 0.7}]


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (UserError("a\nb"), 2, "a b"),
        (PeerLost("another has ended: details"), 1, "another has ended"),
    ],
)
def test_what_ends_a_command_sets_the_code(
    capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, says: str
) -> None:
    assert main(["toy"], raising(raised)) == code
    assert capsys.readouterr() == ("", f"recbole-mqsa: {says}\n")


@pytest.mark.parametrize("bug", [ZeroDivisionError(), BrokenPipeError()])  # of a pipe that is not stdout
def test_a_bug_keeps_its_traceback(bug: BaseException) -> None:
    with pytest.raises(type(bug)):
        main(["toy"], raising(bug))


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy", "--debug"], raising(UserError("tau is -1"))) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1] == "recbole-mqsa: tau is -1"


def test_a_termination_is_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    def act(given: Namespace, settings: dict[str, Any]) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert main(["toy"], doing(act)) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "recbole-mqsa: interrupted\n"


def test_a_thread_may_run_it() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["toy"], doing(lambda *_: 7))))
    thread.start()
    thread.join()
    assert codes == [7]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("benhcmark", "unknown command 'benhcmark'; did you mean 'benchmark'?"),
        ("Train", "unknown command 'Train'; did you mean 'train'?"),
        ("xyzzy", f"unknown command 'xyzzy'; there are {', '.join(COMMANDS)}"),
    ],
)
def test_an_unknown_command(capsys: pytest.CaptureFixture[str], word: str, says: str) -> None:
    assert main([word, "--tau=1"]) == 2
    assert capsys.readouterr() == ("", f"recbole-mqsa: {says}\n")


@pytest.mark.parametrize("words", [["--version"], ["report", "--version"], ["--tau=1", "--version"]])
def test_version(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"recbole-mqsa {recbole_mqsa.__version__}\n"


def test_nothing_heavy_is_imported_for_a_quick_answer() -> None:
    code = (
        "import sys\nfrom recbole_mqsa.cli.main import main\n"
        f"codes = [main(words) for words in {QUICK!r}]\n"
        "heavy = {'matplotlib', 'numpy', 'pandas', 'recbole', 'scipy', 'tensorboard', 'torch'}\n"
        "print(codes, heavy.intersection(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    codes = [2 if set(words) & {"trian", "stray", "--outputdir=x"} else 0 for words in QUICK]
    assert done.stderr.splitlines()[-1] == f"{codes} set()"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
@pytest.mark.parametrize("buffered", [[], ["-u"]])
def test_it_ends_quietly_when_nobody_reads(words: list[str], buffered: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, *buffered, "-m", "recbole_mqsa", *words]
    done = subprocess.run(command, env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_the_script_works_from_another_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run_recbole_mqsa.py"), "--tau=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "recbole-mqsa: tau is 0; it has to be a number above 0"
    assert not list(tmp_path.iterdir())

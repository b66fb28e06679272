"""Both ways to start several processes write the run of one, and one that dies ends all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.failing import fail
from helpers.paths import ROOT
from helpers.ranks import EXACT, write_walk
from helpers.runs import without_seconds

from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import PeerLost, UserError
from recbole_mqsa.parallel.launch import RankFailed, spawn


def test_both_ways_to_start_write_one_and_the_same_run(
    tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_walk(tmp_path)
    monkeypatch.chdir(tmp_path)
    exact = [f"--{key}={value}" for key, value in EXACT.items() if key != "embedding_size"]
    words = ["--dataset=walk", "--data_path=.", "--epochs=2", *exact]
    assert main([*words, "--output_dir=alone"]) == 0
    assert main([*words, "--output_dir=spawned", "--nproc=2"]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += [str(ROOT / "run_recbole_mqsa.py"), *words, "--output_dir=torchrun"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1
    assert capfd.readouterr().out.count("best epoch") == 2

    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "spawned", "torchrun", "walk"]
    expected, files = (
        without_seconds(tmp_path / "alone"),
        sorted(p.name for p in (tmp_path / "alone").iterdir()),
    )
    for name in ("spawned", "torchrun"):
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == files
        assert len(list((tmp_path / name / "tensorboard").glob("events*"))) == len(
            list((tmp_path / "alone" / "tensorboard").glob("events*"))
        )
        header, *rows = without_seconds(tmp_path / name)
        assert header == expected[0] and len(rows) == 2
        for row, other in zip(rows, expected[1:]):
            assert [float(cell) for cell in row] == pytest.approx([float(cell) for cell in other], rel=1e-4)


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("user", UserError, "^this file is bad; take another$"),
        ("error", RankFailed, r"^rank 1 failed:\n(.*\n)+ZeroDivisionError: a bug\n$"),
        ("exit", PeerLost, "^rank 1 ended with exit code 9, without raising an error$"),
        ("kill", PeerLost, "^rank 1 ended by signal SIGKILL .*, without raising an error$"),
        (
            "hang",
            PeerLost,
            "^rank 1 has not answered within rank_timeout and was ended; raise rank_timeout if",
        ),
    ],
    ids=["user", "error", "exit", "kill", "hang"],
)
def test_the_death_of_one_ends_all_with_its_error(how: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        spawn(fail, 2, how)

"""tune from the command line: what it lists, and how each mistake is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from recbole_mqsa.cli.main import main

pytest.importorskip("optuna")


def test_a_dry_run_lists_space_and_budget_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "--dry_run", "--max_trials=7", "--jobs=2", "--epochs=5", "--sampler=random"]) == 0
    shown = capsys.readouterr().out
    assert "query_windows" in shown and "one of [1, 2], [1, 3]" in shown
    assert "7 trials of MQSATED on ml-100k, at most 5 epochs each, 2 at once; sampler random" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--space=none.yaml"], "none.yaml cannot be read"),
        (["--space=bad.test"], "bad.test, line 1: 'normal' is none of"),
        (["--model=Pop"], "there is no space for Pop; name one with --space"),
        (["--resume"], "name its folder with --output_dir"),
        (["--callback=1"], "unknown setting 'callback'"),
        (["--max_trials=0"], "--max_trials has 0"),
        (["--tau=0.5"], "tau is in the space, and 0.5 is given for it"),
        (["--dataset=a/b"], "dataset is 'a/b'"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path,
    words: list[str],
    why: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.test").write_text("tau normal 0,1\n")
    assert main(["tune", *words]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["bad.test"]


def test_without_optuna_one_sentence_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "optuna" else find(name, *rest)
    )
    assert main(["tune"]) == 2
    assert 'pip install ".[tune]"' in capsys.readouterr().err

"""benchmark, sweep and ablation from the command line, with real runs; and how each mistake is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.chain import write_chain

from recbole_mqsa.cli.main import main
from recbole_mqsa.runs.atomic import locked
from recbole_mqsa.runs.folder import write_result


@pytest.fixture
def chain(tmp_path: Path) -> list[str]:
    write_chain(tmp_path, certainty=0.8)
    return ["--datasets=chain", f"--data_path={tmp_path}", f"--output_dir={tmp_path / 'out'}"]


def test_a_benchmark_from_the_command_line(tmp_path: Path, chain: list[str], capfd: Any) -> None:
    words = ["benchmark", "--models=Pop,ItemTransition,NoSuch", "--seeds=1", *chain]
    assert main(words) == 2  # before anything runs
    assert "unknown model 'NoSuch'" in capfd.readouterr().err and not (tmp_path / "out").exists()

    words[1] = "--models=Pop,DGCF"
    assert main([*words, "--dry_run"]) == 0
    assert "2 left, time unknown" in capfd.readouterr().out and not (tmp_path / "out").exists()
    assert main(words) == 1
    text = capfd.readouterr().out
    assert text.count("done in") == 1 and text.count("FAILED") == 1 and "makes DGCF draw more" in text
    assert (tmp_path / "out" / "report.md").exists()

    words[1] = "--models=Pop,ItemTransition"
    assert main(words) == 0
    text = capfd.readouterr().out
    assert text.count("running") == 1 and "Pop" not in text  # the finished one stays
    assert main([*words, "--topk=[5,20,50]"]) == 2
    assert "finished with other settings (topk)" in capfd.readouterr().err


def test_a_refit_is_a_second_table(tmp_path: Path, chain: list[str], capfd: Any) -> None:
    """The same runs once more on both parts, for the epochs that were chosen; kept apart, and made once."""
    words = ["benchmark", "--models=ItemTransition,MQSATED", "--refit", "--epochs=3", *chain]
    assert main([*words, "--dry_run"]) == 0
    assert capfd.readouterr().out.count("time unknown") == 6  # a line a run, and one for all of each table
    assert main(words) == 0
    out = tmp_path / "out"
    place = "cells/chain/MQSATED/seed-2020/result.json"
    first, again = (json.loads((folder / place).read_text()) for folder in (out, out / "refit"))
    assert again["settings"]["epochs"] == again["epochs_run"] == first["best_epoch"] + 1
    assert again["settings"]["eval_args"]["split"] == {"LS": "test_only"} and not again["valid"]
    assert again["users"]["test"] == first["users"]["test"]
    for name in ("report.md", "report.tex", "report.html"):
        text = (out / name).read_text()
        assert f"{first['test']['ndcg@20']:.4f}" in text and f"{again['test']['ndcg@20']:.4f}" in text
        assert "rained on the validation part as well" in text
    assert (
        "trained on the validation part as well" in (out / "refit" / "report.md").read_text().splitlines()[0]
    )

    capfd.readouterr()
    assert main(words) == 0
    assert "running" not in capfd.readouterr().out
    first["best_epoch"] += 1
    write_result((out / place).parent, first)
    assert main(words) == 2
    assert "trained once more from another run than the present one (epochs)" in capfd.readouterr().err
    assert main(["report", f"--output_dir={out}"]) == 0
    text = (out / "report.md").read_text()
    assert "not of the runs that are here now: MQSATED on chain, seed 2020." in text
    assert f"{again['test']['ndcg@20']:.4f}" not in text and "rained on the validation part as well" in text


def test_a_refit_leaves_out_what_has_failed(tmp_path: Path, chain: list[str], capfd: Any) -> None:
    assert main(["benchmark", "--models=Pop,DGCF", "--refit", *chain]) == 1
    text = capfd.readouterr().out
    assert text.count("DGCF  seed 2020  running") == 1 and text.count("Pop  seed 2020  running") == 2


def test_a_sweep_has_a_variant_for_each_value(tmp_path: Path, chain: list[str]) -> None:
    """Its trials get the flag and no progress bar: what they are given has passed the check before them."""
    small = tmp_path / "small.yaml"
    small.write_text("hidden_size: 16\ninner_size: 16\nepochs: 3\n")
    words = ["sweep", "--param=query_windows", "--values=[1],[1,2]", f"--config_files={small}", "--epochs=1"]
    assert main([*words, *chain, "--allow_unknown", "--mine=3", "--show_progress=True"]) == 0
    plan = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert plan["study"] == {"kind": "sweep", "param": "query_windows", "values": [[1], [1, 2]]}
    trial = tmp_path / "out" / "cells" / "chain" / "query_windows=[1,2]" / "seed-2020"
    result = json.loads((trial / "result.json").read_text())
    assert result["command"][:2] == ["recbole_mqsa/__main__.py", "train"]  # no path of this machine
    settings = result["settings"]
    assert (settings["query_windows"], settings["hidden_size"], settings["epochs"]) == ([1, 2], 16, 1)
    assert (settings["mine"], settings["show_progress"]) == (3, False)


def test_a_second_benchmark_in_the_folder_is_refused(tmp_path: Path, chain: list[str], capsys: Any) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out", "another benchmark"):
        assert main(["benchmark", "--models=Pop", *chain]) == 2
    assert "is being written by another benchmark" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sweep", "--values=1"], "name it and its values"),
        (["sweep", "--param=tau", "--values="], "--values is empty"),
        (["sweep", "--param=tau", "--values=0.1,0"], "variant 'tau=0' on chain: tau is 0"),
        (["sweep", "--param=tau", "--values=0.1", "--tau=0.2"], "leave it out"),
        (["benchmark", "--seeds=one"], "--seeds has one"),
        (
            [
                "benchmark",
                "--refit",
                "--eval_args={'split': {'LS': 'valid_and_test'}, 'order': 'TO', 'mode': 'uni9'}",
            ],
            "but eval_args says otherwise",
        ),
        (["benchmark", "--jobs=0"], "--jobs has 0"),
        (["benchmark", "--models=Pop,Pop"], "variant 'Pop' is named twice"),
        (["benchmark", "--dataset=chain"], "dataset is chain, but each trial has its own; write --datasets"),
        (["sweep", "--param=tau", "--values=0.1", "--seed=1"], "each trial has its own; write --seeds"),
        (
            ["sweep", "--param=seed", "--values=1,2"],
            "cannot vary seed, which each trial has of its own; write --seeds",
        ),
        (["sweep", "--param=model", "--values=Pop"], "cannot vary model"),
        (["ablation", "--model=SASRec"], "each trial has its own; leave it out"),
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

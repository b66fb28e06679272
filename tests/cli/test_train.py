"""The train command, with real runs that take no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.chain import write_chain

from recbole_mqsa import api
from recbole_mqsa.cli.main import COMMANDS, main, parser_of
from recbole_mqsa.cli.train import table
from recbole_mqsa.settings import config, names


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A folder with the data set 'chain'."""
    write_chain(tmp_path, certainty=0.8)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr with which a command line is refused."""
    assert main(list(words)) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("recbole-mqsa: ")
    return error


def test_arguments_reach_the_run(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (chain / "chain").rename(chain / "1")
    (chain / "1" / "chain.inter").rename(chain / "1" / "1.inter")
    (chain / "a.yaml").write_text(
        f"model: Pop\nseed: 1\ntopk: [5]\nvalid_metric: Hit@5\ndata_path: {chain}\n"
    )
    (chain / "b.yaml").write_text("seed: 2\nmask_seen: false\n")
    words = [f"--config_files={chain}/a.yaml, {chain}/b.yaml", "--dataset=1", "--topk", "[5,10]"]
    words += ["--xyzzy=1", "--allow_unknown", f"--output_dir={chain / 'run'}"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"everything is in {chain / 'run'}"
    result = json.loads((chain / "run" / "result.json").read_text())
    assert (result["model"], result["dataset"], result["seed"]) == ("Pop", "1", 2)
    assert [result["settings"][key] for key in ("topk", "mask_seen", "xyzzy")] == [[5, 10], False, 1]
    assert table(result).splitlines() == out[-1 - len(table(result).splitlines()) : -1]

    assert "already holds a finished run" in refused(capsys, *words)
    assert main([*words, "--resume"]) == 0  # it is finished
    assert capsys.readouterr().out.splitlines() == out


def test_without_names_the_default_model_meets_the_default_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (names.MODEL, names.DATASET) == (api.MODEL, api.DATASET) == ("MQSATED", "ml-100k")
    monkeypatch.chdir(tmp_path)
    small = ["--epochs=1", "--hidden_size=8", "--inner_size=8", "--MAX_ITEM_LIST_LENGTH=5"]
    assert (
        main([*small, "--user_inter_num_interval=[300,inf)", "--state=ERROR", "--show_progress=False"]) == 0
    )
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("MQSATED-ml-100k-")
    assert capsys.readouterr().out.splitlines()[-1] == f"everything is in {Path('runs') / folder.name}"


def test_the_table_has_a_row_for_each_metric() -> None:
    result: dict[str, Any] = {
        "valid": {"ndcg@5": 0.1, "ndcg@20": 0.3, "hit@20": 0.41239, "hit@5": 0.2, "mrr@10": 0.05},
        "test": {"ndcg@5": 0.09, "ndcg@20": 0.28, "hit@20": 0.4, "hit@5": 0.19},
        "best_epoch": 7,
    }
    assert [line.split() for line in table(result).splitlines()] == [
        ["validation", "test"],
        ["HR@5", "0.2000", "0.1900"],
        ["HR@20", "0.4124", "0.4000"],
        ["NDCG@5", "0.1000", "0.0900"],
        ["NDCG@20", "0.3000", "0.2800"],
        ["MRR@10", "0.0500", "-"],
        ["best", "epoch", "7"],
    ]
    assert "best epoch" not in table({**result, "best_epoch": None})  # counting trains nothing


def test_mistakes_end_with_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown setting 'quer_windows'; did you mean 'query_windows'?" in refused(
        capsys, "--quer_windows=3"
    )
    assert "unknown setting 'outputdir'; did you mean 'output_dir'?" in refused(capsys, "--outputdir=here")
    assert "tau is -1; it has to be a number above 0" in refused(capsys, "--tau", "-1")
    assert "stray word 'oops'" in refused(capsys, "--tau=1", "oops")
    assert "nowhere.yaml cannot be read" in refused(capsys, "--config_files=nowhere.yaml")
    assert "--resume goes on with a run: name its folder" in refused(capsys, "--resume")


@pytest.mark.parametrize("name", ["callback", "command"])
def test_what_only_python_may_give_is_no_setting(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert f"unknown setting '{name}'" in refused(capsys, f"--{name}=x")


def test_a_split_without_a_test_part_is_refused(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = "{'split': {'LS': 'valid_only'}, 'order': 'TO', 'group_by': 'user'}"
    words = ["--model=Pop", "--dataset=chain", f"--data_path={chain}", f"--output_dir={chain / 'run'}"]
    assert main([*words, f"--eval_args={split}"]) == 2
    assert "leaves nothing to test" in capsys.readouterr().err and not (chain / "run").exists()


def test_a_mistyped_option_is_known_to_the_settings() -> None:
    parser = parser_of("train", COMMANDS["train"])
    assert {*parser.options, *parser.flags} - {"help", "version"} == set(config.OPTIONS)

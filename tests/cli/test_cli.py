"""The command line: its arguments, its table, its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from helpers.chain import write_chain

import recbole_mqsa
from recbole_mqsa.cli.main import main, parse, table
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import locations

RESULT = {
    "valid": {"ndcg@5": 0.1, "ndcg@20": 0.3, "hit@20": 0.41239, "hit@5": 0.2, "mrr@10": 0.05},
    "test": {"ndcg@5": 0.09, "ndcg@20": 0.28, "hit@20": 0.4, "hit@5": 0.19},
    "best_epoch": 7,
}


@pytest.fixture
def runs(monkeypatch):
    """What the pipeline is called with; nothing is trained."""
    calls = []

    def run(config, output_dir=None, resume=False):
        calls.append((config, output_dir))
        return SimpleNamespace(result=RESULT, folder=Path("runs") / "mine")

    pipeline = ModuleType("recbole_mqsa.training.run")
    pipeline.run = run
    monkeypatch.setitem(sys.modules, "recbole_mqsa.training.run", pipeline)
    return calls


def refused(capsys, *words):
    """The one line on stderr with which a command line is refused."""
    assert main(list(words)) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("recbole-mqsa: ")
    return error


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["--tau=0.5", "--seed=3"], {"tau": 0.5, "seed": 3}),
        (["--tau", "0.5", "--seed", "3"], {"tau": 0.5, "seed": 3}),
        (["train", "--x", "-1", "--y=-1e-4"], {"x": -1, "y": -1e-4}),
        (["--x=a=b", "--y", "a=b"], {"x": "a=b", "y": "a=b"}),
        (["--topk=[5, 10]", "--query_windows", "1,3"], {"topk": [5, 10], "query_windows": (1, 3)}),
        (
            ["--mask_seen=false", "--threshold", "none", "--x="],
            {"mask_seen": False, "threshold": None, "x": ""},
        ),
        (["--x=__import__('os').getcwd()", "--y=2**3"], {"x": "__import__('os').getcwd()", "y": "2**3"}),
        (["--tau=0.1", "--tau", "0.1"], {"tau": 0.1}),
    ],
)
def test_settings_are_literals_in_both_forms(words, settings):
    arguments = parse(words)
    assert (arguments.command, arguments.settings) == ("train", settings)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tau=0.1", "--tau=0.2"], "--tau is given twice, as 0.1 and as 0.2"),
        (["--model=SASRec", "--model", "Pop"], "--model is given twice"),
        (["--tau=0.1", "stray"], "stray word 'stray'"),
        (["--debug", "stray"], "stray word 'stray'"),
        (["--"], "stray word '--'"),
        (["-x"], "stray word '-x'"),
        (["--tau"], "--tau has no value"),
        (["--tau", "--seed=1"], "--tau has no value"),
        (["--allow_unknown=perhaps"], "--allow_unknown is perhaps"),
        (["trian", "--tau=1"], "unknown command 'trian'; did you mean 'train'?"),
    ],
)
def test_a_mistaken_command_line_is_refused(words, says):
    with pytest.raises(UserError) as caught:
        parse(words)
    assert says in str(caught.value)


def test_a_split_without_a_test_part_is_refused(tmp_path: Path, capsys: Any) -> None:
    write_chain(tmp_path, certainty=0.8)
    words = ["--model=Pop", "--dataset=chain", f"--data_path={tmp_path}", f"--output_dir={tmp_path / 'run'}"]
    assert (
        main([*words, "--eval_args={'split': {'LS': 'valid_only'}, 'order': 'TO', 'group_by': 'user'}"]) == 2
    )
    assert "leaves nothing to test" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_without_arguments_the_default_model_meets_the_default_data(runs):
    assert main([]) == 0
    [(config, output_dir)] = runs
    assert (config["model"], config["dataset"], output_dir) == ("MQSATED", "ml-100k", None)


def test_arguments_reach_the_run(runs, tmp_path):
    (tmp_path / "a.yaml").write_text("model: SASRec\nseed: 1\nepochs: 1\nloss_type: BPR")
    (tmp_path / "b.yaml").write_text("seed: 2\nvalid_metric: Hit@10")
    for apart in (" ", ",", ", "):
        files = f"{tmp_path}/a.yaml{apart}{tmp_path}/b.yaml"
        assert main([f"--config_files={files}", "--epochs", "5", "--dataset=1"]) == 0
        config, _ = runs.pop()
        assert [config[key] for key in ("model", "dataset", "seed", "epochs")] == ["SASRec", "1", 2, 5]
    assert main(["train", "--model=MQSATED", "--output_dir", "here", "--xyzzy=1", "--allow_unknown"]) == 0
    config, output_dir = runs.pop()
    assert (config["xyzzy"], output_dir) == (1, "here")


def test_the_arguments_of_the_process_are_the_default(runs, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recbole-mqsa", "--tau=0.7"])
    assert main() == 0
    assert runs[0][0]["tau"] == 0.7


def test_the_table_has_a_row_for_each_metric(runs, capsys):
    assert main([]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["validation", "test"],
        ["HR@5", "0.2000", "0.1900"],
        ["HR@20", "0.4124", "0.4000"],
        ["NDCG@5", "0.1000", "0.0900"],
        ["NDCG@20", "0.3000", "0.2800"],
        ["MRR@10", "0.0500", "-"],
        ["best", "epoch", "7"],
        ["everything", "is", "in", str(Path("runs") / "mine")],
    ]
    assert "best epoch" not in table({"valid": {}, "test": {}, "best_epoch": None})  # counting trains nothing


def test_mistakes_end_with_one_line_and_code_2(runs, capsys):
    assert "did you mean 'query_windows'?" in refused(capsys, "--quer_windows=3")
    assert "tau is -1; it has to be a number above 0" in refused(capsys, "--tau", "-1")
    assert "stray word" in refused(capsys, "--tau=1", "oops")
    assert "nowhere.yaml" in refused(capsys, "--config_files=nowhere.yaml")
    assert not runs


def test_debug_shows_the_traceback(capsys):
    assert main(["--tau=-1", "--debug"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1].startswith("recbole-mqsa: tau is -1")


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (UserError("a\nb"), 2)])
def test_what_ends_a_run_sets_the_code(runs, monkeypatch, capsys, raised, code):
    def run(config, output_dir=None, resume=False):
        raise raised

    monkeypatch.setattr(sys.modules["recbole_mqsa.training.run"], "run", run)
    assert main([]) == code
    assert capsys.readouterr().err == f"recbole-mqsa: {'interrupted' if code == 130 else 'a b'}\n"


def test_a_bug_keeps_its_traceback(runs, monkeypatch):
    monkeypatch.setattr(sys.modules["recbole_mqsa.training.run"], "run", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([])


def test_help_lists_every_setting_with_its_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["--help", "--dataset=amazon-beauty"]) == 0
    text = capsys.readouterr().out
    files = (locations.overall_file(), locations.model_file("MQSATED"))
    defaults = {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}
    del defaults["eval_args"]  # RecBole's sequential.yaml, read last, has the same without group_by
    for key, default in defaults.items():
        assert " ".join(text.split()).count(f" --{key} ({default}) ") == 1
    for shown in (
        "\n  train ",
        "\n  --config_files ",
        "\n  --eval_step (1)",
        "examples:",
        "\n  --seq_separator (' ')",
    ):
        assert shown in text
    assert "\nTransition-aware embedding distillation:\n  --lambda_kd" in text
    assert max(map(len, text.splitlines())) <= 100 or "{" in max(text.splitlines(), key=len)
    assert main(["-h", "--model=LightGCN"]) == 0
    assert "--reg_weight (1e-05)" in capsys.readouterr().out
    assert "unknown model 'Nothing'" in refused(capsys, "--help", "--model=Nothing")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"recbole-mqsa {recbole_mqsa.__version__}\n"


def test_the_script_works_from_another_folder(tmp_path):
    script = Path(__file__).parents[1] / "run_recbole_mqsa.py"
    command = [sys.executable, str(script), "--tau=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "recbole-mqsa: tau is 0; it has to be a number above 0"
    assert not list(tmp_path.iterdir())

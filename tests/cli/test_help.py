"""What --help shows: of the program, of each command, and of a model's settings."""

from __future__ import annotations

import re

import pytest
import yaml

from recbole_mqsa.cli.main import COMMANDS, EXAMPLES, main
from recbole_mqsa.settings import locations

OF_ALL = {"debug", "help", "version"}
OF_STUDIES = {
    *("allow_unknown", "config_files", "datasets", "dry_run", "jobs", "output_dir", "paper", "seeds"),
    *OF_ALL,
}
OPTIONS = {
    "train": {
        *(
            "allow_unknown",
            "config_files",
            "dataset",
            "epochs_from",
            "init",
            "model",
            "output_dir",
            "resume",
            "split",
        ),
        *OF_ALL,
    },
    "benchmark": {"models", "tune", "refit", *OF_STUDIES},
    "tune": {
        *("allow_unknown", "config_files", "dataset", "dry_run", "jobs", "max_trials", "model", "output_dir"),
        *("pruner", "resume", "sampler", "seeds", "space", *OF_ALL),
        *("storage", "study", "silent_after", "engine", "address"),
    },
    "sweep": {"model", "param", "values", *OF_STUDIES},
    "ablation": {"ladder", *OF_STUDIES},
    "report": {"output_dir", "paper", *OF_ALL},
    "inspect": {"output_dir", "runs", *OF_ALL},
    "compare": {"runs", *OF_ALL},
    "prepare": {
        *(
            "columns",
            "core",
            "duplicates",
            "input",
            "item",
            "item_core",
            "memory",
            "min_rating",
            "output",
            "rating",
        ),
        *("separator", "since", "strict", "time", "time_format", "until", "user", "user_core", *OF_ALL),
    },
    "recommend": {
        *("data_path", "exclude", "exclude_seen", "explain", "items", "output", "repeat_purchases", "run"),
        *("sequences", "split", "topk", "users", *OF_ALL),
    },
    "export": {"data_path", "format", "output", "run", *OF_ALL},
    "similar": {"data_path", "items", "run", "topk", *OF_ALL},
}
POINTER = "recbole-mqsa train --help lists them."


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What a command line prints on a terminal of 100 columns."""

    def show(*words: str, width: int = 100) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(list(words)) == 0
        out, error = capsys.readouterr()
        assert error == ""
        return out

    return show


def listed(text: str) -> list[str]:
    return re.findall(r"^  --(\w+)", text, re.M)


def test_the_program_lists_its_commands(shown) -> None:
    text = shown("--help")
    assert text == shown("-h") and not listed(text)
    for name, command in COMMANDS.items():
        headline = (command.__doc__ or "").splitlines()[0]
        assert f"{name} {headline}" in " ".join(text.split())
    assert all(f"\n  {example}\n" in text for example in EXAMPLES)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_command_lists_exactly_its_options_each_with_a_line(shown, name: str) -> None:
    text = shown(name, "--help").partition("\nsettings of ")[0]
    assert sorted(listed(text)) == sorted(OPTIONS[name])
    assert (COMMANDS[name].__doc__ or "").splitlines()[0] in " ".join(text.split())
    for entry in re.split(r"\n  --", text.partition("options:")[2])[1:]:
        assert re.search(r"[A-Z].+\.", entry, re.S), entry


def test_every_command_is_tested_here() -> None:
    assert set(OPTIONS) == set(COMMANDS)


def test_who_takes_settings_says_so(shown) -> None:
    pointing = [name for name in COMMANDS if POINTER in " ".join(shown(name, "--help").split())]
    assert pointing == ["benchmark", "sweep", "ablation", "tune"]
    open_ended = [name for name in COMMANDS if "[--SETTING=VALUE ...]" in shown(name, "--help")]
    assert open_ended == ["train", "benchmark", "sweep", "ablation", "tune"]


def test_train_lists_every_setting_with_its_default(shown) -> None:
    text = shown("train", "--help", "--dataset=amazon-beauty")
    files = (locations.overall_file(), locations.model_file("MQSATED"))
    defaults = {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}
    del defaults["eval_args"]  # RecBole's sequential.yaml, read last, has the same without group_by
    for key, default in defaults.items():
        assert " ".join(text.split()).count(f" --{key} ({default}) ") == 1
    assert "settings of MQSATED on amazon-beauty" in text
    assert "\n  --eval_step (1)" in text and "\n  --seq_separator (' ')" in text
    assert "\nTransition-aware embedding distillation:\n  --lambda_kd" in text
    assert text == shown("--help", "--dataset=amazon-beauty")  # no command is train


def test_train_lists_the_settings_of_another_model(shown, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("train", "--help", "--model=LightGCN")
    assert "--reg_weight (1e-05)" in text and "--query_windows" not in text
    assert "\nOf LightGCN itself:\n  --embedding_size" in text  # RecBole's file has no headings
    assert main(["--help", "--model=SASRek"]) == 2
    assert capsys.readouterr() == ("", "recbole-mqsa: unknown model 'SASRek'; did you mean 'SASRec'?\n")


@pytest.mark.parametrize("width", [60, 100, 200])
@pytest.mark.parametrize("words", [["--help"], ["benchmark", "--help"], ["train", "--help"]], ids=" ".join)
def test_help_is_as_wide_as_the_terminal(shown, words: list[str], width: int) -> None:
    lines = [line for line in shown(*words, width=width).splitlines() if not line.startswith("  ")]
    lines += [line for line in shown(*words, width=width).splitlines() if line.startswith(" " * 34)]
    prose = [line for line in lines if not line.startswith("usage")]
    assert max(map(len, prose)) <= width
    assert width == 60 or max(map(len, prose)) > 60

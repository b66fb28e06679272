"""Words of a command line as options and settings."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

import pytest

from recbole_mqsa.cli.main import COMMANDS, parser_of
from recbole_mqsa.cli.parser import Parser, pairs
from recbole_mqsa.cli.values import literals, names, one_of, truth, whole, wholes, words
from recbole_mqsa.errors import UserError


def parser(command: str = "train") -> Parser:
    return parser_of(command, COMMANDS[command])


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (["--tau=0.5", "--seed=3"], {"tau": 0.5, "seed": 3}),
        (["--tau", "0.5", "--seed", "3"], {"tau": 0.5, "seed": 3}),
        (["--x", "-1", "--y=-1e-4"], {"x": -1, "y": -1e-4}),
        (["--x", "-1e-4", "--y", "-z"], {"x": -1e-4, "y": "-z"}),
        (["--x=a=b", "--y", "a=b"], {"x": "a=b", "y": "a=b"}),
        (["--topk=[5, 10]", "--query_windows", "1,3"], {"topk": [5, 10], "query_windows": (1, 3)}),
        (["--eval_args={'order': 'TO', 'mode': 'full'}"], {"eval_args": {"order": "TO", "mode": "full"}}),
        (["--mask_seen=false", "--threshold", "none", "--x="], {"mask_seen": False, "threshold": None, "x": ""}),
        (["--x=__import__('os').getcwd()", "--y=2**3"], {"x": "__import__('os').getcwd()", "y": "2**3"}),
        (["--tau=0.1", "--tau", "0.1"], {"tau": 0.1}),
        (["--outputdir=here", "--resum", "1", "--config=a"], {"outputdir": "here", "resum": 1, "config": "a"}),
    ],
)  # fmt: skip
def test_what_is_no_option_is_a_setting(given: list[str], settings: dict[str, Any]) -> None:
    assert parser().read(given)[1] == settings


def test_options_are_taken_in_both_forms_and_between_settings() -> None:
    given, settings = parser().read(
        [
            "--tau=0.5",
            "--model",
            "SASRec",
            "--dataset=1",
            "--seed",
            "3",
            "--output_dir",
            "-x",
            "--config_files=",
        ]
    )
    assert (given.model, given.dataset, given.output_dir) == ("SASRec", "1", "-x")
    assert (given.config_files, given.resume, settings) == ([], False, {"tau": 0.5, "seed": 3})


@pytest.mark.parametrize("text", ["a.yaml b.yaml", "a.yaml,b.yaml", " a.yaml, b.yaml "])
def test_config_files_are_separated_by_spaces_or_commas(text: str) -> None:
    assert parser().read([f"--config_files={text}"])[0].config_files == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize(
    ("given", "resume"),
    [
        (["--resume"], True),
        (["--resume=True"], True),
        (["--resume=true", "--resume=true"], True),
        (["--resume=False"], False),
    ],
)
def test_a_flag_may_have_a_value(given: list[str], resume: bool) -> None:
    assert parser().read([*given, "--output_dir=x"])[0].resume is resume


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--tau=0.1", "--tau=0.2"], "--tau is given twice, as 0.1 and as 0.2; keep one"),
        (["--model=SASRec", "--model", "Pop"], "--model is given twice, as SASRec and as Pop; keep one"),
        (["--resume", "--resume=False"], "--resume is given twice, as True and as False; keep one"),
        (["--tau=0.1", "stray"], "stray word 'stray'; settings look like --tau=0.1"),
        (["--debug", "stray"], "stray word 'stray'; settings look like --tau=0.1"),
        (["--"], "stray word '--'; settings look like --tau=0.1"),
        (["--=3"], "stray word '--=3'; settings look like --tau=0.1"),
        (["-x"], "stray word '-x'; settings look like --tau=0.1"),
        (["--tau"], "--tau has no value; write --tau=VALUE"),
        (["--tau", "--seed=1"], "--tau has no value; write --tau=VALUE"),
        (["--model"], "--model has no value; write --model=VALUE"),
        (["--allow_unknown=perhaps"], "--allow_unknown is perhaps; it has to be True or False"),
    ],
)
def test_a_mistaken_command_line_is_refused(given: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        parser().read(given)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--outputdir=x"], "recbole-mqsa report has no option --outputdir; did you mean --output_dir?"),
        (["--tau=1"], "recbole-mqsa report has no option --tau; it has --debug, --help, --output_dir, --paper, "
         "--version"),
    ],
)  # fmt: skip
def test_a_command_without_settings_takes_no_unknown_option(given: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        parser("report").read(given)
    assert str(caught.value) == says


def test_the_help_flag_has_a_short_form() -> None:
    assert pairs(["-h"], {"help"}) == {"help": "True"}


def test_the_paper_flag() -> None:
    for command in ("report", "benchmark"):
        assert parser(command).read(["--paper"])[0].paper and not parser(command).read([])[0].paper


def test_what_an_options_text_becomes() -> None:
    assert words(" a,b  c,,d ") == ["a", "b", "c", "d"]
    assert wholes("1,2 30") == [1, 2, 30]
    assert literals("0,0.5,none") == [0, 0.5, None] and literals("[1,3],[1,4]") == [[1, 3], [1, 4]]
    assert names("Star Wars, b,,c") == ["Star Wars", "b", "c"] and names("['a, b','c', 7]") == [
        "a, b",
        "c",
        "7",
    ]
    assert truth("False") is False and one_of("all", "test")("test") == "test"
    assert literals("'a,b','c'") == ["a,b", "c"] and literals("ted,ges") == ["ted", "ges"]


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (whole(1), "0", "has 0; it takes whole numbers from 1"),
        (wholes, "1,x", "has x; it takes whole numbers from 0"),
        (wholes, "1,-2", "has -2; it takes whole numbers from 0"),
        (literals, "", "names no value; write for example --values=0,0.5,1"),
        (names, " ,", "names nothing"),
        (truth, "1", "is 1; it has to be True or False"),
        (one_of("all", "test"), "tests", "is tests; it has to be one of all, test"),
    ],
)
def test_a_bad_text_is_refused(read: Any, text: str, says: str) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)
    assert str(caught.value) == says


def test_a_bad_text_names_its_option() -> None:
    with pytest.raises(UserError) as caught:
        parser("benchmark").read(["--jobs=0"])
    assert str(caught.value) == "--jobs has 0; it takes whole numbers from 1"


def test_options_may_be_written_with_dashes() -> None:
    given, settings = parser().read(["--output-dir=x", "--allow-unknown", "--no-setting=1"])
    assert (given.output_dir, given.allow_unknown, settings) == ("x", True, {"no-setting": 1})
    with pytest.raises(UserError, match="--output_dir is given twice, as x and as y; keep one"):
        parser().read(["--output-dir=x", "--output_dir=y"])


def test_words_may_stand_for_an_option() -> None:
    assert parser("compare").read(["runs/a b", "c", "--debug"])[0].runs == ["runs/a b", "c"]
    assert parser("compare").read(["c", "--runs=a,b"])[0].runs == ["c", "a", "b"]
    with pytest.raises(UserError, match="stray word 'c'"):
        parser("compare").read(["--debug", "c"])

"""Yaml files of settings: what they say, and what is said about bad ones."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import recbole.config
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings import locations
from recbole_mqsa.settings.files import read_config_files, read_yaml


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"tau: 0.1\nalpha: [0.5\nseed: 1\n", "mine.yaml, line 3: "),
        (b"tau: 0.1\nalpha: 0.5\ntau: 0.2\n", "mine.yaml, line 3: 'tau' comes twice"),
        (b"eval_args: {order: TO, order: RO}\n", "mine.yaml, line 1: 'order' comes twice"),
        (b"- tau\n", "mine.yaml is not a mapping; it needs lines like 'tau: 0.1'"),
        (b"tau: \xff", "mine.yaml, "),
        (b"tau: !!python/object/apply:os.getcwd []", "mine.yaml, line 1: could not determine a constructor"),
        (None, "mine.yaml cannot be read: No such file"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_config_files([str(file)])
    assert says in str(caught.value)


def test_a_later_file_overrides_and_an_empty_one_says_nothing(tmp_path: Path) -> None:
    a, b, empty = (tmp_path / name for name in ("a.yaml", "b.yaml", "empty.yaml"))
    a.write_text("seed: 1\ntau: 0.5\n")
    b.write_text("seed: 2\n")
    empty.touch()
    assert read_config_files([a, b, empty]) == {"seed": 2, "tau": 0.5}
    assert read_config_files([]) == {}


SPELT = (
    *(
        "1e-3",
        "1E5",
        "-2e+3",
        "+1.e4",
        "1.5e-2",
        "1_0e2",
        "0.5",
        ".5",
        "-.5",
        "1.",
        "1_000",
        "1:30.5",
        ".inf",
    ),
    *(
        ".nan",
        "1",
        "007",
        "0x1f",
        "1e",
        "e5",
        "1e-3x",
        "1-e3",
        "true",
        "on",
        "~",
        "2020-01-01",
        "a",
        "[1e-3, b]",
    ),
)


def test_values_are_read_as_recbole_reads_them() -> None:
    theirs = recbole.config.Config._build_yaml_loader(None)
    for text in SPELT:
        expected = yaml.load(f"x: {text}", Loader=theirs)["x"]
        assert repr(_value_of(text)) == repr(expected), text


def _value_of(text: str) -> object:
    from recbole_mqsa.settings import files

    return yaml.load(f"x: {text}", Loader=files._Loader)["x"]


def test_every_file_of_recboles_and_ours_is_read_as_recbole_reads_it() -> None:
    theirs = recbole.config.Config._build_yaml_loader(None)
    paths = [*(locations.recbole_folder() / "properties").rglob("*.yaml"), *locations.FOLDER.rglob("*.yaml")]
    assert len(paths) > 100
    for path in paths:
        assert read_yaml(path) == (yaml.load(path.read_text("utf-8"), Loader=theirs) or {}), path


def test_other_programs_keep_their_loader() -> None:
    code = "import yaml, recbole_mqsa.settings.files; print(yaml.safe_load('1e-3'), yaml.full_load('1e-3'))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code[:-1]}, type(yaml.safe_load('1e-3')))"], capture_output=True, text=True
    )
    assert done.stdout.split() == ["1e-3", "1e-3", "<class", "'str'>"], done.stderr


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text(alphabet="[]{}:-&*!|>'\"#%@,? \n\ta1", max_size=40).map(str.encode))
def test_any_file_is_settings_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    try:
        assert isinstance(read_yaml(file), dict)
    except UserError as refused:
        assert str(refused).startswith(f"config file {file}") and "\n" not in str(refused)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(
            lambda key: key not in ("y", "n", "on", "no", "off")
        ),
        st.booleans()
        | st.integers()
        | st.text(st.characters(codec="ascii", exclude_categories=["C"])).filter(
            lambda text: (
                not re.fullmatch(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+", text)
            )  # a number to us
        ),
    )
)
def test_what_yaml_writes_is_read_back(settings: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        assert read_yaml(file) == settings

"""Spaces as they are read: ours in yaml, RecBole's in lines; and how each mistake is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.literals import literal
from recbole_mqsa.settings.locations import FOLDER
from recbole_mqsa.tuning.parameters import Choice, Range
from recbole_mqsa.tuning.space import parameter, read_space


def written(folder: Path, text: str, name: str = "space.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_yaml_space_has_lists_and_ranges(tmp_path: Path) -> None:
    text = "# ours\nlearning_rate: {low: 1e-4, high: 5e-3, log: true}\ntime_span: {low: 1, high: 3}\nL: [[1, 2], 3]\n"
    rate, span, windows = read_space(written(tmp_path, text))
    assert isinstance(rate, Range) and (rate.low, rate.high, rate.log, rate.whole) == (
        1e-4,
        5e-3,
        True,
        False,
    )
    assert isinstance(span, Range) and span.whole and span.count == 3
    assert isinstance(windows, Choice) and windows.values == ([1, 2], 3)
    assert [windows.value_of(label) for label in windows.labels] == [[1, 2], 3]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("tau: 0.1", "line 1: tau is 0.1; it has to be a list of values, or a range"),
        ("tau: [0.1]\ntau: [0.2]", "line 2: tau is in the space already"),
        ("\ntau: []", "line 2: tau has no value"),
        ("tau: [1, 1]", "has the value 1 twice"),
        ("tau: {low: 1}", "has no high"),
        ("tau: {low: 1, hihg: 2}", "did you mean 'high'"),
        ("tau: {low: 2, high: 1}", "has low 2, which is above high 1"),
        ("tau: {low: 0, high: 1, log: true}", "begins above 0"),
        ("tau: {low: 1, high: 2, log: yes please}", "it has to be true or false"),
        ("tau: {low: 1, high: 9, log: true, step: 2}", "leave one of them out"),
        ("tau: {low: 1, high: 2, step: 3}", "which is more than from 1 to 2"),
        ("tau: {low: one, high: 2}", "has low 'one'"),
        ("- tau", "is not a mapping"),
        ("tau: [1", "line 1"),
    ],
)
def test_a_bad_yaml_space_names_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UserError) as told:
        read_space(written(tmp_path, text))
    assert why in str(told.value) and "space.yaml" in str(told.value)


LINES = """learning_rate loguniform -8,0

embedding_size choice [32, 64, 96]
train_batch_size quniform 100,500,50
mlp_hidden_size choice ['[64, 64]','[128]']
attn_dropout_prob quniform 0,0.9,0.1
hidden_dropout_prob uniform 0.1,0.5
"""


def test_recboles_lines_mean_what_they_mean_to_recbole(tmp_path: Path) -> None:
    """Every value that hyperopt draws from RecBole's own reading of the lines is in ours."""
    pytest.importorskip("hyperopt")
    from hyperopt.pyll.stochastic import sample
    from recbole.trainer import HyperTuning, hyper_tuning

    file = written(tmp_path, LINES, "hyper.test")
    ours, theirs = read_space(file), HyperTuning._build_space_from_file(str(file))
    assert set(ours.parameters) == set(theirs)
    drawn = hyper_tuning.np.random.RandomState(0)  # one that any hyperopt takes
    for _ in range(200):
        for key, value in sample(theirs, drawn).items():
            meant = literal(value) if isinstance(value, str) else value  # as RecBole's Config takes it
            assert meant in ours.parameters[key], (key, value)
    rate = ours.parameters["learning_rate"]
    assert isinstance(rate, Range) and math.isclose(rate.low, math.exp(-8)) and rate.high == 1 and rate.log
    assert ours.parameters["train_batch_size"].count == 9
    assert isinstance(ours.parameters["train_batch_size"].value_of(150), int)  # RecBole takes no 150.0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tau", "it has one word"),
        ("tau normal 0,1", "'normal' is none of choice, uniform, quniform, loguniform"),
        ("tau uniform", "it has two words"),
        ("tau uniform 0", "has 0; it has to be low,high in numbers"),
        ("tau quniform 0,1", "low,high,q"),
        ("tau uniform 0,x", "in numbers"),
        ("tau choice __import__('os').getpid()", "a list of literals"),
        ("tau loguniform 0.001,1000", "exponents of e"),
        ("tau quniform 0,1,0", "above 0"),
        ("tau uniform 1,0", "exchange them"),
    ],
)
def test_a_bad_line_of_recboles_is_named(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(UserError) as told:
        read_space(written(tmp_path, f"a uniform 0,1\n{line}\n", "hyper.test"))
    assert "line 2: " in str(told.value) and why in str(told.value)


def test_drawn_numbers_are_short_and_stay_within_their_range() -> None:
    third = Range("x", 1 / 3, 2 / 3)
    assert third.value_of(0.45678912345) == 0.456789
    assert third.value_of(1 / 3) == 1 / 3 and 0.333333 not in third
    tenths = Range("x", 0.1, 0.9, 0.1)
    assert tenths.value_of(0.1 + 0.1 + 0.1) == 0.3 and 0.3 in tenths and 0.35 not in tenths
    assert tenths.count == 9 and Range("x", 0.0, 1.0, 0.3).top == pytest.approx(0.9)
    assert 2 in Range("x", 1, 3) and 2.5 not in Range("x", 1, 3) and True not in Range("x", 1, 3)


def test_values_that_python_takes_for_equal_stay_apart() -> None:
    mixed = Choice("x", (True, 1, None, "None"))
    assert [mixed.value_of(label) for label in mixed.labels] == [True, 1, None, "None"]
    assert len(set(mixed.labels)) == 4


@pytest.mark.parametrize("file", sorted((FOLDER / "tune").glob("*.yaml")), ids=lambda file: file.stem)
def test_our_spaces_can_be_read(file: Path) -> None:
    space = read_space(file)
    assert all(one == parameter(one.key, _yaml(one), one.where) for one in space)


def _yaml(one: object) -> object:
    from recbole_mqsa.tuning.plan import as_yaml

    return as_yaml(one)  # type: ignore[arg-type]

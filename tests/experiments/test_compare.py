"""Runs side by side: which settings differ, and intervals against those that resampling the users gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.chain import write_chain
from helpers.runs import trained

from recbole_mqsa.cli.main import main
from recbole_mqsa.experiments.compare import read_runs, side_by_side
from recbole_mqsa.training.run import Run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("compare")
    write_chain(home, certainty=0.8)
    return home


@pytest.fixture(scope="module")
def pair(place: Path) -> tuple[Run, Run]:
    more = {"metrics": ["Hit", "NDCG", "ItemCoverage"], "learning_rate": 0.01}
    return trained(place, "a", tau=0.1, **more), trained(
        place, "b", "ItemTransition", metrics=more["metrics"]
    )


def gains(run: Run) -> dict[int, float]:
    """Of NDCG@5, by user, from the ranks."""
    with np.load(run.folder / "ranks.npz") as arrays:
        ranked = zip(arrays["users"].tolist(), arrays["ranks"].tolist())
        return {user: 1 / np.log2(rank + 2) if 0 <= rank < 5 else 0.0 for user, rank in ranked}


def resampled(values: np.ndarray) -> float:
    """Half of the 95 % interval of the mean, by the bootstrap."""
    random = np.random.default_rng(0)
    means = [random.choice(values, len(values)).mean() for _ in range(4000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(high - low) / 2


def test_intervals_are_those_of_resampled_users(pair: tuple[Run, Run]) -> None:
    a, b = read_runs([run.folder for run in pair])
    mine, theirs = gains(pair[0]), gains(pair[1])
    own = a.interval("ndcg@5")
    assert own is not None and own.mean == pair[0].result["test"]["ndcg@5"]
    assert own.half == pytest.approx(resampled(np.array(list(mine.values()))), rel=0.08)
    differences = np.array([theirs[user] - mine[user] for user in mine])
    between = b.minus(a, "ndcg@5")
    assert between is not None and between.mean == pytest.approx(differences.mean())
    assert between.half == pytest.approx(resampled(differences), rel=0.08)
    assert a.interval("itemcoverage").half is None  # no mean over users


def test_the_command(pair: tuple[Run, Run], capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(run.folder) for run in pair]
    assert main(["compare", *folders]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^model +MQSATED +ItemTransition$", out, re.M)
    assert re.search(rf"^HR@5 +{folders[0]} +0\.\d{{4}} ± 0\.\d{{4}}$", out, re.M)
    assert len(re.findall(r"[+-]0\.\d{4} ± 0\.\d{4}( \*)?$", out, re.M)) == 4
    assert "not tested on the same targets" not in out


def test_runs_of_other_tasks_have_no_difference(place: Path, pair: tuple[Run, Run]) -> None:
    repeats = trained(place, "c", "ItemTransition", mask_seen=False)
    text = side_by_side(read_runs([pair[1].folder, repeats.folder]))
    assert "were not tested on the same targets of the same data" in text
    assert re.search(r"^mask_seen +True +False$", text, re.M) and not re.search(r"[+-]0\.\d+ ±", text)


def test_equal_runs(place: Path, pair: tuple[Run, Run]) -> None:
    again = trained(place, "d", "ItemTransition", metrics=["Hit", "NDCG", "ItemCoverage"])
    text = side_by_side(read_runs([pair[1].folder, again.folder]))
    assert "The settings are the same." in text and text.count("+0.0000 ± 0.0000") == 4 and "*\n" not in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "compare needs at least two folders of runs, as in compare runs/a runs/b"),
        (["a"], "compare needs at least two folders"),
        (["a", "a"], "a is given twice; compare different runs"),
        (["a", "chain"], "chain holds no finished run; name a folder with a result.json"),
        (["a", "b", "--tau=1"], "recbole-mqsa compare has no option --tau"),
        (["a", "--debug", "b"], "stray word 'b'"),
    ],
)
def test_refused_in_a_sentence(
    place: Path, pair: tuple[Run, Run], monkeypatch, capsys, words: list[str], says: str
) -> None:
    monkeypatch.chdir(place)
    assert main(["compare", *words]) == 2
    out, error = capsys.readouterr()
    assert out == "" and says in error

"""The parts of a search on Ray that need no Ray; ``tests/stress/ray_cluster.py`` loses a machine of a real cluster."""

from __future__ import annotations

import sys
import types
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from helpers.runs import settings
from helpers.toy_trial import toy_plan

from recbole_mqsa.errors import UserError

pytest.importorskip("optuna")

from recbole_mqsa.runs.folder import read_result, write_result
from recbole_mqsa.tuning import cluster, cluster_trial
from recbole_mqsa.tuning.check import make_plan
from recbole_mqsa.tuning.cluster import ClusterSearch, _Cluster, require_ray
from recbole_mqsa.tuning.record import folder_of
from recbole_mqsa.tuning.space import read_space
from recbole_mqsa.tuning.start import prepared


def installed(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(cluster, "version", version)


def test_a_ray_that_is_missing_or_old_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, None)
    with pytest.raises(
        UserError, match=r"needs Ray, which is not installed: pip install ./third_party/recbole"
    ):
        require_ray()
    installed(monkeypatch, "2.6.3")
    with pytest.raises(UserError, match=r"needs Ray 2.50, and 2.6.3 is installed"):
        require_ray()
    installed(monkeypatch, "2.60.0")
    require_ray()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"engine": "ray", "pruner": "median"}, "engine ray has no pruner 'median'; it has halving and off"),
        ({"engine": "ray", "storage": "grpc://h:1"}, "leave one of them out"),
        ({"address": "here:1"}, "use it with --engine=ray"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    more: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "2.60.0")
    with pytest.raises(UserError, match=why):
        prepared("MQSATED", "ml-100k", {"tau": [0.1, 0.2]}, None, settings={}, **more)  # type: ignore[arg-type]


def test_ray_prunes_by_halving_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "2.60.0")
    made = prepared("MQSATED", "ml-100k", {"tau": [0.1, 0.2]}, tmp_path, settings={}, engine="ray")
    assert isinstance(made, ClusterSearch) and made.plan.pruner == "halving" and made.address == "auto"


def search(folder: Path, count: int = 4) -> ClusterSearch:
    made = ClusterSearch(folder, toy_plan(), count, seeds=0)
    folder.mkdir(exist_ok=True)
    made.note()
    return made


def test_each_trial_ends_as_its_folder_tells(tmp_path: Path) -> None:
    told: list[str] = []
    one = search(tmp_path / "a")
    one.callback = lambda tried: told.append(tried.state)
    configs = [one.next_config() for _ in range(5)]
    assert configs[4] is None
    folders = [Path(config["folder"]) for config in configs if config]
    assert [folder.name for folder in folders] == ["0000", "0001", "0002", "0003"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "epochs.csv").write_text("epoch,train_seconds,valid_seconds\n0,1.5,0.5\n")
    result = {"valid": {"ndcg@20": 0.5}, "best_epoch": 1, "epochs_run": 4, "seconds": {"training": 3.0}}
    write_result(folders[0], {**result, "settings": {}, "test": None})
    (folders[1] / "failed.txt").write_text("the loss became NaN\n")
    for number in (0, 2, 2):
        one.engine.score(number, 1, 0.25)
    assert one.concluded(0) == "NDCG@20 0.5000 (best 0.5000, trial 0)"
    assert one.concluded(1) == "FAILED: the loss became NaN"
    assert one.concluded(2).startswith("pruned after 1 epoch, NDCG@20 0.2500")
    assert one.concluded(3, "it died 3 times") == "FAILED: it died 3 times"
    assert told == ["finished", "failed", "pruned", "failed"]
    assert [one.seconds for one in one.trials] == [3.0, None, 2.0, None]
    rows = (tmp_path / "a" / "trials.csv").read_text().splitlines()
    assert len(rows) == 5 and rows[4].endswith("it died 3 times")


def test_what_was_interrupted_comes_first_when_resumed(tmp_path: Path) -> None:
    first = search(tmp_path / "a")
    drawn = [first.next_config() for _ in range(2)]
    folder = folder_of(tmp_path / "a", 0)
    folder.mkdir(parents=True)
    (folder / "failed.txt").write_text("of the time before")
    again = search(tmp_path / "a", 3)
    handed = [again.next_config() for _ in range(4)]
    assert handed[:2] == drawn and handed[2]["number"] == 2 and handed[3] is None  # type: ignore[index]
    assert not (folder / "failed.txt").exists()


@pytest.mark.parametrize(
    ("nodes", "jobs", "share"),
    [
        ([{"CPU": 8.0}, {"CPU": 4.0}], 3, {"cpu": 4.0}),
        ([{"CPU": 8.0}, {"CPU": 2.0}], 2, {"cpu": 2.0}),  # each has to fit on any machine
        ([{"CPU": 1.0}, {"CPU": 1.0}], 8, {"cpu": 1.0}),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}], 4, {"cpu": 4.0, "gpu": 0.5}),
        ([{"CPU": 8.0, "GPU": 4.0}], 2, {"cpu": 4.0, "gpu": 1.0}),
    ],
)
def test_a_cluster_is_divided_among_the_trials(
    nodes: list[dict[str, float]], jobs: int, share: dict[str, float]
) -> None:
    assert _Cluster(tuple(nodes)).share(jobs) == share


def test_a_trial_reports_once_an_epoch_and_the_last_time_when_it_is_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    folder = home / "trial"

    def report(found: dict[str, float]) -> None:
        seen.append((int(found["epoch"]), read_result(folder) is not None))

    monkeypatch.setitem(sys.modules, "ray.tune", types.SimpleNamespace(report=report))  # type: ignore[arg-type]
    space = read_space({"learning_rate": [0.001, 1e30]})
    plan = make_plan("MQSATED", "chain", space, settings(home, "MQSATED"), pruner="off").as_json()
    config = {"number": 0, "settings": {"learning_rate": 0.001}, "folder": str(folder)}
    cluster_trial.cluster_trial(config, plan)
    assert seen == [(1, False), (2, False), (3, True)]
    cluster_trial.cluster_trial(
        {**config, "settings": {"learning_rate": 1e30}, "folder": str(home / "nan")}, plan
    )
    assert "the training loss became" in (home / "nan" / "failed.txt").read_text()

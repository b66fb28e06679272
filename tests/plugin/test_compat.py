"""Each work-around: what RecBole does without it, and that it is right with it (see helpers/compat_probes.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

Outcomes = dict[str, dict[str, Any]]  # by probe: {"value": ...} or {"error": ...}
# (user, item): 6 users with 5, 6 or 7 of 8 items
ACTIONS = [(user, (user * user + step) % 8 + 1) for user in range(1, 7) for step in range(5 + user % 3)]
SPELLED = "__import__('os').getcwd()"


def outcomes_of(folder: Path, *options: str) -> Outcomes:
    (folder / "tiny").mkdir()
    rows = "".join(f"{user}\t{item}\n" for user, item in ACTIONS)
    (folder / "tiny" / "tiny.inter").write_text("user_id:token\titem_id:token\n" + rows)
    script = ROOT / "tests" / "helpers" / "compat_probes.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcomes: Outcomes = json.loads(done.stdout.splitlines()[-1])
    return outcomes


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return outcomes_of(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return outcomes_of(tmp_path_factory.mktemp("patched"), "--apply")


def errors(outcome: dict[str, Any]) -> str:
    """What the operation fails with; the test is skipped where the installed versions let it pass."""
    if "error" not in outcome:
        pytest.skip("the installed versions need no work-around here")
    return str(outcome["error"])


def test_a_second_installation_changes_nothing(patched: Outcomes) -> None:
    assert patched["idempotent"] == {"value": True}


def test_slow_modules_wait_until_they_are_needed(bare: Outcomes, patched: Outcomes) -> None:
    steps, imported = patched["light_start"]["value"]
    assert imported == []
    (steps_then, areas, compiling, name, is_package) = patched["started"]["value"]
    assert steps_then == steps and bare["started"]["value"][0] == steps  # as torch itself steps
    assert areas == bare["started"]["value"][1] == [0.75, 1.5]
    assert not compiling and name == "sklearn" and is_package  # the real one


def test_metrics_and_config_find_numpys_old_names(bare: Outcomes, patched: Outcomes) -> None:
    assert patched["numpy_metric"]["value"] == [[0, 1 / 2, 1 / 2], [1, 1, 1]]  # 1 / rank of the first hit
    assert patched["numpy_config"]["value"] == 64
    assert "no attribute 'float'" in errors(bare["numpy_metric"])
    assert "np.float_" in errors(bare["numpy_config"])


def test_quick_start_imports_without_ray_and_says_so_when_ray_is_used(
    bare: Outcomes, patched: Outcomes
) -> None:
    assert patched["ray_import"]["value"] == [True, False]  # there, and ray was neither imported nor replaced
    failure = errors(bare["ray_import"])
    sentence, cause, left_over = patched["ray_use"]["value"]
    assert failure in sentence and failure.startswith(cause)
    assert left_over == []


def test_ray_that_works_is_imported_when_used(patched: Outcomes) -> None:
    (first, second), reported = patched["broken_ray"]["value"]
    assert first == second  # and nothing of the broken one is left over
    sentence, left_over = first
    assert "ray.tune.run" in sentence and "AttributeError: np.bool8" in sentence and not left_over
    assert reported == [None, {"hit": 1}, [{"hit": 2}]]  # outside of Ray's trials a report is lost


def test_lightgcn_has_its_adjacency(bare: Outcomes, patched: Outcomes) -> None:
    users, items, adjacency = patched["lightgcn_adjacency"]["value"]
    nodes = [None, *users, None, *[-item for item in items]]  # as RecBole numbers them; items are negated
    linked = {(user, -item) for user, item in ACTIONS}
    degree = {node: sum(node in link for link in linked) for node in nodes if node is not None}
    for row, left in enumerate(nodes):
        for column, right in enumerate(nodes):
            edge = (left, right) in linked or (right, left) in linked
            expected = (degree[left] * degree[right]) ** -0.5 if edge else 0.0
            assert adjacency[row][column] == pytest.approx(expected, rel=1e-5)
    assert "_update" in errors(bare["lightgcn_adjacency"])


def test_a_checkpoint_is_plain_data_that_recbole_loads(bare: Outcomes, patched: Outcomes) -> None:
    saved = patched["checkpoint"]["value"]
    assert all(saved["same"]) and saved["optimizer"] == ["param_groups", "state"]
    assert saved["score"] == ["float", True] and saved["epoch"] == [0, 1]
    assert saved["results"][0] == saved["results"][1]
    config = saved["config"]
    assert (config["model"], config["MODEL_TYPE"], config["device"]) == ("BPR", "ModelType.GENERAL", "cpu")
    assert (config["topk"], config["learning_rate"], config["load_col"]["inter"]) == (
        [5],
        0.001,
        ["user_id", "item_id"],
    )
    assert patched["other_trainers"]["value"] == [[3, "BPR"], [4, "BPR"]]
    for probe in ("checkpoint", "other_trainers"):
        assert errors(bare[probe]).startswith("UnpicklingError")


@pytest.mark.parametrize("model", ["EASE", "ItemKNN"])
def test_a_model_of_arrays_is_loaded_with_them(bare: Outcomes, patched: Outcomes, model: str) -> None:
    loaded = patched[model]["value"]
    assert loaded["results"][0] == loaded["results"][1]
    assert loaded["kinds"][0] == loaded["kinds"][1]
    assert all(loaded["equal"]) and all(loaded["filled"])
    assert errors(bare[model]).startswith("UnpicklingError")


def test_a_data_set_is_downloaded_in_one_process(bare: Outcomes, patched: Outcomes) -> None:
    assert "process group" in bare["download"]["error"]
    assert patched["download"]["value"] == len(ACTIONS)


def test_settings_are_never_evaluated(bare: Outcomes, patched: Outcomes) -> None:
    assert bare["settings_are_literals"]["value"][0] != SPELLED  # the current folder
    assert patched["settings_are_literals"]["value"] == [SPELLED, 1e-4, [64, 32], 1]


def test_a_config_keeps_its_data_sets_keys_to_itself(bare: Outcomes, patched: Outcomes) -> None:
    assert "kg_reverse_r" in bare["argument_lists"]["value"][1]
    assert patched["argument_lists"]["value"] == [True, []]


def test_metrics_that_read_counts(bare: Outcomes, patched: Outcomes) -> None:
    # 6 of 8 items (9 with padding), then one of them; the counts are still there the second time.
    assert patched["metrics_of_counts"]["value"] == [round(6 / 9, 4), round(1 / 9, 4)]
    assert "has no attribute 'cpu'" in errors(bare["metrics_of_counts"])


def test_importing_a_model_does_not_slow_all_training(bare: Outcomes, patched: Outcomes) -> None:
    assert bare["anomaly_detection"]["value"] is True
    assert patched["anomaly_detection"]["value"] is False


def test_tensorboard_writes_into_the_run(bare: Outcomes, patched: Outcomes) -> None:
    assert bare["tensorboard"]["value"] == ["log_tensorboard"]
    assert patched["tensorboard"]["value"] == ["run"]

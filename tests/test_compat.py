"""Each work-around: what RecBole does without it, and that it is right with it (see compat_probes.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Outcomes = dict[str, dict[str, Any]]  # by probe: {"value": ...} or {"error": ...}
# (user, item): 6 users with 5, 6 or 7 of 8 items
ACTIONS = [(user, (user * user + step) % 8 + 1) for user in range(1, 7) for step in range(5 + user % 3)]
SPELLED = "__import__('os').getcwd()"


def outcomes_of(folder: Path, *options: str) -> Outcomes:
    (folder / "tiny").mkdir()
    rows = "".join(f"{user}\t{item}\n" for user, item in ACTIONS)
    (folder / "tiny" / "tiny.inter").write_text("user_id:token\titem_id:token\n" + rows)
    script = Path(__file__).resolve().with_name("compat_probes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(script.parents[1])},
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


def test_apply_twice_changes_nothing(patched: Outcomes) -> None:
    assert patched["idempotent"] == {"value": True}


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


def test_ray_that_works_is_imported_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import recbole_mqsa.compat

    recbole_mqsa.compat.apply()
    from recbole.quick_start import quick_start

    for module in [module for module in sys.modules if module.split(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "half.py").touch()
    (tmp_path / "ray" / "tune.py").write_text("report = dict")
    (tmp_path / "ray" / "__init__.py").write_text("import ray.half\nraise AttributeError('np.bool8')")
    for _ in range(2):  # the second failure is the same as the first
        with pytest.raises(RuntimeError, match=r"ray.tune.report.*AttributeError: np.bool8"):
            quick_start.tune.report(hit=1)
        assert "ray.half" not in sys.modules
    (tmp_path / "ray" / "__init__.py").write_text("# no longer broken; of another length than it was")
    assert quick_start.tune.report(hit=1) == {"hit": 1}


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("+3", 3),
        ("0.5", 0.5),
        (" [1, 3] ", [1, 3]),
        ("{'valid': 'full'}", {"valid": "full"}),
        ("(1, 2)", (1, 2)),
        ("TRUE", True),
        ("false", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("'1'", "1"),
    ],
)
def test_a_literal_is_read(text: str, value: object) -> None:
    from recbole_mqsa.compat import literal

    assert literal(text) == value and type(literal(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        SPELLED,
        "max(1, 2)",
        "1 + 1",
        "sum",
        "2019-2-1",
        "007",
        "[",
        "",
        "\t",
        "b'x'",
        "{1, 2}",
        "1j",
        "...",
        "(" * 999,
    ],
)
def test_anything_else_stays_the_string(text: str) -> None:
    from recbole_mqsa.compat import literal

    assert literal(text) == text


def test_plain_keeps_data_and_leaves_out_the_rest() -> None:
    import numpy as np
    import torch

    from recbole_mqsa.compat import plain

    given = {
        "device": torch.device("cpu"),
        "score": np.float64(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "windows": (1, np.int32(3)),
        "array": np.ones((1, 2)),
        "path": Path("a"),
        "none": None,
        "nested": {"function": print, 2: "two"},
        "list": [print],
    }
    expected = {
        "device": "cpu",
        "score": 0.5,
        "count": 3,
        "flag": True,
        "windows": [1, 3],
        "array": [[1.0, 1.0]],
        "path": "a",
        "none": None,
        "nested": {2: "two"},
    }
    assert plain(given) == expected
    assert [type(value) for value in plain(given).values()] == [type(value) for value in expected.values()]
    with pytest.raises(TypeError, match="has no plain form"):
        plain(print)


class Danger:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_safe_load_says_in_a_sentence_why_not(tmp_path: Path) -> None:
    import torch

    from recbole_mqsa.compat import safe_load
    from recbole_mqsa.errors import UserError

    good, unsafe, cut, foreign = (tmp_path / name for name in ("good", "unsafe", "cut", "foreign"))
    torch.save({"weights": torch.arange(3)}, good)
    assert safe_load(good)["weights"].tolist() == [0, 1, 2]
    torch.save({"config": Danger(tmp_path / "made")}, unsafe)
    cut.write_bytes(good.read_bytes()[:-200])
    foreign.write_text("hello")
    for file, reason in (
        (tmp_path / "none", "No such file"),
        (unsafe, "holds Python objects"),
        (cut, "is damaged or no checkpoint"),
        (foreign, "is damaged or no checkpoint"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            safe_load(file)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()

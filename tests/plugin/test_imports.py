"""``import recbole_mqsa`` is light, and RecBole is changed once it is imported, in whichever order."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from recbole_mqsa.plugin.imports import Aliases, when_imported

FIRST = """
import json, sys
import recbole_mqsa
heavy = [name for name in ("recbole", "torch", "numpy", "pandas") if name in sys.modules]
public = sorted(recbole_mqsa.__all__), recbole_mqsa.UserError.__mro__[1].__name__
recbole_mqsa.register()
"""
SECOND = """
import json
import recbole.utils
import recbole_mqsa
heavy = public = []
"""
MODELS = """
from recbole.utils import get_model
print(json.dumps([heavy, public, [get_model(name).__module__ for name in ("MQSATED", "Pop")]]))
"""
OURS = ["recbole_mqsa.model.mqsated", "recbole_mqsa.model.counting"]


def said(program: str) -> Any:
    """What a program prints as json."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_imports_nothing_heavy_and_then_recbole_knows_our_models() -> None:
    heavy, (public, base), models = said(FIRST + MODELS)
    assert heavy == [] and base == "ValueError"
    assert {"Config", "Run", "UserError", "load", "register", "train"} <= set(public)
    assert models == OURS


def test_recbole_may_be_there_first() -> None:
    assert said(SECOND + MODELS)[2] == OURS


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of this name can be imported, and is forgotten afterwards."""
    name = "imported_by_a_test"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("from . import inner\nready = True\n")
    (tmp_path / name / "inner.py").write_text("number = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_what_waits_for_a_package_runs_once_when_all_of_it_is_there(package: str) -> None:
    calls: list[bool] = []
    when_imported(package, lambda: calls.append(sys.modules[package].ready))
    assert importlib.util.find_spec(package)  # to ask where it is does not import it
    assert calls == [] and package not in sys.modules
    module = importlib.import_module(package)
    assert calls == [True]
    assert (
        type(module.__loader__).__module__
        == type(module.__spec__.loader).__module__
        != when_imported.__module__
    )
    importlib.reload(module)
    assert calls == [True]
    when_imported(package, lambda: calls.append(False))  # it is there already
    assert calls == [True, False]


def test_an_alias_is_the_module_itself(package: str) -> None:
    sys.meta_path.insert(0, Aliases({f"{package}.second": f"{package}.inner"}))
    inner = importlib.import_module(f"{package}.inner")
    assert importlib.import_module(f"{package}.second") is inner
    assert inner.__spec__.name == f"{package}.inner"

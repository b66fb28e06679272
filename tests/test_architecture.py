"""How the modules depend on one another: downwards only, without a circle, late imports counted as any other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from helpers.paths import ROOT

PACKAGE = "recbole_mqsa"
FLOORS = (
    {"__main__"},
    {"cli", "api", "__init__"},
    {"tuning"},
    {"plugin", "experiments", "export", "prepare", "recommend"},
    {"training"},
    {"evaluation"},
    {"runs"},
    {"settings", "model", "data", "parallel"},
    {"errors", "interfaces", "version"},
)
"""The folders and modules of the package, each allowed to import what is on a lower floor or on its own."""
LAZY = re.compile(rf"{PACKAGE}(?:\.\w+)+(?=:|$)")
"""An object or module by its full name, as ``plugin`` and the model registry write what they import later."""


# Reading imports.


def imports(source: str, module: str, known: set[str]) -> set[str]:
    """The modules that a source imports, in full: at its top, in functions, for type checkers, and lazy ones.

    Args:
        module: its own name; a package ends with ``__init__``.
        known: the modules of the package, of which a name in ``from ... import name`` may be one.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found.update(_module(f"{base}.{alias.name}", known) or base for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LAZY.match(node.value):
            found.add(node.value.partition(":")[0])
    return {_module(name, known) or name for name in found} - {module}


def _module(name: str, known: set[str]) -> str | None:
    """The module of a name, which may be a package's."""
    return name if name in known else f"{name}.__init__" if f"{name}.__init__" in known else None


@cache
def graph() -> dict[str, frozenset[str]]:
    """What each module of the package imports; ``recbole_mqsa/model/__init__.py`` is ``model.__init__``."""
    files = (ROOT / PACKAGE).rglob("*.py")
    sources = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text("utf-8") for file in files
    }
    return {
        module.removeprefix(f"{PACKAGE}."): frozenset(
            name.removeprefix(f"{PACKAGE}.") for name in imports(source, module, set(sources))
        )
        for module, source in sources.items()
    }


def inner() -> dict[str, set[str]]:
    """The same among the package's own modules."""
    return {module: set(names & graph().keys()) for module, names in graph().items()}


def reachable(module: str) -> set[str]:
    """All that a module imports, and what that imports, and so on."""
    found: set[str] = set()
    ahead = [module]
    while ahead:
        new = inner()[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def room(module: str) -> str:
    """The folder of a module, or the module itself where it is in none."""
    return module.partition(".")[0]


def rooms() -> dict[str, set[str]]:
    """What each folder imports."""
    found: dict[str, set[str]] = {room(module): set() for module in inner()}
    for module, names in inner().items():
        found[room(module)] |= {room(name) for name in names} - {room(module)}
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The names along one circle; none if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


SOURCE = """
import numpy as np
from . import near
from .near import of_it
from ..model import layers, Absent
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from ..far import Far
def f():
    from .. import deep
    return resolve("recbole_mqsa.lazy:name") + "recbole_mqsa said" + "recbole_mqsa.lazier"
"""


def test_imports_are_read_right() -> None:
    known = {"data.near", "model.layers", "model.__init__", "far", "deep", "lazy", "lazier", "data.here"}
    found = imports(SOURCE, f"{PACKAGE}.data.here", {f"{PACKAGE}.{name}" for name in known})
    assert found == {"numpy", "typing", *(f"{PACKAGE}.{name}" for name in known - {"data.here"})}


def test_circles_are_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


# What holds.


def test_every_folder_has_its_floor() -> None:
    assert set().union(*FLOORS) >= set(rooms()) - {"py.typed"}


def test_dependencies_point_down() -> None:
    height = {name: -number for number, floor in enumerate(FLOORS) for name in floor}
    upwards = [
        f"{module} imports {name}"
        for module, names in inner().items()
        for name in names
        if height[room(name)] > height[room(module)]
    ]
    assert upwards == []


def test_no_circle_between_folders() -> None:
    assert circle(rooms()) == []


def test_no_circle_between_modules() -> None:
    assert circle(inner()) == []


def test_data_knows_neither_settings_nor_models() -> None:
    for module in inner():
        if room(module) == "data":
            assert not {room(name) for name in reachable(module)} & {"settings", "model", "training"}, module


@pytest.mark.parametrize(
    "name",
    ["layers", "ragged", "pooling", "dropout", "softmax", "sampled", "item_table", "distillation", "graph"],
)
def test_layers_and_losses_know_neither_recbole_nor_settings(name: str) -> None:
    own = reachable(f"model.{name}") | {f"model.{name}"}
    assert not {room(other) for other in own} & {"settings", "data", "parallel"}
    for module in own:
        assert "recbole" not in {room(other) for other in graph()[module]}, module


def test_the_package_alone_brings_in_the_plugin() -> None:
    importers = {room(module) for module, names in inner().items() if any(room(n) == "plugin" for n in names)}
    assert importers <= {"__init__", "plugin"}


def test_nothing_else_imports_the_command_line() -> None:
    importers = {module for module, names in inner().items() if any(room(name) == "cli" for name in names)}
    assert {module for module in importers if room(module) != "cli"} == {"__main__"}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def test_files_stay_small() -> None:
    everywhere = list(files(PACKAGE, "tests", "benchmarks"))
    lengths = {
        file.relative_to(ROOT).as_posix(): len(file.read_text("utf-8").splitlines()) for file in everywhere
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert [name for name in lengths if name.endswith("/utils.py")] == []


def test_no_test_imports_from_another() -> None:
    """What several need is in ``helpers``, whose files are no tests."""
    for file in files("tests"):
        names = imports(file.read_text("utf-8"), "tests." + file.stem, set())
        assert not [name for name in names if "test_" in name or name == "conftest"], file
        assert file.parent.name != "helpers" or not file.name.startswith("test_")

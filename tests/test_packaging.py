"""What an installation holds, and how the modules depend on one another."""

from __future__ import annotations

import ast
import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import recbole_mqsa

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("recbole_mqsa", "properties", "setup.py", "pyproject.toml", "LICENSE", "README.md")
YAML = {
    file.relative_to(ROOT / "properties").as_posix(): file.read_bytes()
    for file in (ROOT / "properties").rglob("*.yaml")
}

# Ways of installation.


class Built(NamedTuple):
    checkout: Path  # a copy, so that a build leaves nothing in the real one
    wheel: Path  # unpacked, as are editable installs
    editable: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A checkout, and what installing it as a wheel and as editable puts into site-packages."""
    pytest.importorskip(
        "setuptools", "70.1", reason="a wheel is built by setuptools >= 70.1, in the extra 'test'"
    )
    folder = tmp_path_factory.mktemp("packaging")
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, checkout)
    for kind in ("wheel", "editable"):
        build = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
        done = subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (file,) = folder.glob("*.whl")
        ZipFile(file).extractall(folder / kind)
        file.unlink()
    return Built(checkout, folder / "wheel", folder / "editable")


PROBE = """
import json, site, sys
sys.path += json.loads(sys.argv.pop())
how, where = sys.argv.pop(), sys.argv.pop()
sys.path.insert(0, where)
if how == "editable":
    site.addsitedir(where)  # as Python does at its start: reads the .pth file
import recbole_mqsa.settings.locations as properties
from recbole.config import Config
settings = Config("MQSATED", "amazon-beauty").final_config_dict
keys = ("mask_seen", "query_windows", "user_inter_num_interval")
print(json.dumps([str(properties.PACKAGE), str(properties.FOLDER), {key: settings[key] for key in keys}]))
"""


@pytest.mark.parametrize("how", Built._fields)
def test_the_yaml_files_are_found(built: Built, how: str, tmp_path: Path) -> None:
    expected = {
        "checkout": (built.checkout / "recbole_mqsa", built.checkout / "properties"),
        "editable": (built.checkout / "recbole_mqsa", built.checkout / "properties"),
        "wheel": (built.wheel / "recbole_mqsa", built.wheel / "recbole_mqsa" / "_properties"),
    }
    # -S leaves out the .pth files of this environment, which may hold an editable install of its own.
    others = [entry for entry in sys.path if entry and not (Path(entry) / "recbole_mqsa").exists()]
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROBE, str(getattr(built, how)), how, json.dumps(others)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    package, folder, settings = json.loads(done.stdout.splitlines()[-1])
    assert (Path(package), Path(folder)) == expected[how]
    assert settings == {
        "mask_seen": yaml.safe_load(YAML["overall.yaml"])["mask_seen"],
        "query_windows": yaml.safe_load(YAML["model/MQSATED.yaml"])["query_windows"],
        "user_inter_num_interval": yaml.safe_load(YAML["dataset/amazon-beauty.yaml"])[
            "user_inter_num_interval"
        ],
    }


def test_a_wheel_holds_the_package_with_its_yaml_and_nothing_else(built: Built) -> None:
    def files(folder: Path, pattern: str) -> dict[str, bytes]:
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob(pattern)}

    package = built.wheel / "recbole_mqsa"
    assert files(package / "_properties", "*.*") == YAML
    assert files(package, "*.py") == files(ROOT / "recbole_mqsa", "*.py")
    assert [entry.name for entry in built.wheel.iterdir() if not entry.name.endswith(".dist-info")] == [
        package.name
    ]


def test_metadata(built: Built) -> None:
    (info,) = built.wheel.glob("*.dist-info")
    metadata = HeaderParser().parsestr((info / "METADATA").read_text("utf-8"))
    assert (metadata["Name"], metadata["Version"]) == ("recbole-mqsa", recbole_mqsa.__version__)
    assert (
        "recbole-mqsa = recbole_mqsa.cli.main:main"
        in (info / "entry_points.txt").read_text("utf-8").splitlines()
    )

    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[re.sub("[-_.]+", "-", name).lower()] = Version(version)
    for requirement in map(Requirement, metadata.get_all("Requires-Dist", [])):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


# Dependencies between modules.


def imports(source: str, module: str, known: set[str], late: bool = True) -> set[str]:
    """The modules that a source imports, in full; with ``late=False`` without those inside of functions."""
    found = set()
    for node in _statements(ast.parse(source), late):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            found.update(names & known or {base})
    return found


def _statements(node: ast.AST, late: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if late or not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield from _statements(child, late)


def sources() -> dict[str, str]:
    """Module to source; ``recbole_mqsa/__init__.py`` is ``recbole_mqsa.__init__``."""
    files = [*(ROOT / "recbole_mqsa").rglob("*.py"), ROOT / "run_recbole_mqsa.py"]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text("utf-8") for file in files}


@functools.cache
def graph(late: bool = True) -> dict[str, set[str]]:
    """What each of our modules imports, without the package's own name."""
    modules = sources()
    known = set(modules)
    return {
        module.removeprefix("recbole_mqsa."): {
            name.removeprefix("recbole_mqsa.") for name in imports(source, module, known, late)
        }
        for module, source in modules.items()
    }


def part(module: str) -> str:
    return module.partition(".")[0]


def test_imports_are_read_right() -> None:
    source = (
        "import numpy as np\nfrom . import near\nfrom ..model import layers\ndef f():\n  from ..far import g"
    )
    known = {"p.data.near", "p.model.layers", "p.far"}
    assert imports(source, "p.data.here", known) == {"numpy", "p.data.near", "p.model.layers", "p.far"}
    assert imports(source, "p.data.here", known, late=False) == {"numpy", "p.data.near", "p.model.layers"}


@pytest.mark.parametrize(
    ("importer", "never"),
    [
        ("data", {"model", "trainer", "evaluation", "registry", "pipeline", "cli"}),
        ("model", {"data", "config", "trainer", "evaluation", "registry", "pipeline", "cli"}),
        ("trainer", {"data", "model", "registry", "pipeline", "cli"}),
        ("evaluation", {"data", "model", "trainer", "registry", "pipeline", "cli"}),
        ("config", {"data", "trainer", "evaluation", "registry", "pipeline", "cli"}),
        ("registry", {"pipeline", "cli"}),
        ("pipeline", {"benchmark", "cli"}),
        ("benchmark", {"cli"}),
    ],
)
def test_dependencies_point_one_way(importer: str, never: set[str]) -> None:
    members = {module: names for module, names in graph().items() if part(module) == importer}
    assert members
    for module, names in members.items():
        assert not {part(name) for name in names} & never, module


@pytest.mark.parametrize("name", ["layers", "losses", "ragged", "pooling", "distillation", "graph"])
def test_layers_and_losses_know_neither_recbole_nor_settings(name: str) -> None:
    modules = graph()
    others = {"recbole", *map(part, modules)} - {"model"}
    assert not {part(imported) for imported in modules[f"model.{name}"]} & others


def test_who_may_import_the_command_line() -> None:
    importers = {module for module, names in graph().items() if "cli" in names}
    assert importers == {"__main__", "run_recbole_mqsa"}


def test_no_module_needs_itself_to_be_imported() -> None:
    TopologicalSorter(graph(late=False)).prepare()  # raises for a cycle


def test_files_stay_small() -> None:
    files = [
        file for folder in ("recbole_mqsa", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")
    ]
    assert {
        str(file): count for file in files if (count := len(file.read_text("utf-8").splitlines())) > 400
    } == {}
    assert not [file for file in files if file.name == "utils.py"]

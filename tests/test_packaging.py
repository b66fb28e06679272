"""What an installation holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest
import yaml
from helpers.pins import pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
from recbole_mqsa.settings import locations
print(json.dumps([str(locations.PACKAGE), str(locations.FOLDER)]))
"""
SETTINGS = """
from recbole.config import Config
settings = Config("MQSATED", "amazon-beauty").final_config_dict
keys = ("mask_seen", "query_windows", "user_inter_num_interval")
print(json.dumps({key: settings[key] for key in keys}))
"""


def printed(built: Built, how: str, folder: Path, program: str) -> list[Any]:
    """What a program prints, line by line, that finds the package where it was installed."""
    # -S leaves out the .pth files of this environment, which may hold an editable install of its own.
    others = [entry for entry in sys.path if entry and not (Path(entry) / "recbole_mqsa").exists()]
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(getattr(built, how)), how, json.dumps(others)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line[0] in "[{"]


@pytest.mark.parametrize("how", Built._fields)
def test_the_yaml_files_are_found(built: Built, how: str, tmp_path: Path) -> None:
    expected = {
        "checkout": (built.checkout / "recbole_mqsa", built.checkout / "properties"),
        "editable": (built.checkout / "recbole_mqsa", built.checkout / "properties"),
        "wheel": (built.wheel / "recbole_mqsa", built.wheel / "recbole_mqsa" / "_properties"),
    }
    ((package, folder),) = printed(built, how, tmp_path, PROBE)
    assert (Path(package), Path(folder)) == expected[how]


def test_the_yaml_files_of_a_wheel_are_read(built: Built, tmp_path: Path) -> None:
    *_, settings = printed(built, "wheel", tmp_path, PROBE + SETTINGS)
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
    # Modules, and what lies beside them: the mark of a typed package, the report's templates and its table.
    own = {name: text for name, text in files(package, "*.*").items() if not name.startswith("_properties/")}
    assert own == files(built.checkout / "recbole_mqsa", "*.*")
    assert {"experiments/report/published.csv", "experiments/report/templates/report.css"} <= set(own)
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

    pinned = pins()
    for requirement in map(Requirement, metadata.get_all("Requires-Dist", [])):
        if requirement.name == "ray" and sys.version_info < (3, 12):
            continue  # RecBole's own wheel demands an older one there
        pin = pinned[canonicalize_name(requirement.name)]
        versions = [one.version for one in pin.specifier] or ["1.2.1"]  # of RecBole's folder in third_party
        assert requirement.specifier.contains(versions[0]), requirement

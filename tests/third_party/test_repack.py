"""third_party/recbole: RecBole's wheel with ray as an extra, for Python 3.12 and newer."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PathDistribution
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest
from helpers.paths import ROOT
from helpers.pins import PYTHONS, pins
from packaging.requirements import Requirement

METADATA = """Name: recbole
Version: 1.2.1
Requires-Dist: numpy (>=1.17.2)
Requires-Dist: ray (<=2.6.3,>=1.13.0)
Provides-Extra: hyperopt

Ray is mentioned here, too.
"""


@pytest.fixture
def repack() -> ModuleType:
    spec = importlib.util.spec_from_file_location("repack", ROOT / "third_party/recbole/repack.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def released(repack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel that passes for the released one."""
    wheel = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    info = "recbole-1.2.1.dist-info"
    with ZipFile(wheel, "w") as file:
        file.writestr("recbole/__init__.py", "__version__ = '1.2.1'\n")
        file.writestr(
            "recbole/of recbole-1.2.1.dist-info.txt", "not ours to rename in a content: ray (<=2.6.3)"
        )
        file.writestr(f"{info}/METADATA", METADATA)
        file.writestr(f"{info}/RECORD", "old\n")
    monkeypatch.setattr(repack, "SHA256", repack.hashlib.sha256(wheel.read_bytes()).hexdigest())
    return wheel


def test_only_ray_and_the_version_change(repack: ModuleType, released: Path, tmp_path: Path) -> None:
    repack.repack(released, tmp_path / "changed.whl")
    with ZipFile(released) as old, ZipFile(tmp_path / "changed.whl") as new:
        code = [name for name in old.namelist() if name.startswith("recbole/")]
        assert len(code) == 2
        assert all(old.read(name) == new.read(name) for name in code)
        new.extractall(tmp_path / "unpacked")
    found = PathDistribution(tmp_path / "unpacked/recbole-1.2.1+rayoptional.dist-info")
    assert found.version == "1.2.1+rayoptional"
    asked = {r.name: r for r in map(Requirement, found.requires or [])}
    assert asked["numpy"].marker is None
    marker = asked["ray"].marker
    assert marker is not None and marker.evaluate({"extra": "ray"}) and not marker.evaluate({"extra": ""})
    assert asked["ray"].specifier.contains("2.60.0")


def test_record_lists_every_file_with_its_hash(repack: ModuleType, released: Path, tmp_path: Path) -> None:
    repack.repack(released, tmp_path / "changed.whl")
    with ZipFile(tmp_path / "changed.whl") as new:
        rows = new.read("recbole-1.2.1+rayoptional.dist-info/RECORD").decode().splitlines()
        listed = {name: (digest, size) for name, digest, size in (row.rsplit(",", 2) for row in rows)}
        assert listed.pop("recbole-1.2.1+rayoptional.dist-info/RECORD") == ("", "")
        assert set(listed) == set(new.namelist()) - {"recbole-1.2.1+rayoptional.dist-info/RECORD"}
        for name, (digest, size) in listed.items():
            assert (digest, int(size)) == (repack.digest(new.read(name)), len(new.read(name)))
    # From the wheel specification's example way: urlsafe base64 of SHA-256, no padding; here of no bytes at all.
    assert repack.digest(b"") == "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


def test_the_same_wheel_is_made_each_time(repack: ModuleType, released: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        repack.repack(released, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_another_wheel_is_refused(repack: ModuleType, released: Path, tmp_path: Path) -> None:
    with released.open("ab") as file:
        file.write(b"!")
    with pytest.raises(SystemExit, match=r"not .+: it is not the released wheel"):
        repack.repack(released, tmp_path / "changed.whl")
    assert not (tmp_path / "changed.whl").exists()


def test_metadata_without_the_pin_is_refused(repack: ModuleType) -> None:
    with pytest.raises(SystemExit, match="0 lines like 'Requires-Dist: ray"):
        repack.ray_as_extra(METADATA.replace("ray (<=2.6.3,>=1.13.0)", "rays").encode())


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_choose_a_recbole_for_each_python(python: str) -> None:
    assert (
        bool(pins(python)["recbole"].url)
        == (str(pins(python)["ray"].specifier) != "==2.6.3")  # which is what RecBole's own wheel demands
        == (int(python.split(".")[1]) >= 12)
    )

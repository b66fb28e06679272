"""What constraints.txt pins for a Python."""

from __future__ import annotations

import platform
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .paths import ROOT

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def pins(python: str = ".".join(platform.python_version_tuple()[:2])) -> dict[str, Requirement]:
    """The line of constraints.txt for each package, by its canonical name; none may have two."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if re.match(r"\w", line):
            pin = Requirement(line.replace("${PWD}", str(ROOT)))
            if pin.marker is None or pin.marker.evaluate({"python_version": python}):
                name = canonicalize_name(pin.name)
                assert name not in found, f"{name} is pinned twice for Python {python}"
                found[name] = pin
    return found

"""mkdocs_hooks.py: the site's made tables and its links to files outside docs/."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from helpers.paths import ROOT

from recbole_mqsa.cli.main import COMMANDS
from recbole_mqsa.settings.help import describe_settings


@pytest.fixture
def hooks() -> ModuleType:
    pytest.importorskip("mkdocs", reason="mkdocs is in the extra 'docs'")
    spec = importlib.util.spec_from_file_location("mkdocs_hooks", ROOT / "mkdocs_hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "place", "text", "expected"),
    [
        ("docs/a.md", "a.md", "[b](b.md#c)", "[b](b.md#c)"),
        ("docs/a.md", "a.md", "[r](../results/README.md)", "[r](project/results.md)"),
        ("docs/a.md", "a.md", "[`x.py`](../recbole_mqsa/x.py) and", "`x.py` and"),
        ("CHANGELOG.md", "project/changelog.md", "[e](docs/errors.md)", "[e](../errors.md)"),
        ("results/README.md", "project/results.md", "[b](../benchmarks/README.md#x)", "[b](benchmarks.md#x)"),
        ("results/README.md", "project/results.md", "[own](beauty/report.md)", "own"),
        ("docs/a.md", "a.md", "[out](https://example.org/a.md), [in](#here)", None),
    ],
)
def test_links(hooks: ModuleType, source: str, place: str, text: str, expected: str | None) -> None:
    found = hooks._LINK.sub(lambda link: hooks.relinked(link, source, place), text)
    assert found == (text if expected is None else expected)


def test_every_setting_and_every_command_is_on_the_site(hooks: ModuleType) -> None:
    table = hooks.settings_table("MQSATED")
    for setting in describe_settings("MQSATED", "", ours=True):
        assert f"| `{setting.key}` | `{setting.default}` |" in table
    assert all(f"## recbole-mqsa {name}\n" in hooks.commands() for name in COMMANDS)


def test_marks_of_pages_are_known(hooks: ModuleType) -> None:
    marks = [
        mark for page in (ROOT / "docs").glob("*.md") for mark in hooks._MARK.findall(page.read_text("utf-8"))
    ]
    assert sorted(name for name, _ in marks) == ["commands", "settings"]

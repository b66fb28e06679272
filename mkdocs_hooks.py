"""What the documentation site is made of besides the pages in docs/: tables from the code, pages from elsewhere.

MkDocs calls the functions named ``on_...`` (see ``hooks`` in mkdocs.yml).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from recbole_mqsa.cli.main import COMMANDS, overview, parser_of
from recbole_mqsa.settings.help import Setting, describe_settings

ROOT = Path(__file__).resolve().parent
ELSEWHERE = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "results/README.md": "project/results.md",
}
"""Pages of the repository outside docs/, each with its place on the site."""

_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_MARK = re.compile(r"^<!-- made: (\w+)(?: (\w+))? -->$", re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    for source, place in ELSEWHERE.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the made tables into a page, and let its links point to where the site has their targets."""
    place = page.file.src_uri
    source = next((s for s, p in ELSEWHERE.items() if p == place), f"docs/{place}")
    markdown = _MARK.sub(lambda mark: MADE[mark[1]](*filter(None, [mark[2]])), markdown)
    return _LINK.sub(lambda link: relinked(link, source, place), markdown)


def relinked(link: re.Match[str], source: str, place: str) -> str:
    """A link of the file ``source`` as it has to be on the page ``place``; of a file not on the site only its text."""
    text, target, anchor = link[1], link[2], link[3] or ""
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    there = wanted[len("docs/") :] if wanted.startswith("docs/") else ELSEWHERE.get(wanted)
    if there is None:
        return text
    return f"[{text}]({posixpath.relpath(there, posixpath.dirname(place))}{anchor})"


def settings_table(model: str) -> str:
    """The settings of a model, a table for each heading of the yaml files, with their defaults and what they do."""
    groups: dict[str, list[Setting]] = {}
    for setting in describe_settings(model, "", ours=True):
        groups.setdefault(setting.group or "Others", []).append(setting)
    return "\n".join(f"### {group}\n\n{_rows(rows)}" for group, rows in groups.items())


def _rows(settings: list[Setting]) -> str:
    head = "| setting | default | |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{s.key}` | `{s.default}` | {_cell(s.text)} |\n" for s in settings)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def commands() -> str:
    """What ``--help`` says: of all, then of each command."""
    texts = {"recbole-mqsa": overview(COMMANDS)}
    for name, command in COMMANDS.items():
        texts[f"recbole-mqsa {name}"] = parser_of(name, command).format_help()
    return "\n".join(f"## {name}\n\n```text\n{text.rstrip()}\n```\n" for name, text in texts.items())


MADE = {"settings": settings_table, "commands": commands}
"""What a line ``<!-- made: NAME ARGUMENT -->`` of a page stands for."""

"""Fills the templates of a report.

In each format, whatever a template prints is escaped in the way of that format, so that no name can break a table or
a page; only what a template itself says, and what is already ``Markup``, stands as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .facts import facts, page_facts
from .formatting import MINUS
from .results import Results


def page(results: Results) -> str:
    """``report.html``: the whole report as one page that needs nothing else, neither files nor a network."""
    return environment(None).get_template("report.html").render(page_facts(results))


def markdown(results: Results) -> str:
    """``report.md``: all of the report but its figures."""
    return environment(md).get_template("report.md").render(facts(results)).rstrip() + "\n"


def latex(results: Results) -> str:
    r"""``report.tex``: for each data set a ``table*``, which spans both columns where there are two, and one of slices.

    The document has to load ``booktabs``.
    """
    return environment(tex).get_template("report.tex").render(facts(results))


@functools.cache
def environment(escape: Callable[[str], str] | None) -> Environment:
    """The templates, printing text through ``escape``; None is html's."""
    options: dict[str, Any] = {}
    if escape is tex:  # whose own braces and percent signs are too many
        signs = {"variable": ("<<", ">>"), "block": ("<%", "%>"), "comment": ("<#", "#>")}
        for kind, (start, end) in signs.items():
            options.update({f"{kind}_start_string": start, f"{kind}_end_string": end})
    found = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=None if escape is None else functools.partial(_escaped, escape),
        **options,
    )
    found.filters.update(code=code, comment=comment)
    return found


def _escaped(escape: Callable[[str], str], value: object) -> Markup:
    return Markup(value) if hasattr(value, "__html__") else Markup(escape(str(value)))


def md(text: str) -> str:
    """Text that markdown shows as it is."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", " ".join(text.split()))


def code(text: str) -> Markup:
    """Text as code in markdown, between more backticks than it has in a row."""
    text = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return Markup(f"{fence}{text}{fence}" if len(fence) == 1 else f"{fence} {text} {fence}")


def comment(text: str) -> Markup:
    """Text for a comment, which ends with its line."""
    return Markup(" ".join(text.split()))


_TEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    MINUS: "$-$",
    "±": r"$\pm$",
}


def tex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_TEX.get(letter, letter) for letter in " ".join(text.split()))

"""``report.html``: the whole report as one page that needs nothing else, neither files nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Callable

from . import figures, wording
from .formatting import listing, memory, metric_label, number, probability
from .look import SCRIPT, STYLE
from .statistics import Column, Entry, Results
from .tables import COST_NOTE, cost_table, improvement, seeds_of

# What the browser may load: nothing. It holds even if a name slipped through unescaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(results: Results) -> str:
    """The page of a benchmark, finished or not."""
    sections = {
        "Results": _comparisons(results, results.columns, "metric"),
        "Slices": _slices(results),
        "Sweep": _sweep(results),
        "Training": _curves(results),
        "Quality, time and memory": _scatter(results),
        "Cost": _costs(results),
        "Runs without a result": _unfinished(results),
        "How to read the tables": _notes(results),
        "Settings": _settings(results),
        "Where it ran": _provenance(results),
    }
    shown = {name: body for name, body in sections.items() if body}
    links = "".join(f'<li><a href="#{_anchor(name)}">{name}</a></li>' for name in shown)
    title = escape(wording.title(results))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>',
            f"<header>\n<h1>{title}</h1>\n{_head(results)}\n<nav><ul>{links}</ul></nav>\n</header>\n<main>",
            *(f'<section id="{_anchor(n)}">\n<h2>{n}</h2>\n{body}\n</section>' for n, body in shown.items()),
            "</main>\n<footer>Every number comes from the result.json of a run; curves and the time to the best "
            "epoch from its epochs.csv, the t-test over users from its ranks.npz. report.md and report.tex hold "
            "the tables, results.csv every number.</footer>",
            f"<script>{SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def _anchor(name: str) -> str:
    return name.lower().replace(",", "").replace(" ", "-")


def _head(results: Results) -> str:
    sentence = wording.outcome(results)
    items = {
        "Data sets": listing(results.datasets),
        "Seeds": ", ".join(map(str, results.seeds))
        + (" (one seed, no deviation)" if len(results.seeds) == 1 else ""),
        "Runs": wording.progress(results.cells),
    }
    names = {"hardware": "Hardware", "commit": "Commit", "versions": "Versions", "date": "Date"}
    for key, groups in wording.provenance(results.cells).items():
        if len(groups) == 1 or key == "date":
            texts = sorted(text for text, _ in groups)
            items[names[key]] = texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
        else:
            items[names[key]] = f"{len(groups)} different ones, see “Where it ran”"
    lines = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in items.items())
    return (f'<p class="lead">{escape(sentence)}</p>' if sentence else "") + f"<dl>{lines}</dl>"


# Tables.


def _comparisons(results: Results, columns: dict[str, list[Column]], kind: str) -> str:
    return "\n".join(_comparison(results, dataset, own, kind) for dataset, own in columns.items() if own)


def _comparison(results: Results, dataset: str, columns: list[Column], kind: str) -> str:
    """A table of rows by metrics, or by slices of the test samples."""
    users = {
        cell.result["users"]["test"] for cell in results.cells if cell.dataset == dataset and cell.finished
    }
    about = listing([f"{n:,}" for n in sorted(users)]) + " test users; " if kind == "metric" else ""
    caption = f"<b>{escape(dataset)}</b>{about}{escape(wording.spread_note(results.seeds))}"
    label: Callable[[Column], str] = (
        wording.slice_label if kind == "slice" else lambda column: metric_label(column.metric)
    )
    body = []
    for place, entry in enumerate(columns[0].entries):
        cells = "".join(_cell(column, column.entries[place]) for column in columns)
        body.append(_row(results, entry.row.name, cells, seeds_of(entry)))
    foot = []
    compared = [column.comparison for column in columns]
    if any(compared):
        foot.append(_line("Improvement", [improvement(column) for column in columns]))
        foot.append(_line("over", [c.baseline if c else "" for c in compared]))
    if any(c and c.p is not None for c in compared):
        over = sorted({c.over for c in compared if c and c.p is not None})
        foot.append(_line(f"p ({listing(over)})", [probability(c.p) if c else "" for c in compared]))
    return _table(["", *map(label, columns)], body, caption, foot)


def _cell(column: Column, entry: Entry) -> str:
    if entry.mean is None:
        why = "; ".join(dict.fromkeys(wording.state(cell) for cell in entry.cells))
        return f'<td class="none" title="{escape(why)}">{wording.mark(entry.cells)}</td>'
    text = number(entry.mean)
    if entry.row.name in column.best:
        text = f"<strong>{text}</strong>"
    elif entry.row.name in column.second:
        text = f"<u>{text}</u>"
    if entry.deviation is not None:
        text += f"<small>± {number(entry.deviation)}</small>"
    return f'<td data-value="{entry.mean!r}">{text}</td>'


def _row(results: Results, name: str, cells: str, note: str = "") -> str:
    own = ' class="own"' if name == results.proposed else ""
    beside = f" <small>{note}</small>" if note else ""
    return f'<tr{own}><th scope="row">{escape(name)}{beside}</th>{cells}</tr>'


def _line(head: str, texts: Sequence[str]) -> str:
    cells = "".join(f"<td>{_hung(text)}</td>" for text in texts)
    return f'<tr><th scope="row">{escape(head)}</th>{cells}</tr>'


def _hung(text: str) -> str:
    """A star hangs outside, so that the numbers stay in line."""
    return escape(text[:-1]) + '<span class="star">*</span>' if text.endswith("*") else escape(text)


def _table(
    heads: Sequence[str], body: Sequence[str], caption: str, foot: Sequence[str] = (), kind: str = "sortable"
) -> str:
    """A table that scrolls by itself where it is too wide; ``caption`` is html, ``heads`` are text."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    bottom = f"<tfoot>{''.join(foot)}</tfoot>" if foot else ""
    top = f"<caption><div>{caption}</div></caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table class="{kind}">{top}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + f"\n</tbody>{bottom}</table></div>"
    )


def _slices(results: Results) -> str:
    tables = _comparisons(results, results.slices, "slice")
    intro = f'<p class="soft">{metric_label(str(results.metric))}. {escape(wording.SLICE_NOTE)}</p>'
    others = [
        f"<details><summary>{metric_label(metric)}</summary>"
        f'<div class="grid">{_comparisons(results, {d: of.get(metric, []) for d, of in found.items()}, "slice")}</div>'
        "</details>"
        for found in [results.all_slices]
        for metric in dict.fromkeys(name for of in found.values() for name in of)
        if metric != results.metric
    ]
    return f'{intro}<div class="grid">{tables}</div>{"".join(others)}' if tables else ""


def _costs(results: Results) -> str:
    tables = []
    for dataset in results.datasets:
        heads, rows = cost_table(results, dataset)
        if heads:
            body = []
            for cost, texts in rows:
                body.append(
                    _row(results, cost.row.name, "".join(f"<td>{escape(text)}</td>" for text in texts))
                )
            tables.append(_table(["", *heads], body, f"<b>{escape(dataset)}</b>", kind="costs"))
    return "\n".join([f'<p class="soft">{COST_NOTE}</p>', *tables]) if tables else ""


def _unfinished(results: Results) -> str:
    missing = wording.unfinished(results.cells)
    body = [
        f"<tr><th scope='row'>{escape(cell.row.name)}</th><td>{escape(cell.dataset)}</td><td>{cell.seed}</td>"
        f"<td>{escape(reason)}</td></tr>"
        for cell, reason in missing
    ]
    return _table(["Row", "Data set", "Seed", "Why"], body, "", kind="text") if missing else ""


# Pictures.


def _figures(pictures: dict[str, str | None], notes: dict[str, str] | None = None) -> str:
    shown = [
        f"<figure><figcaption>{escape(name)}</figcaption>{picture}"
        + (f'<p class="soft">{escape(notes[name])}</p>' if notes else "")
        + "</figure>"
        for name, picture in pictures.items()
        if picture
    ]
    return f'<div class="grid">{"".join(shown)}</div>' if shown else ""


def _legend(results: Results) -> str:
    items = "".join(
        f'<li><button type="button" aria-pressed="false" data-row="{look.place}">'
        f"{figures.swatch(look)}{escape(name)}</button></li>"
        for name, look in figures.looks(results.rows, results.proposed).items()
    )
    return f'<ul class="legend">{items}</ul>'


def _curves(results: Results) -> str:
    if results.metric is None:
        return ""
    styles = figures.looks(results.rows, results.proposed)
    pictures = {d: figures.curves(results.cells, d, results.metric, styles) for d in results.datasets}
    if not any(pictures.values()):
        return ""
    band = ", with a band of one sample standard deviation on either side" if len(results.seeds) > 1 else ""
    spread = f"mean over seeds{band}, up to the last epoch of the seed that stopped first"
    text = f"Validation {metric_label(results.metric)} by epoch: "
    text += spread if len(results.seeds) > 1 else "one seed, no deviation"
    text += ". A level line is a model that is fitted in one epoch. Press a name to see it alone."
    return f'<p class="soft">{text}</p>{_legend(results)}{_figures(pictures)}'


def _scatter(results: Results) -> str:
    if results.metric is None:
        return ""
    styles = figures.looks(results.rows, results.proposed)
    pictures = {d: figures.scatter(results.cells, d, results.metric, styles) for d in results.datasets}
    notes = {}
    for dataset in results.datasets:
        _, rows = cost_table(results, dataset)
        sizes = sorted((c.process_bytes, c.row.name) for c, _ in rows if c.process_bytes is not None)
        notes[dataset] = ""
        if sizes:
            ends = [f"{memory(size)} ({name})" for size, name in (sizes[0], sizes[-1])]
            notes[dataset] = f"Peak memory from {ends[0]} to {ends[1]}."
    bars = "; bars: one sample standard deviation" if len(results.seeds) > 1 else ""
    intro = (
        f'<p class="soft">Test {metric_label(results.metric)} against the time of training and validation; up and '
        f"left is better. A marker's area is proportional to the peak memory of the process{bars}.</p>"
    )
    return intro + _figures(pictures, notes) if any(pictures.values()) else ""


def _sweep(results: Results) -> str:
    study = results.plan.get("study") or {}
    if study.get("kind") != "sweep" or results.metric is None:
        return ""
    styles = figures.looks(results.rows, results.proposed)
    param, values = str(study["param"]), study["values"]
    pictures = {
        dataset: figures.sweep(results.cells, dataset, results.metric, param, values, styles)
        for dataset in results.datasets
    }
    text = f"Test {metric_label(results.metric)} by {escape(param)}; {wording.spread_note(results.seeds)}."
    return f'<p class="soft">{text}</p>{_figures(pictures)}' if any(pictures.values()) else ""


# Words.


def _notes(results: Results) -> str:
    if not any(cell.finished for cell in results.cells):
        return "<p>No run is finished.</p>"
    return (
        '<ul class="notes">'
        + "".join(f"<li>{escape(note)}</li>" for note in wording.table_notes(results))
        + "</ul>"
    )


def _settings(results: Results) -> str:
    shared, rows = wording.settings(results.cells)
    parts = [
        '<p class="soft">As given to each row, and in full as its runs record them. “null” is no value, “-” a '
        "setting that a run does not have.</p>"
    ]
    body = [
        f"<tr><th scope='row'>{escape(row.name)}</th><td>{escape(row.model)}</td>"
        f"<td><code>{escape(wording.pairs(row.settings))}</code></td></tr>"
        for row in results.rows
    ]
    parts.append(_table(["Row", "Model", "Settings given"], body, "", kind="text"))
    if shared:
        body = [_setting(key, [(text, "")]) for key, text in shared.items()]
        parts.append(_details(f"All rows: {len(shared)} settings that every run shares", body))
    for name, settings in rows.items():
        body = [_setting(key, values) for key, values in settings.items()]
        if body:
            parts.append(_details(f"{name}: {len(body)} further settings", body))
    return "\n".join(parts)


def _details(summary: str, body: list[str]) -> str:
    table = _table(["Setting", "Value"], body, "", kind="text")
    return f"<details><summary>{escape(summary)}</summary>{table}</details>"


def _setting(key: str, values: list[tuple[str, str]]) -> str:
    lines = [
        f"<code>{escape(text)}</code>" + (f" <small>{escape(place)}</small>" if place else "")
        for text, place in values
    ]
    return f"<tr><th scope='row'><code>{escape(key)}</code></th><td>{'<br>'.join(lines)}</td></tr>"


def _provenance(results: Results) -> str:
    items = []
    if words := wording.command(results.plan):
        items.append(f"<dt>Command</dt><dd><pre><code>{escape(words)}</code></pre></dd>")
    for key, groups in wording.provenance(results.cells).items():
        texts = wording.shares(groups, len(groups) > 1, escape)
        items.append(f"<dt>{key.capitalize()}</dt><dd>{'<br>'.join(texts)}</dd>")
    warnings = "".join(
        f'<p class="warning">{escape(text)}</p>' for text in wording.differences(results.cells)
    )
    return f"{warnings}<dl>{''.join(items)}</dl>" if items else ""

"""The report as text: markdown, long-format csv, and LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

from . import wording
from .costs import Cost, costs, of_cell
from .formatting import MINUS, count, duration, memory, metric_label, number, operations, percent, probability
from .statistics import ALL, Column, Entry, Results

COSTS = {
    "parameters": "Parameters",
    "flops": "FLOPs per user",
    "epoch_seconds": "Time per epoch",
    "best_seconds": "Time to best",
    "total_seconds": "Time in all",
    "epochs": "Epochs",
    "best_epoch": "Best epoch",
    "process_bytes": "Peak memory",
    "gpu_bytes": "Peak memory, GPU",
}
COST_NOTE = (
    "Means over seeds. FLOPs are those of the matrix products that score all items for one user with an input of full "
    "length. The time per epoch is of training alone; that to the best epoch, which is the one tested, and that in all "
    "are with validation. The best epoch counts from 0. Peak memory is the process's, with the data in it."
)


def cost_texts(cost: Cost) -> dict[str, str]:
    """A row of the cost table, written out."""
    return {
        "parameters": count(cost.parameters),
        "flops": operations(cost.flops),
        "epoch_seconds": duration(cost.epoch_seconds),
        "best_seconds": duration(cost.best_seconds),
        "total_seconds": duration(cost.total_seconds),
        "epochs": _few(cost.epochs),
        "best_epoch": _few(cost.best_epoch),
        "process_bytes": memory(cost.process_bytes),
        "gpu_bytes": memory(cost.gpu_bytes),
    }


def _few(value: float | None) -> str:
    return count(value) if value is None or value == int(value) else f"{value:,.1f}"


def cost_table(results: Results, dataset: str) -> tuple[list[str], list[tuple[Cost, list[str]]]]:
    """Heads and rows; without the columns that no run has."""
    rows = [(cost, cost_texts(cost)) for cost in costs(results.cells, dataset)]
    keys = [key for key in COSTS if any(getattr(cost, key) is not None for cost, _ in rows)]
    return [COSTS[key] for key in keys], [(cost, [texts[key] for key in keys]) for cost, texts in rows]


def seeds_of(entry: Entry) -> str:
    """``n of m seeds`` where some are missing but not all, else nothing."""
    done = sum(cell.finished for cell in entry.cells)
    return f"{done} of {len(entry.cells)} seeds" if 0 < done < len(entry.cells) else ""


def _name(entry: Entry) -> str:
    return entry.row.name + (f" ({seeds_of(entry)})" if seeds_of(entry) else "")


# Markdown.


def markdown(results: Results) -> str:
    """``report.md``: all of the report but its figures."""
    lines = [f"# {_md(wording.title(results))}", ""]
    if sentence := wording.outcome(results):
        lines += [_md(sentence), ""]
    lines += [f"{_md(wording.progress(results.cells))}.", ""]
    for dataset in results.datasets:
        lines += [f"## {_md(dataset)}", "", *_md_comparison(results.columns[dataset], None)]
        if results.slices[dataset]:
            lines += [f"### Slices, {metric_label(str(results.metric))}", ""]
            lines += [*_md_comparison(results.slices[dataset], wording.slice_label), wording.SLICE_NOTE, ""]
        heads, rows = cost_table(results, dataset)
        if heads:
            lines += ["### Cost", "", *_md_table(["", *heads], [[_md(c.row.name), *t] for c, t in rows])]
    if any(cell.finished for cell in results.cells):
        lines += ["## How to read the tables", ""]
        lines += [f"- {_md(note)}" for note in wording.table_notes(results)]
        lines += [f"- Cost: {COST_NOTE}", ""]
    if missing := wording.unfinished(results.cells):
        lines += ["## Runs without a result", ""]
        rows_ = [[_md(c.dataset), _md(c.row.name), str(c.seed), _md(reason)] for c, reason in missing]
        lines += _md_table(["data set", "row", "seed", "why"], rows_, "---")
    lines += ["## Rows", ""]
    lines += _md_table(
        ["row", "model", "settings"],
        [[_md(row.name), _md(row.model), _md(wording.pairs(row.settings))] for row in results.rows],
        "---",
    )
    lines += ["## Where it ran", ""]
    if words := wording.command(results.plan):
        lines += [f"- command: {_code(words)}"]
    lines += [f"- seeds: {', '.join(map(str, results.seeds))}"]
    for key, groups in wording.provenance(results.cells).items():
        lines += [f"- {key}: " + "; ".join(wording.shares(groups, len(groups) > 1, _md))]
    lines += [f"- {_md(sentence)}" for sentence in wording.differences(results.cells)]
    return "\n".join(lines).rstrip() + "\n"


def _md_comparison(columns: Sequence[Column], label: object) -> list[str]:
    if not columns:
        return ["No run is finished.", ""]
    heads = [_md(label(c)) if callable(label) else metric_label(c.metric) for c in columns]
    rows = [
        [_md(_name(entry)), *(_md_cell(c, c.entries[place]) for c in columns)]
        for place, entry in enumerate(columns[0].entries)
    ]
    if any(c.comparison for c in columns):
        rows.append(["improvement", *(improvement(c) for c in columns)])
        rows.append(["over", *(_md(c.comparison.baseline) if c.comparison else "" for c in columns)])
    if any(c.comparison and c.comparison.p is not None for c in columns):
        rows.append(["p", *(probability(c.comparison.p) if c.comparison else "" for c in columns)])
    return _md_table(["", *heads], rows)


def improvement(column: Column) -> str:
    """Percent over the best baseline, starred where significant; empty where nothing is compared."""
    if column.comparison is None:
        return ""
    return percent(column.comparison.improvement) + ("*" if column.comparison.significant else "")


def _md_cell(column: Column, entry: Entry) -> str:
    if entry.mean is None:
        return wording.mark(entry.cells)
    text = number(entry.mean)
    if entry.row.name in column.best:
        text = f"**{text}**"
    elif entry.row.name in column.second:
        text = f"<u>{text}</u>"
    if entry.deviation is not None:
        text += f" ± {number(entry.deviation)}"
    return text


def _md_table(heads: Sequence[str], rows: Sequence[Sequence[str]], rule: str = "---:") -> list[str]:
    lines = [heads, ["---", *[rule] * (len(heads) - 1)], *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def _md(text: str) -> str:
    """Text that markdown shows as it is."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    text = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{text}{fence}" if len(fence) == 1 else f"{fence} {text} {fence}"


# Csv.


def long_csv(results: Results) -> str:
    """``results.csv``: a line a number as ``result.json`` has it; a run without a result is a line without one.

    Metrics have their slice; costs, in seconds and bytes, and the count of epochs have none.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["dataset", "row", "seed", "slice", "metric", "value"])
    for cell in results.cells:
        about = [cell.dataset, cell.row.name, cell.seed]
        if not cell.finished:
            table.writerow([*about, "", "", ""])
            continue
        slices = {name: of for name, of in (cell.result.get("slices") or {}).items() if name != ALL}
        for part, values in {ALL: cell.result["test"], **slices}.items():
            table.writerows([*about, part, name, value] for name, value in values.items())
        for name, value in of_cell(cell).items():
            if value is not None:
                table.writerow([*about, "", name, value])
    return out.getvalue()


# LaTeX.


def latex(results: Results) -> str:
    r"""``report.tex``: a ``table*`` a data set, which spans both columns where there are two, and one of its slices.

    The document has to load ``booktabs``.
    """
    parts = ["% Needs \\usepackage{booktabs}.", *facts_comment(results)]
    for dataset in results.datasets:
        about = f"{dataset}: {wording.spread_note(results.seeds)}."
        if results.columns[dataset]:
            parts.append(
                _tex_table(
                    results, results.columns[dataset], about, lambda column: metric_label(column.metric)
                )
            )
        if results.slices[dataset]:
            about = f"{dataset}, {metric_label(str(results.metric))}: {wording.spread_note(results.seeds)}."
            note = f"{about} {wording.SLICE_NOTE}"
            parts.append(_tex_table(results, results.slices[dataset], note, wording.slice_label))
    return "\n".join(parts) + "\n"


def facts_comment(results: Results) -> list[str]:
    """The notes as LaTeX comments, so that whoever pastes the table has them."""
    return [f"% {' '.join(note.split())}" for note in wording.table_notes(results)]


def _tex_table(
    results: Results, columns: Sequence[Column], caption: str, label: Callable[[Column], str]
) -> str:
    entries = columns[0].entries
    own = [place for place, entry in enumerate(entries) if entry.row.name == results.proposed]
    lines = [
        r"\begin{table*}[t]",
        r"  \centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"  \caption{{{tex(caption)}}}",
        rf"  \begin{{tabular}}{{l{'c' * len(columns)}}}",
        r"    \toprule",
        "    & " + " & ".join(tex(label(c)) for c in columns) + r" \\",
        r"    \midrule",
    ]
    for place, entry in enumerate(entries):
        if place in own and place:
            lines.append(r"    \midrule")
        cells = [_tex_cell(c, c.entries[place]) for c in columns]
        lines.append("    " + " & ".join([tex(_name(entry)), *cells]) + r" \\")
    if any(c.comparison for c in columns):
        texts = [tex(improvement(c)) for c in columns]
        lines += [r"    \midrule", "    " + " & ".join(["Improvement", *texts]) + r" \\"]
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table*}"])


def _tex_cell(column: Column, entry: Entry) -> str:
    if entry.mean is None:
        return tex(wording.mark(entry.cells))
    text = number(entry.mean)
    if entry.row.name in column.best:
        text = rf"\textbf{{{text}}}"
    elif entry.row.name in column.second:
        text = rf"\underline{{{text}}}"
    if entry.deviation is not None:
        text += rf"{{\tiny$\pm${number(entry.deviation)}}}"
    return text


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

"""What a report says in words: what was compared, the outcome, how it was tested, where it ran, what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable

from ..cells import Cell
from .formatting import MISSING, listing, metric_label, plural, processor
from .statistics import MIN_SEEDS, SIGNIFICANT, Column, Results, baselines, by_row, parts


def title(results: Results) -> str:
    """What was compared on what."""
    rows = [row.name for row in results.rows]
    models = listing(list(dict.fromkeys(row.model for row in results.rows)))
    where = plural(len(results.datasets), "data set")
    study = results.plan.get("study") or {}
    if study.get("kind") == "sweep":
        return f"{models}: {plural(len(study['values']), 'value')} of {study['param']} on {where}"
    if study.get("kind") == "ablation":
        return f"{models}: ablation with {plural(len(rows), 'variant')} on {where}"
    if results.proposed in rows and len(rows) > 1:
        return f"{results.proposed} against {plural(len(results.rivals), other(results))} on {where}"
    return f"{plural(len(rows), 'model')} on {where}"


def other(results: Results) -> str:
    """What a row is that the proposed one is compared with."""
    return "baseline" if baselines(results.rows, results.proposed) else "variant"


def outcome(results: Results) -> str:
    """How often the proposed row is best, in one sentence or two; empty if nothing can be compared."""
    compared = [c for columns in results.columns.values() for c in columns if c.comparison]
    if not compared:
        return ""
    won = [c for c in compared if results.proposed in c.best]
    lost = [c for c in compared if results.proposed not in c.best]
    text = (
        f"{results.proposed} has the best mean in {len(won)} of {plural(len(compared), 'column')} "
        f"(each metric on each data set){_clear(won)}."
    )
    if lost:
        text += f" In the other {len(lost)} a {other(results)} is better{_clear(lost)}."
    finished = {cell.row.name for cell in results.cells if cell.finished}
    absent = [name for name in results.rivals if name not in finished]
    if absent:
        text += f" No run of {listing(absent)} is finished."
    return text


def _clear(columns: list[Column]) -> str:
    """How many of some columns a t-test calls different; empty where nothing was tested."""
    tested = [c.comparison for c in columns if c.comparison and c.comparison.p is not None]
    return f", in {sum(c.significant for c in tested)} of them with p < {SIGNIFICANT}" if tested else ""


def spread_note(seeds: Sequence[int]) -> str:
    """What stands in a cell of the tables."""
    if len(seeds) == 1:
        return "one seed, no deviation"
    return f"mean ± sample standard deviation over {len(seeds)} seeds"


def table_notes(results: Results) -> list[str]:
    """How to read the tables, and what the t-tests paired."""
    notes = [
        f"Cells: {spread_note(results.seeds)}. The best mean is bold, the second underlined; equal means share "
        "the mark."
    ]
    rows = [row for dataset in results.datasets for row in by_row(results.cells, dataset).values()]
    if any(len(row) > sum(cell.finished for cell in row) > 0 for row in rows):
        notes.append("“n of m seeds” beside a name: only those are finished, and the means are over them.")
    compared = [c for columns in results.columns.values() for c in columns if c.comparison]
    if not compared:
        return notes
    notes.append(
        f"Improvement: {results.proposed} over the {other(results)} with the best mean, in percent of that mean. "
        f"* is p < {SIGNIFICANT} in a two-sided paired t-test of the two, whichever is better; "
        "p is not corrected for the number of tests."
    )
    tests: dict[tuple[str, tuple[int, ...]], dict[str, int]] = {}
    untested: dict[str, list[str]] = {}
    for c in compared:
        assert c.comparison is not None
        if c.comparison.p is None:
            untested.setdefault(c.dataset, []).append(metric_label(c.metric))
        else:
            tests.setdefault((c.comparison.over, c.comparison.seeds), {})[c.dataset] = c.comparison.pairs
    notes += [_pairing(over, seeds, pairs) for (over, seeds), pairs in tests.items()]
    if untested:
        columns = listing([f"{listing(names)} on {dataset}" for dataset, names in untested.items()])
        notes.append(
            f"No t-test for {columns}: either all differences are equal, or there are fewer than "
            f"{MIN_SEEDS} seeds in common and no ranks of users that agree with the metric."
        )
    return notes


def _pairing(over: str, seeds: tuple[int, ...], pairs: dict[str, int]) -> str:
    names = listing([str(seed) for seed in seeds])
    if over == "seeds":
        return f"The t-test pairs {len(seeds)} seeds ({names}) on {listing(list(pairs))}."
    own = f"of seed {names}" if len(seeds) == 1 else f"each with its mean over the seeds {names}"
    users = listing([f"{n:,} on {dataset}" for dataset, n in pairs.items()])
    return (
        f"With fewer than {MIN_SEEDS} seeds in common, the t-test pairs users, {own}: {users}. It does not say how "
        "much another seed would change."
    )


SLICE_NOTE = (
    "Test samples by how often the transition from the last input item to the test item occurs in training: "
    "never (0), at least once (>0), and all of them; in brackets how many. Where users are paired, a slice's t-test "
    "pairs its own."
)


def slice_label(column: Column) -> str:
    """A slice with how many samples of the data set it has."""
    cells = [cell for entry in column.entries for cell in entry.cells]
    sizes = sorted(parts(cells).get(column.part, set()))
    return f"{column.part} ({listing([f'{size:,}' for size in sizes])})" if sizes else column.part


def unfinished(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """Every cell without a result, and why."""
    return [(cell, state(cell)) for cell in cells if not cell.finished]


def state(cell: Cell) -> str:
    if cell.finished:
        return "finished"
    return f"failed: {cell.failure}" if cell.failure else "not run, or not finished"


def mark(row: Sequence[Cell]) -> str:
    """What stands in a table in place of a mean that does not exist."""
    if any(cell.finished for cell in row):
        return MISSING
    return "failed" if any(cell.failure for cell in row) else "not run"


def progress(cells: Sequence[Cell]) -> str:
    """How much of the plan is done."""
    done, failed = sum(cell.finished for cell in cells), sum(cell.failure is not None for cell in cells)
    text = f"{done} of {plural(len(cells), 'run')} finished"
    return text + (f", {failed} failed" if failed else "")


PROVENANCE = ("hardware", "commit", "versions", "date")


def provenance(cells: Sequence[Cell]) -> dict[str, list[tuple[str, list[Cell]]]]:
    """Hardware, commit and so on: each text with the finished cells that it holds for, the commonest first."""
    found: dict[str, list[tuple[str, list[Cell]]]] = {}
    for key in PROVENANCE:
        groups: dict[str, list[Cell]] = {}
        for cell in cells:
            if cell.finished and (text := _record(key, cell.result.get(key))):
                groups.setdefault(text, []).append(cell)
        if groups:
            found[key] = sorted(groups.items(), key=lambda item: -len(item[1]))
    return found


def _record(key: str, record: Any) -> str:
    if key == "hardware" and isinstance(record, dict):
        return processor(record)
    if key == "versions" and isinstance(record, dict):
        return ", ".join(f"{name} {number}" for name, number in record.items())
    if key == "date" and record:
        return str(record)[:10]  # the day
    return "" if record is None else str(record)


def differences(cells: Sequence[Cell]) -> list[str]:
    """A sentence for each of hardware, commit and versions that is not the same for all runs."""
    sentences = {
        "hardware": "Not all runs had the same hardware: their times and memory do not compare.",
        "commit": "Not all runs are of the same commit.",
        "versions": "Not all runs had the same versions of packages.",
    }
    records = provenance(cells)
    found = [text for key, text in sentences.items() if len(records.get(key, [])) > 1]
    unknown = [c for c in cells if c.finished and not c.result.get("commit")]
    if unknown:
        found.append(f"No commit is recorded for {where(unknown)}.")
    return found


def shares(
    groups: list[tuple[str, list[Cell]]], several: bool, escape: Callable[[str], str] = str
) -> list[str]:
    """Each text of a record, with the runs that it holds for if there are several texts."""
    return [escape(f"{text} ({where(members)})" if several else text) for text, members in groups]


def pairs(settings: dict[str, Any]) -> str:
    """Settings as one line."""
    return ", ".join(f"{key}={_literal(value)}" for key, value in settings.items()) or "defaults"


def where(cells: Sequence[Cell], most: int = 4) -> str:
    """Which cells, as few words as tell it."""
    names = [f"{cell.dataset}/{cell.row.name}/seed {cell.seed}" for cell in cells]
    shown = names if len(names) <= most else []
    return ", ".join(shown) or plural(len(names), "run")


def command(plan: dict[str, Any]) -> str:
    words = plan.get("command") or []
    return " ".join(map(str, words)) if isinstance(words, list) else str(words)


def settings(cells: Sequence[Cell]) -> tuple[dict[str, str], dict[str, dict[str, list[tuple[str, str]]]]]:
    """All settings of all finished runs: those they share, and by row the others.

    Returns:
        name to value where every run has the same; and row to name to pairs of a value and where it holds
        (empty for all runs of the row).
    """
    runs = [cell for cell in cells if cell.finished]
    texts = [{key: _literal(v) for key, v in sorted(cell.result["settings"].items())} for cell in runs]
    shared = {
        key: text
        for key, text in (texts[0] if texts else {}).items()
        if all(t.get(key) == text for t in texts)
    }
    rows: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name in dict.fromkeys(cell.row.name for cell in runs):
        mine = [(cell, text) for cell, text in zip(runs, texts) if cell.row.name == name]
        keys = sorted({key for _, text in mine for key in text} - set(shared))
        rows[name] = {key: _by_place([(cell, text.get(key, MISSING)) for cell, text in mine]) for key in keys}
    return shared, rows


def _by_place(values: list[tuple[Cell, str]]) -> list[tuple[str, str]]:
    """One value for the row, or one a data set, or one a seed, or one a run: the least that tells it."""
    choices = (
        lambda cell: "",
        lambda cell: cell.dataset,
        lambda cell: f"seed {cell.seed}",
        lambda cell: f"{cell.dataset}, seed {cell.seed}",
    )
    for place in choices:
        found: dict[str, set[str]] = {}
        for cell, text in values:
            found.setdefault(place(cell), set()).add(text)
        if all(len(texts) == 1 for texts in found.values()):
            return [(text, name) for name, texts in found.items() for text in texts]
    raise AssertionError("a run has one value of a setting")


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

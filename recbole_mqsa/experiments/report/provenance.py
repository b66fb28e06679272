"""Where the runs of a report come from: hardware, commit, versions, date, and their settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ...interfaces import Json
from ..trials import Trial, Variant
from .formatting import MISSING, listing, machine, plural
from .wording import DEFAULTS

Groups = list[tuple[str, list[Trial]]]
"""Each text of a record with the finished runs that it holds for, the commonest first."""

RECORDS = {"hardware": "Hardware", "commit": "Commit", "versions": "Versions", "date": "Date"}


def provenance(trials: Sequence[Trial]) -> dict[str, Groups]:
    """Hardware, commit and so on, as far as the finished runs record them."""
    found: dict[str, Groups] = {}
    for key in RECORDS:
        groups: dict[str, list[Trial]] = {}
        for trial in trials:
            if trial.tested and (text := _record(key, trial.result.get(key))):
                groups.setdefault(text, []).append(trial)
        if groups:
            found[key] = sorted(groups.items(), key=lambda item: -len(item[1]))
    return found


def _record(key: str, record: Any) -> str:
    if key == "hardware" and isinstance(record, dict):
        return machine(record)
    if key == "versions" and isinstance(record, dict):
        return ", ".join(f"{name} {number}" for name, number in record.items())
    if key == "date" and record:
        return str(record)[:10]  # the day
    return "" if record is None else str(record)


def in_short(trials: Sequence[Trial]) -> dict[str, str]:
    """One line for each record: its text if all runs have the same, else how many there are."""
    lines = {}
    for key, groups in provenance(trials).items():
        texts = sorted(text for text, _ in groups)
        if key == "date" and len(texts) > 1:
            lines[RECORDS[key]] = f"{texts[0]} to {texts[-1]}"
        else:
            lines[RECORDS[key]] = (
                texts[0] if len(texts) == 1 else f"{len(texts)} different ones, see “Where it ran”"
            )
    return lines


def in_full(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """Each text of each record, with the runs that it holds for if there are several texts."""
    return {
        RECORDS[key]: [f"{text} ({where(members)})" if len(groups) > 1 else text for text, members in groups]
        for key, groups in provenance(trials).items()
    }


def differences(trials: Sequence[Trial]) -> list[str]:
    """A sentence for each of hardware, commit and versions that is not the same for all runs."""
    sentences = {
        "hardware": "Not all runs had the same hardware: their times and memory do not compare.",
        "commit": "Not all runs are of the same commit.",
        "versions": "Not all runs had the same versions of packages.",
    }
    records = provenance(trials)
    found = [text for key, text in sentences.items() if len(records.get(key, [])) > 1]
    unknown = [trial for trial in trials if trial.tested and not trial.result.get("commit")]
    if unknown:
        found.append(f"No commit is recorded for {where(unknown)}.")
    return found


def time_note(trials: Sequence[Trial]) -> str:
    """What to bear in mind where times and memory of some runs stand side by side; empty if they compare."""
    records = provenance(trials)
    kinds = {"hardware": "machine", "commit": "commit"}
    counts = [plural(len(records[key]), noun) for key, noun in kinds.items() if len(records.get(key, [])) > 1]
    if not counts:
        return ""
    return (
        f"These runs are of {listing(counts)}: compare their times and memory with care (see “Where it ran”)."
    )


def where(trials: Sequence[Trial], most: int = 4) -> str:
    """Which runs, in as few words as tell it."""
    names = [f"{trial.dataset}/{trial.variant.name}/seed {trial.seed}" for trial in trials]
    shown = names if len(names) <= most else []
    return ", ".join(shown) or plural(len(names), "run")


def command(plan: Json) -> list[str]:
    """The words of the command that wrote the plan; none where the plan does not say."""
    words = plan.get("command") or []
    return list(map(str, words)) if isinstance(words, list) else str(words).split()


def pairs(settings: Json) -> str:
    """Settings as one line."""
    return ", ".join(f"{key}={_literal(value)}" for key, value in settings.items())


def given_settings(variant: Variant, trials: Sequence[Trial]) -> str:
    """The settings that make a variant, or whose it has where it was given none."""
    own = [trial for trial in trials if trial.tested and trial.variant.name == variant.name]
    presets = {trial.result["settings"].get("preset") for trial in own}
    preset = presets.pop() if len(presets) == 1 else None
    otherwise = f"this package's preset {preset}" if preset not in (None, "none") else DEFAULTS
    return pairs(variant.settings) or otherwise


Places = list[tuple[str, str]]
"""Values of a setting, each with where it holds (empty for all runs of the variant)."""


def settings(trials: Sequence[Trial]) -> tuple[dict[str, str], dict[str, dict[str, Places]]]:
    """All settings of all finished runs: those they share, and by variant the others.

    Returns:
        name to value where every run has the same; and variant to name to the values with their places.
    """
    finished = [trial for trial in trials if trial.tested]
    texts = [{key: _literal(v) for key, v in sorted(trial.result["settings"].items())} for trial in finished]
    shared = {
        key: text
        for key, text in (texts[0] if texts else {}).items()
        if all(t.get(key) == text for t in texts)
    }
    variants: dict[str, dict[str, Places]] = {}
    for name in dict.fromkeys(trial.variant.name for trial in finished):
        mine = [(trial, text) for trial, text in zip(finished, texts) if trial.variant.name == name]
        keys = sorted({key for _, text in mine for key in text} - set(shared))
        variants[name] = {
            key: _by_place([(trial, text.get(key, MISSING)) for trial, text in mine]) for key in keys
        }
    return shared, variants


def _by_place(values: list[tuple[Trial, str]]) -> Places:
    """One value for the variant, or one for each data set, or seed, or run: the fewest that tell it."""
    choices: tuple[Callable[[Trial], str], ...] = (
        lambda trial: "",
        lambda trial: trial.dataset,
        lambda trial: f"seed {trial.seed}",
        lambda trial: f"{trial.dataset}, seed {trial.seed}",
    )
    for place in choices:
        found: dict[str, set[str]] = {}
        for trial, text in values:
            found.setdefault(place(trial), set()).add(text)
        if all(len(texts) == 1 for texts in found.values()):
            return [(text, name) for name, texts in found.items() for text in texts]
    raise AssertionError("a run has one value of a setting")


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

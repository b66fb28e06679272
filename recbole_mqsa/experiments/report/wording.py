"""What a report says in words: what was compared, the outcome, how it was tested, what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from ...interfaces import Json
from ..trials import REFIT, Trial
from .formatting import MISSING, listing, metric_label, plural
from .published import SOURCE
from .results import ALL, SIGNIFICANT, Column, Comparison, Results, baselines, by_variant, parts
from .significance import MIN_SEEDS

SLICE_NOTE = (
    "Test samples by how often the transition from the last input item to the test item occurs in training: "
    "never (0), at least once (>0), and all of them; their number is in brackets. Where users are paired, a slice's "
    "t-test pairs the users in it."
)
REFIT_NOTE = (
    "Each run once more, with new weights, on the training and the validation part together, for as many epochs as "
    "validation had chosen; the test is the same. These numbers compare with each other and with those of programs "
    "that train so, not with the first table."
)
COST_NOTE = (
    "Means over seeds. FLOPs are those of the matrix products that score all items for one user with an input of full "
    "length. The time per epoch is of training alone; the time to the best epoch, which is the one tested, and the "
    "total time include validation. The best epoch counts from 0. Peak memory is the process's, with the data in it."
)
SETTINGS_NOTE = (
    "As given to each variant, and in full as its runs record them. “this package's defaults” are those of "
    "recbole_mqsa's yaml files, and RecBole's where these are silent. “null” is no value, “-” a setting that a run "
    "does not have."
)
DEFAULTS = "this package's defaults"
UNTESTED = "not tested"


def title(results: Results) -> str:
    """What was compared on what."""
    names = [variant.name for variant in results.variants]
    models = listing(list(dict.fromkeys(variant.model for variant in results.variants)))
    where = plural(len(results.datasets), "data set")
    study = results.plan.get("study") or {}
    where += ", trained on the validation part as well" if results.kind == REFIT else ""
    if results.kind == "sweep":
        return f"{models}: {plural(len(study['values']), 'value')} of {study['param']} on {where}"
    if results.kind == "ablation":
        return f"{models}: ablation with {plural(len(names), 'variant')} on {where}"
    if results.kind == "ladder":
        return f"{models}: {plural(len(names) - 1, 'part')} added one after another on {where}"
    if results.proposed in names and len(names) > 1:
        return f"{results.proposed} against {plural(len(results.rivals), other(results))} on {where}"
    return f"{plural(len(names), 'model')} on {where}"


def other(results: Results) -> str:
    """What the proposed variant is compared with."""
    return "baseline" if baselines(results.variants, results.proposed) else "variant"


def outcome(results: Results) -> str:
    """How often the proposed variant is better than the best baseline; empty if nothing can be compared.

    Which variants of its own model are better still is said apart, since they are no baselines and are not tested.
    """
    compared = [(column, comparison) for column, comparison in _compared(results) if comparison.seeds]
    if not compared:
        return ""
    better, worse = [c for _, c in compared if c.better], [c for _, c in compared if c.worse]
    equal = len(compared) - len(better) - len(worse)
    kind = other(results)
    text = (
        f"{results.proposed} is better than the best {'other ' if kind == 'variant' else ''}{kind} in {len(better)} of "
        f"{plural(len(compared), 'column')} (each metric on each data set){_clear(better)}."
    )
    text += f" In {len(worse)} it is worse{_clear(worse)}." if worse else ""
    text += f" In {equal} the two means are equal." if equal else ""
    return text + _better_still(results, [column for column, _ in compared]) + _absent(results)


def _better_still(results: Results, columns: Sequence[Column]) -> str:
    """In how many columns a variant that is neither the proposed one nor a rival has the best mean; often empty."""
    known = {results.proposed, *results.rivals}
    best = [c.best - known for c in columns if results.proposed not in c.best]
    found = [names for names in best if names]
    if not found:
        return ""
    names = [variant.name for variant in results.variants if variant.name in frozenset().union(*found)]
    where = plural(len(found), "column")
    return f" In {where} another variant of {results.proposed} has the best mean ({listing(names)})."


def _absent(results: Results) -> str:
    """The rivals without a result; empty if each has one."""
    tested = {trial.variant.name for trial in results.trials if trial.tested}
    absent = [name for name in results.rivals if name not in tested]
    return f" No run of {listing(absent)} has a result." if absent else ""


def _clear(comparisons: Sequence[Comparison]) -> str:
    """How many of some comparisons a t-test calls different; empty where nothing was tested."""
    tested = [comparison for comparison in comparisons if comparison.corrected is not None]
    if not tested:
        return ""
    clear = sum(c.significant for c in tested) or "none"
    return f", in {clear} of them with corrected p < {SIGNIFICANT} over seeds"


def spread_note(seeds: Sequence[int]) -> str:
    """What each number of the tables is."""
    if len(seeds) == 1:
        return "one seed, no deviation"
    return f"mean ± sample standard deviation over {len(seeds)} seeds"


def table_notes(results: Results) -> list[str]:
    """How to read the tables, and what the t-tests paired."""
    notes = [
        f"Each number: {spread_note(results.seeds)}. The best mean is bold, the second underlined; equal means share "
        "the mark."
    ]
    variants = [
        trials for dataset in results.datasets for trials in by_variant(results.trials, dataset).values()
    ]
    if any(len(trials) > sum(trial.tested for trial in trials) > 0 for trials in variants):
        notes.append("“n of m seeds” beside a name: only n have a result, and the means are over those.")
    notes += [REFIT_NOTE] if results.kind == REFIT else []
    notes += [_left_out(results)] if results.stale and results.refit is None else []
    return [
        *(*notes, *tuning_notes(results.plan), *_test_notes(results), *knowledge_notes(results)),
        *published_notes(results),
    ]


def refit_note(results: Results) -> str:
    """What the second table shows, and what it does not show any more."""
    return " ".join([REFIT_NOTE, _left_out(results)] if results.stale else [REFIT_NOTE])


def _left_out(results: Results) -> str:
    names = listing([trial.name for trial in results.stale])
    return f"Of the runs made once more are left out, as they are not of the runs that are here now: {names}."


def knowledge_notes(results: Results) -> list[str]:
    """Which variants know the validation part at test although the others did not learn from it."""
    if results.kind == REFIT:
        return []
    counting = {
        trial.variant.name: trial.result["settings"]["count_validation"]
        for trial in results.trials
        if trial.tested and trial.result["settings"].get("count_validation") is not None
    }
    told = {
        True: "Counted anew before the test, with the validation part",
        False: "Counted on the training part alone",
    }
    said = [
        f"{text}: {listing([name for name, counts in counting.items() if counts is known])}."
        for known, text in told.items()
        if known in counting.values()
    ]
    learned = (
        "What learns does so from the training part alone; sequential models read the validation item as part of "
        "the test's input."
    )
    return [" ".join([*said, learned])] if said else []


def tuning_notes(plan: Json) -> list[str]:
    """How the variants were tuned before, if they were."""
    tuning = plan.get("tuning")
    if not tuning:
        return []
    text = (
        f"Each variant was tuned on each data set with {plural(tuning['trials'], 'trial')}, judged by validation alone "
        f"(sampler {tuning['sampler']}, pruner {tuning['pruner']}, seed {tuning['seed']}); the tables are of the "
        "settings that were found, trained anew."
    )
    untuned = list(tuning.get("untuned") or [])
    return [f"{text} There is nothing to tune in {listing(untuned)}." if untuned else text]


def _test_notes(results: Results) -> list[str]:
    """What improvement means, what each t-test paired, and which columns have none."""
    tests: dict[tuple[str, tuple[int, ...]], dict[str, int]] = {}
    untested: dict[str, list[str]] = {}
    for column, comparison in _compared(results):
        if comparison.p is None:
            untested.setdefault(column.dataset, []).append(metric_label(column.metric))
        else:
            tests.setdefault((comparison.over, comparison.seeds), {})[column.dataset] = comparison.pairs
    if not tests and not untested:
        return []
    notes = [
        f"Improvement: {results.proposed} over the {other(results)} with the best mean, in percent of that mean. "
        "p is of a two-sided paired t-test of the two, whichever is better."
    ]
    notes += [_corrections(results)] if any(over == "seeds" for over, _ in tests) else []
    notes += _unequal(results)
    notes += [_pairing(over, seeds, pairs) for (over, seeds), pairs in tests.items()]
    if untested:
        columns = listing([f"{listing(names)} on {dataset}" for dataset, names in untested.items()])
        notes.append(
            f"No t-test for {columns}: either all differences are equal, or there are fewer than "
            f"{MIN_SEEDS} seeds in common and no ranks of users that agree with the metric."
        )
    return notes


def _compared(results: Results) -> list[tuple[Column, Comparison]]:
    return [
        (column, column.comparison)
        for columns in results.columns.values()
        for column in columns
        if column.comparison
    ]


def _corrections(results: Results) -> str:
    """What a star is, and which tests are corrected together."""
    text = (
        f"* is p < {SIGNIFICANT} over seeds, corrected by Holm for the number of such tests: those over all test "
        "samples, of all metrics on all data sets, together."
    )
    if any(results.all_slices.values()):
        text += (
            f" The tests within slices are corrected together, apart from these; the slices' column “{ALL}” is that of "
            "the first table, with its p."
        )
    if results.refit:
        text += " Those after training on the validation part as well are corrected together, too, apart from the rest."
    return f"{text} The interval of the improvement is by t over the same seeds, not corrected."


def _unequal(results: Results) -> list[str]:
    """Where the two that are compared have not finished the same seeds, and which ones count."""
    found: dict[tuple[int, ...], dict[str, None]] = {}
    for column, comparison in _compared(results):
        if comparison.partial:
            found.setdefault(comparison.seeds, {})[column.dataset] = None
    return [
        f"Unequal seeds on {listing(list(where))}: improvement, interval and p are of the seeds in common alone "
        f"({listing([str(seed) for seed in seeds])}), each mean in the table is of all that are finished."
        if seeds
        else f"No seed in common on {listing(list(where))}: no improvement and no p."
        for seeds, where in found.items()
    ]


def _pairing(over: str, seeds: tuple[int, ...], pairs: dict[str, int]) -> str:
    names = listing([str(seed) for seed in seeds])
    if over == "seeds":
        return f"The t-test pairs {len(seeds)} seeds ({names}) on {listing(list(pairs))}."
    own = f"of seed {names}" if len(seeds) == 1 else f"each with its mean over the seeds {names}"
    users = listing([f"{n:,} on {dataset}" for dataset, n in pairs.items()])
    return (
        f"With fewer than {MIN_SEEDS} seeds in common, the t-test pairs users, {own}: {users}. It compares these runs, "
        "not the models: two seeds of one model can differ by it, so nothing is starred."
    )


def published_notes(results: Results) -> list[str]:
    """Whose numbers the published ones are, and which data sets have none; nothing if nobody asked for them."""
    notes = []
    if any(results.published.values()):
        notes.append(
            f"published: the paper's own numbers ({SOURCE}), means of five seeds, copied and not run here. They take "
            "part in no mark, no improvement and no test. The paper's SASRec learns from every position of a "
            "sequence, as SASRec-whole does here."
        )
    absent = [dataset for dataset, models in results.published.items() if not models]
    if absent:
        notes.append(f"The paper ({SOURCE}) has no numbers for {listing(absent)}.")
    return notes


def slice_label(column: Column) -> str:
    """A slice with how many samples of the data set it has."""
    trials = [trial for entry in column.entries for trial in entry.trials]
    sizes = sorted(parts(trials).get(column.part, set()))
    return f"{column.part} ({listing([f'{size:,}' for size in sizes])})" if sizes else column.part


def unfinished(trials: Sequence[Trial]) -> list[tuple[Trial, str]]:
    """Every run without a result, and why."""
    return [(trial, state(trial)) for trial in trials if not trial.tested]


def state(trial: Trial) -> str:
    if trial.finished:
        return "finished" if trial.tested else f"{UNTESTED}: trained on all actions"
    return f"failed: {trial.failure}" if trial.failure else "not run, or not finished"


def absence(trials: Sequence[Trial]) -> str:
    """What stands in a table in place of a mean that does not exist."""
    if any(trial.finished for trial in trials):
        return MISSING if any(trial.tested for trial in trials) else UNTESTED
    return "failed" if any(trial.failure for trial in trials) else "not run"


def progress(trials: Sequence[Trial]) -> str:
    """How much of the plan is done."""
    done, failed = sum(trial.finished for trial in trials), sum(trial.failure is not None for trial in trials)
    text = f"{done} of {plural(len(trials), 'run')} finished"
    untested = sum(trial.finished and not trial.tested for trial in trials)
    text += f", {untested} of them without a test" if untested else ""
    return text + (f", {failed} failed" if failed else "")

"""The fair comparison: each variant of a benchmark is tuned first, on each data set, with as many trials as others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..errors import UserError
from ..experiments.report.formatting import plural
from ..experiments.study import Study
from ..experiments.trials import Trial, Tuned, Variant
from ..interfaces import Json
from .check import make_plan
from .record import best_of
from .search import Search
from .space import read_space
from .start import default_space, own_space
from .storage import require_optuna

SEED = 19_937
"""Of the searches: their own, so that those of the benchmark are fresh."""

Searches = dict[tuple[str, str], Search]
"""By data set and variant."""


def searches_of(study: Study, trials: int) -> Searches:
    """A search for each data set and variant that has a space, checked, below the folder of the study.

    Raises:
        UserError: Optuna is not installed, or a space does not suit the settings of the study.
    """
    require_optuna()
    tunable = [variant for variant in study.variants if _has_space(variant)]
    untunable = [variant for variant in study.variants if not _has_space(variant)]
    if not tunable:
        raise UserError("no variant has a space below properties/tune; leave out --tune")
    if untunable:
        replace(study, variants=untunable).check()
    replace(study, variants=tunable).check_unfinished()
    searches = {
        (dataset, variant.name): _search(study, dataset, variant, trials)
        for dataset in study.datasets
        for variant in tunable
    }
    for (dataset, variant_name), search in searches.items():
        _refuse_other_budget(search, _finished(study, dataset, variant_name))
    return searches


def _has_space(variant: Variant) -> bool:
    return own_space(variant.name) is not None


def _search(study: Study, dataset: str, variant: Variant, trials: int) -> Search:
    settings = {**study.given(variant, dataset), **variant.settings, "seed": SEED}
    space = read_space(default_space(variant.name, settings.get("preset")))
    plan = make_plan(variant.model, dataset, space, settings, allow_unknown=study.allow_unknown)
    folder = study.folder / "tune" / dataset / variant.name
    search = Search(folder, plan, trials, study.jobs, seeds=0, resume=True)
    search.check()
    return search


def _finished(study: Study, dataset: str, variant: str) -> list[Trial]:
    here = [one for one in study.trials if (one.dataset, one.variant.name) == (dataset, variant)]
    return [one for one in here if one.finished]


def _refuse_other_budget(search: Search, finished: Sequence[Trial]) -> None:
    """Every search has as many trials as the others, and none goes on once runs have taken its best settings.

    Raises:
        UserError: a search has more trials already, or fewer although runs are finished with what it found.
    """
    done = len(search.begun())
    if done > search.max_trials:
        raise UserError(
            f"{search.folder} holds a search of {plural(done, 'trial')}, more than --tune={search.max_trials}; use "
            f"--tune={done}, or name another output_dir"
        )
    if done < search.max_trials and finished:
        raise UserError(
            f"{finished[0].folder} was finished with the best of {plural(done, 'trial')}, fewer than "
            f"--tune={search.max_trials}; use --tune={done}, or name another output_dir"
        )


def found_so_far(study: Study, searches: Searches) -> Study:
    """The study with the settings of the searches that have ended, for a look at what is left to do."""
    found: dict[tuple[str, str], Json] = {}
    for place, search in searches.items():
        begun = search.begun()
        best = best_of(begun, search.plan.bigger)
        if len(begun) == search.max_trials and best is not None:
            found[place] = best.settings
    return replace(study, tuned=_by_dataset(found))


def _by_dataset(found: Mapping[tuple[str, str], Json]) -> Tuned:
    """Settings by data set and variant, as a study takes them."""
    nested: dict[str, dict[str, Json]] = {}
    for (dataset, variant), settings in found.items():
        nested.setdefault(dataset, {})[variant] = settings
    return nested


def tuned(
    study: Study,
    searches: Searches,
    say: Callable[[str], None] = print,
    watch: Callable[[str], None] | None = None,
) -> Study:
    """The study with the settings that the searches find.

    Raises:
        UserError: a search has no finished trial, or another program is at it.
    """
    found: dict[tuple[str, str], Json] = {}
    for (dataset, variant), search in searches.items():
        say(f"tuning {variant} on {dataset}")
        try:
            search.run(say, watch)
        except KeyboardInterrupt as stop:
            stop.args = ("interrupted; the same command goes on",)
            raise
        found[dataset, variant] = search.best.settings
    names = {name for _, name in searches}
    first = next(iter(searches.values()))
    tuning = {
        "trials": first.max_trials,
        "sampler": first.plan.sampler,
        "pruner": first.plan.pruner,
        "seed": first.plan.seed,
        "untuned": [variant.name for variant in study.variants if variant.name not in names],
    }
    return replace(study, tuned=_by_dataset(found), tuning=tuning)

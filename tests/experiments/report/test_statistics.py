"""The numbers of a report, against hand arithmetic."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.made_up import fail, write_cell, write_plan
from scipy.stats import t as student

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.report.results import Column, parts
from recbole_mqsa.experiments.report.significance import holm, t_test
from recbole_mqsa.experiments.report.statistics import column, main_metric, metrics, summarise
from recbole_mqsa.experiments.report.wording import outcome, title
from recbole_mqsa.experiments.trials import read_benchmark


def write(folder: Path, values: dict[str, list[float | None]], **options) -> None:
    """A benchmark on data set 'd' with seeds 1, 2, ...; None is a run that does not exist."""
    seeds = list(range(1, 1 + max(map(len, values.values()))))
    write_plan(folder, list(values), ["d"], seeds)
    for row, numbers in values.items():
        for seed, value in zip(seeds, numbers):
            if value is not None:
                write_cell(folder, "d", row, seed, {"ndcg@20": value}, **options)


def of(folder: Path, metric: str = "ndcg@20", part: str = "all") -> Column:
    return column(read_benchmark(folder)[1], "d", metric, part)


def p_by_hand(differences: list[float]) -> float:
    """Two-sided p of t = mean / (s / sqrt(n)) with n - 1 degrees of freedom."""
    n = len(differences)
    mean = sum(differences) / n
    s = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1))
    return 2 * student.sf(abs(mean) / (s / math.sqrt(n)), n - 1)


def test_mean_deviation_marks_improvement_and_p(tmp_path: Path) -> None:
    write(tmp_path, {"A": [0.1, 0.2, 0.3], "B": [0.2, 0.2, 0.5], "MQSATED": [0.4, 0.3, 0.8]})
    found = of(tmp_path)
    by_name = {entry.variant.name: entry for entry in found.entries}
    assert by_name["A"].mean == pytest.approx(0.2)
    assert by_name["A"].deviation == pytest.approx(0.1)  # sqrt((0.01 + 0 + 0.01) / 2)
    assert by_name["B"].mean == pytest.approx(0.3)
    assert by_name["B"].deviation == pytest.approx(math.sqrt(0.03))  # sqrt((0.01 + 0.01 + 0.04) / 2)
    assert (found.best, found.second) == ({"MQSATED"}, {"B"})
    against = found.comparison
    assert against is not None
    assert (against.baseline, against.over, against.pairs, against.seeds) == ("B", "seeds", 3, (1, 2, 3))
    assert against.improvement == pytest.approx(100 * (0.5 - 0.3) / 0.3)
    assert against.p == pytest.approx(p_by_hand([0.2, 0.1, 0.3]))
    assert against.p == pytest.approx(
        0.0742, abs=5e-5
    )  # t = 0.2 / (0.1 / sqrt 3) = 2 sqrt 3, as in any table
    assert not against.significant and against.corrected is None  # which needs all of a report's comparisons
    half = student.ppf(0.975, 2) * 0.1 / math.sqrt(3)  # of differences .2, .1 and .3
    assert against.interval == pytest.approx([100 * (0.2 - half) / 0.3, 100 * (0.2 + half) / 0.3])


def test_p_is_corrected_for_all_comparisons_over_seeds(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d", "e"], [1, 2, 3])
    theirs, ours = [0.10, 0.11, 0.12], {"d": [0.15, 0.17, 0.16], "e": [0.13, 0.15, 0.13]}
    for dataset, values in ours.items():
        for seed in (1, 2, 3):
            write_cell(tmp_path, dataset, "A", seed, {"ndcg@20": theirs[seed - 1]})
            write_cell(tmp_path, dataset, "MQSATED", seed, {"ndcg@20": values[seed - 1]})
    columns = summarise(*read_benchmark(tmp_path)).columns
    d, e = (columns[name][0].comparison for name in ("d", "e"))
    assert d is not None and e is not None and d.p is not None and e.p is not None
    assert d.p < e.p and (d.corrected, e.corrected) == pytest.approx((2 * d.p, max(2 * d.p, e.p)))
    assert d.significant and e.significant == (max(2 * d.p, e.p) < 0.05)


def test_slices_are_corrected_apart_and_all_of_them_is_the_main_table(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    write_plan(tmp_path, ["A", "MQSATED"], ["d", "e"], [1, 2, 3])
    for dataset, row, seed in itertools.product("de", ["A", "MQSATED"], [1, 2, 3]):
        better = 0.15 if row == "MQSATED" else 0.0
        parts_of = {
            part: dict(zip(["hit@5", "ndcg@20"], better + 0.1 * chance.random(2)))
            for part in ("0", ">0", "all")
        }
        slices = {part: {"samples": 5, **numbers} for part, numbers in parts_of.items()}
        write_cell(tmp_path, dataset, row, seed, parts_of["all"], slices=slices)
    results = summarise(*read_benchmark(tmp_path))
    main = [one for columns in results.columns.values() for one in columns]
    tables = [columns for of in results.all_slices.values() for columns in of.values()]
    apart = [one for columns in tables for one in columns if one.part != "all"]
    for family, size in ((main, 4), (apart, 8)):  # two metrics on two data sets; each in two slices
        against = [one.comparison for one in family if one.comparison]
        assert len(against) == size
        assert len({of.corrected for of in against}) > 2
        assert [of.corrected for of in against] == holm([of.p for of in against if of.p is not None])
    for dataset, columns in results.columns.items():
        for whole in columns:
            assert results.all_slices[dataset][whole.metric][-1] == whole  # with the same p
        assert results.slices[dataset] == results.all_slices[dataset]["ndcg@20"]


def test_holm_against_its_definition() -> None:
    chance = np.random.default_rng(0)
    for _ in range(50):
        p = list(chance.random(chance.integers(1, 9)) ** 3)
        order = sorted(p)
        for value, found in zip(p, holm(p)):
            place = order.index(value)
            assert found == pytest.approx(max(min(1, (len(p) - k) * order[k]) for k in range(place + 1)))
    assert holm([]) == []


def test_seeds_make_a_claim_and_users_do_not(tmp_path: Path) -> None:
    ranks = {user: user % 3 for user in range(300)}
    worse = {user: rank + 5 for user, rank in ranks.items()}
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for row, of_row in (("A", worse), ("MQSATED", ranks)):
        write_cell(
            tmp_path, "d", row, 1, {"ndcg@20": float(np.mean(ndcg(list(of_row.values()))))}, ranks=of_row
        )
    results = summarise(*read_benchmark(tmp_path))
    against = results.columns["d"][0].comparison
    assert against is not None and against.p is not None and against.p < 1e-9 and against.over == "users"
    assert not against.significant and against.interval is None
    assert "p <" not in outcome(results)


def test_a_worse_proposed_row_has_a_negative_improvement(tmp_path: Path) -> None:
    write(tmp_path, {"A": [0.5, 0.51, 0.52], "MQSATED": [0.4, 0.42, 0.41]})
    found = of(tmp_path)
    assert (found.best, found.second) == ({"A"}, {"MQSATED"})
    assert found.comparison is not None
    assert found.comparison.improvement == pytest.approx(100 * (0.41 - 0.51) / 0.51)
    results = summarise(*read_benchmark(tmp_path))
    assert results.columns["d"][0].comparison.significant


def test_ties_share_the_mark_and_leave_the_next_value_second(tmp_path: Path) -> None:
    # The means of A and B are equal, but not to the last bit: 0.1 + 0.2 is not 0.3.
    write(tmp_path, {"A": [0.1, 0.2], "B": [0.15, 0.15], "C": [0.1, 0.1], "D": [0.1, 0.1], "E": [0.05, 0.05]})
    found = of(tmp_path)
    assert (found.best, found.second) == ({"A", "B"}, {"C", "D"})
    assert found.comparison is None  # no row is the proposed one


def test_an_ablation_compares_the_full_model(tmp_path: Path) -> None:
    write(tmp_path, {"full": [0.4, 0.4, 0.5], "without TED": [0.2, 0.3, 0.3]})
    write_plan(tmp_path, ["full", "without TED"], ["d"], [1, 2, 3], {"kind": "ablation"})
    results = summarise(*read_benchmark(tmp_path))
    assert results.proposed == "full"
    assert results.columns["d"][0].comparison.baseline == "without TED"


def test_every_metric_has_its_slices(tmp_path: Path) -> None:
    slices = {
        "0": {"samples": 6, "hit@5": 0.1, "ndcg@20": 0.2},
        ">0": {"samples": 4, "hit@5": 0.5, "ndcg@20": 0.6},
    }
    slices["all"] = {"samples": 10, "hit@5": 0.3, "ndcg@20": 0.4}
    write_plan(tmp_path, ["A"], ["d"], [1])
    test = {"hit@5": 0.3, "ndcg@20": 0.4, "itemcoverage@5": 0.9}  # the last is of all lists together
    write_cell(tmp_path, "d", "A", 1, test, slices=slices)
    found = summarise(*read_benchmark(tmp_path)).all_slices["d"]
    means = {name: [column.entries[0].mean for column in columns] for name, columns in found.items()}
    assert means == {"hit@5": [0.1, 0.5, 0.3], "ndcg@20": [0.2, 0.6, 0.4]}


def test_a_single_row_is_neither_best_nor_compared(tmp_path: Path) -> None:
    write(tmp_path, {"A": [None], "MQSATED": [0.3]})
    found = of(tmp_path)
    assert not found.best
    assert found.comparison is None
    assert found.entries[1].deviation is None  # of one seed


def test_with_three_seeds_in_common_the_test_pairs_those(tmp_path: Path) -> None:
    write(tmp_path, {"A": [0.10, 0.20, 0.15, None], "MQSATED": [0.12, 0.25, 0.19, 0.90]}, ranks={1: 0, 2: 1})
    against = of(tmp_path).comparison
    assert against is not None
    assert (against.over, against.pairs, against.seeds) == ("seeds", 3, (1, 2, 3))
    assert against.p == pytest.approx(p_by_hand([0.02, 0.05, 0.04]))


def ndcg(ranks: list[int]) -> list[float]:
    return [1 / math.log2(rank + 2) if 0 <= rank < 20 else 0.0 for rank in ranks]


def test_with_fewer_seeds_the_test_pairs_users(tmp_path: Path) -> None:
    theirs, ours = {1: [5, -1, 19, 3], 2: [6, 20, 2, 3]}, {1: [0, 4, 20, 1], 2: [1, -1, 0, 3]}
    users = [7, 3, 11, 5]
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1, 2])
    for row, ranks in (("A", theirs), ("MQSATED", ours)):
        for seed in (1, 2):
            test = {
                "ndcg@20": float(np.mean(ndcg(ranks[seed]))),
                "hit@5": sum(0 <= rank < 5 for rank in ranks[seed]) / 4,
            }
            order = slice(None, None, 1 if row == "A" else -1)  # users are matched by name, not by place
            pairs = dict(zip(users[order], ranks[seed][order]))
            write_cell(tmp_path, "d", row, seed, test, ranks=pairs)
    against = of(tmp_path).comparison
    assert against is not None
    assert (against.over, against.pairs, against.seeds) == ("users", 4, (1, 2))
    mine, other = (np.mean([ndcg(ranks[1]), ndcg(ranks[2])], axis=0) for ranks in (ours, theirs))
    assert against.p == pytest.approx(p_by_hand(list(mine - other)))
    hits = of(tmp_path, "hit@5").comparison
    assert hits is not None
    # Of two seeds, A hits 0, 0, 1/2 and 1, and MQSATED 1, 1/2, 1/2 and 1; rank 5 is beyond the first five.
    assert hits.p == pytest.approx(p_by_hand([1.0, 0.5, 0.0, 0.0]))


def test_a_user_with_several_samples_is_one_pair(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for row, ranks in (("A", [0, 9, 9, 9]), ("MQSATED", [0, 0, 9, 0])):
        hits = sum(rank < 5 for rank in ranks) / 4
        cell = write_cell(tmp_path, "d", row, 1, {"hit@5": hits})
        np.savez(cell / "ranks.npz", users=np.array([1, 1, 2, 3]), ranks=np.array(ranks))
    against = of(tmp_path, "hit@5").comparison
    assert against is not None
    assert against.pairs == 3
    assert against.p == pytest.approx(p_by_hand([0.5, 0.0, 1.0]))


@pytest.mark.parametrize("kept", [True, False])
def test_a_slice_pairs_its_own_users(tmp_path: Path, kept: bool) -> None:
    frequency = np.array([0, 3, 1, 0, 2])
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for row, ranks in (("A", [0, 9, 9, 9, 1]), ("MQSATED", [9, 0, 9, 0, 1])):
        hit = np.array(ranks) < 5
        slices = {
            name: {"samples": int(within.sum()), "hit@5": float(hit[within].mean())}
            for name, within in (("0", frequency == 0), (">0", frequency > 0))
        }
        cell = write_cell(tmp_path, "d", row, 1, {"hit@5": float(hit.mean())}, slices=slices)
        more = {"frequency": frequency} if kept else {}
        np.savez(cell / "ranks.npz", users=np.arange(5), ranks=np.array(ranks), **more)
    found = {c.part: c.comparison for c in summarise(*read_benchmark(tmp_path)).all_slices["d"]["hit@5"]}
    assert found[">0"].improvement == pytest.approx(100)
    assert found[">0"].pairs == (3 if kept else 0)
    if kept:
        assert found[">0"].p == pytest.approx(p_by_hand([1.0, 0.0, 0.0]))
    else:
        assert found[">0"].p is None  # nothing says which of them are in it


def test_variants_of_the_proposed_model_are_no_baselines(tmp_path: Path) -> None:
    rows = [("SASRec", "SASRec", {}), ("SASRec-whole", "MQSATED", {}), ("mine", "MQSATED", {}), "MQSATED"]
    write_plan(tmp_path, rows, ["d"], [1])
    for row, score in (("SASRec", 0.1), ("SASRec-whole", 0.2), ("mine", 0.4), ("MQSATED", 0.3)):
        write_cell(tmp_path, "d", row, 1, {"ndcg@20": score})
    results = summarise(*read_benchmark(tmp_path))
    assert results.rivals == ["SASRec", "SASRec-whole"]
    assert results.columns["d"][0].comparison.baseline == "SASRec-whole"
    assert title(results) == "MQSATED against 2 baselines on 1 data set"
    write_plan(tmp_path, rows[1:], ["d"], [1])
    assert title(summarise(*read_benchmark(tmp_path))) == "MQSATED against 1 baseline on 1 data set"
    write_plan(tmp_path, rows[2:], ["d"], [1])
    results = summarise(*read_benchmark(tmp_path))
    assert results.columns["d"][0].comparison.baseline == "mine"  # where there is nothing else
    assert title(results) == "MQSATED against 1 variant on 1 data set"


def test_with_unequal_seeds_all_numbers_are_of_those_in_common(tmp_path: Path) -> None:
    theirs, ours = [0.0600, 0.0605, 0.0610], [0.0591, 0.0597, 0.0600, 0.0700, 0.0711]
    write(tmp_path, {"SASRec": theirs, "MQSATED": ours})
    found = of(tmp_path)
    assert found.best == {"MQSATED"}  # by the mean of all its seeds, which is 5.8 % above
    against = found.comparison
    assert against is not None and against.interval is not None
    assert (against.over, against.seeds, against.partial) == ("seeds", (1, 2, 3), True)
    differences = [mine - other for mine, other in zip(ours, theirs)]  # of the first three
    assert against.gain == pytest.approx(sum(differences) / 3)
    assert against.improvement == pytest.approx(100 * sum(differences) / sum(theirs)) and against.worse
    assert against.interval[0] < against.improvement < against.interval[1] < 0
    assert against.p == pytest.approx(p_by_hand(differences))


def test_the_seeds_of_other_baselines_are_no_matter(tmp_path: Path) -> None:
    write(tmp_path, {"A": [0.1, 0.2, 0.3], "B": [0.1, None, None], "MQSATED": [0.2, 0.3, 0.4]})
    against = of(tmp_path).comparison
    assert against is not None and against.baseline == "A" and not against.partial


def test_without_a_seed_in_common_nothing_is_compared(tmp_path: Path) -> None:
    write(tmp_path, {"A": [None, 0.2], "MQSATED": [0.3, None]}, ranks={1: 0, 2: 1})
    against = of(tmp_path).comparison
    assert against is not None
    assert (against.p, against.pairs, against.seeds) == (None, 0, ())
    assert (against.gain, against.improvement, against.better, against.worse) == (None, None, False, False)


@pytest.mark.parametrize("ranks", [None, {1: 0, 2: 30}])
def test_without_ranks_that_agree_with_the_metric_nothing_is_tested(tmp_path: Path, ranks: object) -> None:
    write(tmp_path, {"A": [0.2], "MQSATED": [0.3]}, ranks=ranks)
    against = of(tmp_path).comparison
    assert against is not None
    assert (against.p, against.over, against.pairs) == (None, "users", 0)
    assert against.improvement == pytest.approx(50)


def test_equal_differences_have_no_p() -> None:
    assert t_test([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]) is None  # equal but for rounding; their t is infinite
    assert t_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) is None
    assert t_test([0.3], [0.2]) is None
    assert t_test([0.3, 0.5], [0.2, 0.1]) == pytest.approx(p_by_hand([0.1, 0.4]))


def test_a_metric_where_less_is_better(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for row, popularity in (("A", 80.0), ("MQSATED", 60.0)):
        write_cell(tmp_path, "d", row, 1, {"averagepopularity@10": popularity})
    found = of(tmp_path, "averagepopularity@10")
    assert found.best == {"MQSATED"}
    assert found.comparison is not None
    assert found.comparison.improvement == pytest.approx(25)


def test_failed_and_missing_trials_stay(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "B", "MQSATED"], ["d"], [1, 2])
    write_cell(tmp_path, "d", "A", 1, {"ndcg@20": 0.1})
    fail(tmp_path, "d", "A", 2, "ValueError: too big\nTraceback ...")
    fail(tmp_path, "d", "MQSATED", 1, "")
    trials = read_benchmark(tmp_path)[1]
    assert [(t.variant.name, t.seed, t.finished, t.failure) for t in trials] == [
        ("A", 1, True, None),
        ("A", 2, False, "ValueError: too big"),
        ("B", 1, False, None),
        ("B", 2, False, None),
        ("MQSATED", 1, False, "no reason given"),
        ("MQSATED", 2, False, None),
    ]
    assert [(entry.variant.name, entry.values) for entry in of(tmp_path).entries] == [
        ("A", {1: 0.1}),
        ("B", {}),
        ("MQSATED", {}),
    ]


def test_a_failure_counts_no_more_once_the_trial_is_finished(tmp_path: Path) -> None:
    write(tmp_path, {"A": [0.1]})
    (trial,) = read_benchmark(tmp_path)[1]
    (trial.folder / "failed.txt").write_text("the first attempt")
    assert trial.failure is None


def test_slices_and_metrics(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A"], ["d"], [1])
    test = {"ndcg@20": 0.2, "hit@10": 0.3, "mrr@10": 0.1, "ndcg@5": 0.1, "hit@5": 0.2}
    slices = {
        "all": {"samples": 10, "ndcg@20": 0.2},
        "0": {"samples": 8, "ndcg@20": 0.05},
        ">0": {"samples": 2, "ndcg@20": 0.8},
        "none": {"samples": 0, "ndcg@20": math.nan},
    }
    write_cell(tmp_path, "d", "A", 1, test, slices=slices)
    plan, trials = read_benchmark(tmp_path)
    assert metrics(trials) == ["hit@5", "hit@10", "ndcg@5", "ndcg@20", "mrr@10"]
    assert main_metric(trials) == "ndcg@20"  # as settings["valid_metric"]
    assert parts(trials) == {"0": {8}, ">0": {2}, "none": {0}, "all": {10}}
    means = {c.part: c.entries[0].mean for c in summarise(plan, trials).slices["d"]}
    assert means == {"0": 0.05, ">0": 0.8, "none": None, "all": 0.2}


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"rows": None}, "lacks the rows, datasets and seeds"),
        ({"seeds": [1, 1]}, "seed '1'"),
        ({"datasets": ["../d"]}, "data set '../d'"),
        ({"rows": [{"name": "..", "model": "A", "settings": {}}]}, "variant '..'"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path: Path, change: dict[str, object], culprit: str) -> None:
    write_plan(tmp_path, ["A"], ["d"], [1])
    plan = {**json.loads((tmp_path / "benchmark.json").read_text()), **change}
    (tmp_path / "benchmark.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match=culprit.replace(".", r"\.")):
        read_benchmark(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"benchmark\.json cannot be read"):
        read_benchmark(tmp_path)
    write(tmp_path, {"A": [0.2], "MQSATED": [0.3]}, ranks={1: 0})
    (tmp_path / "cells/d/A/seed-1/ranks.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"ranks\.npz is damaged"):
        of(tmp_path)
    (tmp_path / "cells/d/A/seed-1/result.json").write_text("{")
    with pytest.raises(UserError, match=r"result\.json is damaged"):
        of(tmp_path)

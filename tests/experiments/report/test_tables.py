"""The report as text: what stands in each cell, and that names cannot break a table."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from helpers.made_up import fail, write_cell, write_plan

from recbole_mqsa.experiments.report import formatting
from recbole_mqsa.experiments.report.provenance import differences, time_note
from recbole_mqsa.experiments.report.render import latex, markdown, tex
from recbole_mqsa.experiments.report.results import Results
from recbole_mqsa.experiments.report.statistics import summarise
from recbole_mqsa.experiments.report.tables import long_csv
from recbole_mqsa.experiments.trials import read_benchmark


def read(folder: Path, paper: bool = False) -> Results:
    return summarise(*read_benchmark(folder), paper)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three seeds; A is second, B has one of them, C failed, D never ran."""
    write_plan(tmp_path, ["A", "B", "C", "D", "MQSATED"], ["d"], [1, 2, 3])
    for seed, a, near, own in ((1, 0.1, 0.2, 0.4), (2, 0.2, 0.1, 0.3), (3, 0.3, 0.57, 0.8)):
        write_cell(tmp_path, "d", "A", seed, {"hit@5": a, "ndcg@20": near})
        write_cell(tmp_path, "d", "MQSATED", seed, {"hit@5": own, "ndcg@20": own})
    write_cell(tmp_path, "d", "B", 2, {"hit@5": 0.01234567, "ndcg@20": 0.0})
    fail(tmp_path, "d", "C", 1, "OSError: disk | full\n...")
    return tmp_path


def md_rows(text: str, heading: str) -> dict[str, list[str]]:
    """The first table below a heading, by its first column."""
    block = text.split(heading + "\n", 1)[1].lstrip().split("\n\n", 1)[0]
    return {
        line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in block.splitlines()
    }


def test_markdown_cells(three: Path) -> None:
    text = markdown(read(three))
    assert md_rows(text, "## d") == {
        "": ["NDCG@20"],  # the head, whose first column is empty, loses HR@5 to the split
        "---": ["---:", "---:"],
        "A": ["<u>0.2000</u> ± 0.1000", "<u>0.2900</u> ± 0.2476"],
        "B (1 of 3 seeds)": ["0.0123", "0.0000"],
        "C": ["failed", "failed"],
        "D": ["not run", "not run"],
        "MQSATED": ["**0.5000** ± 0.2646", "**0.5000** ± 0.2646"],
        "improvement": ["+150.00 %", "+72.41 %*"],
        "over": ["A", "A"],
        # 0.3 -+ 4.3027 * 0.2 / sqrt 3 over the other's 0.2; 0.21 -+ 4.3027 * 0.0173 / sqrt 3 over 0.29
        "95 % interval": [f"{formatting.MINUS}98.4 to +398.4 %", "+57.6 to +87.3 %"],
        # With 2 degrees of freedom p = 1 - t / sqrt(t^2 + 2); t is 0.3 sqrt 3 / 0.2 and 0.21 sqrt 3 / 0.0173: .1217 and
        # .0023, of which Holm doubles the smaller.
        "p (seeds, corrected)": ["0.1217", "0.0045"],
    }
    assert "7 of 15 runs finished, 1 failed." in text
    assert "| d | C | 1 | failed: OSError: disk \\| full |" in text
    assert "| d | D | 3 | not run, or not finished |" in text
    assert "mean ± sample standard deviation over 3 seeds" in text
    assert "The t-test pairs 3 seeds (1, 2 and 3) on d." in text
    assert (
        "in 2 of 2 columns (each metric on each data set), in 1 of them with corrected p \\< 0.05 over seeds."
        in text
    )


def test_one_seed_is_said_to_be_one(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [7])
    for row, ranks in (("A", {1: 0, 2: -1, 3: -1}), ("MQSATED", {1: 0, 2: 1, 3: -1})):
        hits = sum(rank >= 0 for rank in ranks.values()) / 3
        write_cell(tmp_path, "d", row, 7, {"hit@20": hits}, ranks=ranks)
    text = markdown(read(tmp_path))
    assert "| MQSATED | **0.6667** |" in text
    assert "one seed, no deviation" in text
    assert "the t-test pairs users, of seed 7: 3 on d." in text
    assert "{tabular}{lc}" in latex(read(tmp_path))


def test_what_cannot_be_tested_is_said(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [7])
    for row, value in (("A", 0.1), ("MQSATED", 0.2)):
        write_cell(tmp_path, "d", row, 7, {"ndcg@20": value})
    assert "No t-test for NDCG@20 on d:" in markdown(read(tmp_path))


def test_differing_hardware_and_commits_are_said(three: Path) -> None:
    assert differences(read_benchmark(three)[1]) == []
    other = {"processor": "Another", "machine": "aarch64", "threads": 2, "gpu": "A GPU"}
    write_cell(three, "d", "B", 3, {"hit@5": 0.1, "ndcg@20": 0.1}, hardware=other, commit="fedcba")
    assert differences(read_benchmark(three)[1]) == [
        "Not all runs had the same hardware: their times and memory do not compare.",
        "Not all runs are of the same commit.",
    ]
    lines = markdown(read(three)).splitlines()
    note = "These runs are of 2 machines and 2 commits: compare their times and memory with care"
    assert lines.count(f"{note} (see “Where it ran”).") == 1
    machines = (
        "A Processor, x86\\_64, 1 thread, no GPU (7 runs); Another, aarch64, 2 threads, A GPU (d/B/seed 3)"
    )
    assert f"- hardware: {machines}" in lines
    assert "- commit: 0123456789ab (7 runs); fedcba (d/B/seed 3)" in lines


def test_times_are_warned_about_where_they_stand_side_by_side(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "B"], ["near", "far"], [1])
    for dataset, row, commit in (
        ("near", "A", "a"),
        ("near", "B", "a"),
        ("far", "A", "b"),
        ("far", "B", "b"),
    ):
        write_cell(tmp_path, dataset, row, 1, {"ndcg@20": 0.1}, commit=commit)
    results = read(tmp_path)
    assert differences(results.trials) == ["Not all runs are of the same commit."]
    assert [time_note(results.trials_on(dataset)) for dataset in ("near", "far")] == ["", ""]


def test_defaults_are_said_to_be_ours(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", ("B", "A", {"layers": 2})], ["d"], [1])
    assert md_rows(markdown(read(tmp_path)), "## Variants")["A"] == ["A", "this package's defaults"]
    assert md_rows(markdown(read(tmp_path)), "## Variants")["B"] == ["A", "layers=2"]
    write_cell(tmp_path, "d", "A", 1, {"ndcg@20": 0.1}, settings={"preset": "best"})
    assert md_rows(markdown(read(tmp_path)), "## Variants")["A"] == ["A", "this package's preset best"]


def test_long_csv_has_every_number_as_recorded(three: Path) -> None:
    slices = {"0": {"samples": 3, "hit@5": 0.1}, "all": {"samples": 4, "hit@5": 0.25}}
    write_cell(three, "d", "D", 1, {"hit@5": 0.25}, slices=slices)
    lines = list(csv.DictReader(io.StringIO(long_csv(read(three)))))
    assert list(lines[0]) == ["dataset", "row", "seed", "slice", "metric", "value"]
    by_cell: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for line in lines:
        by_cell.setdefault((line["row"], line["seed"]), {})[line["slice"], line["metric"]] = line["value"]
    assert len(by_cell) == 15  # no cell is left out
    assert by_cell["C", "1"] == by_cell["D", "2"] == {("", ""): ""}
    assert by_cell["B", "2"]["all", "hit@5"] == "0.01234567"
    found = by_cell["D", "1"]
    assert {key: value for key, value in found.items() if key[0]} == {
        ("all", "hit@5"): "0.25",
        ("0", "samples"): "3",
        ("0", "hit@5"): "0.1",
    }
    assert found["", "total_seconds"] == "120.0"
    assert found["", "process_bytes"] == "600000000"
    assert ("", "gpu_bytes") not in found


def test_latex(three: Path) -> None:
    text = latex(read(three))
    lines = [line.strip() for line in text.splitlines()]
    assert r"\begin{tabular}{lcc}" in lines
    assert r"& HR@5 & NDCG@20 \\" in lines
    assert r"A & \underline{0.2000}{\tiny$\pm$0.1000} & \underline{0.2900}{\tiny$\pm$0.2476} \\" in lines
    assert r"B (1 of 3 seeds) & 0.0123 & 0.0000 \\" in lines
    assert r"C & failed & failed \\" in lines
    assert r"MQSATED & \textbf{0.5000}{\tiny$\pm$0.2646} & \textbf{0.5000}{\tiny$\pm$0.2646} \\" in lines
    assert r"Improvement & +150.00 \% & +72.41 \%* \\" in lines
    for name in ("table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert [rule for rule in ("toprule", "midrule", "bottomrule") if f"\\{rule}" not in lines] == []


def test_latex_has_the_slices_too(tmp_path: Path) -> None:
    slices = {"0": {"samples": 6, "ndcg@20": 0.2}, ">0": {"samples": 4, "ndcg@20": 0.6}}
    slices["all"] = {"samples": 10, "ndcg@20": 0.4}
    write_plan(tmp_path, ["A"], ["d"], [1])
    write_cell(tmp_path, "d", "A", 1, {"ndcg@20": 0.4}, slices=slices)
    lines = [line.strip() for line in latex(read(tmp_path)).splitlines()]
    assert r"& 0 (6) & \textgreater{}0 (4) & all (10) \\" in lines
    assert r"A & 0.2000 & 0.6000 & 0.4000 \\" in lines


@pytest.fixture
def beauty(tmp_path: Path) -> Path:
    """One run each of A and MQSATED, worse than the paper's, on one of its data sets and on another."""
    write_plan(tmp_path, ["A", "MQSATED"], ["amazon-beauty", "d"], [1])
    for dataset in ("amazon-beauty", "d"):
        for row, value in (("A", 0.02), ("MQSATED", 0.03)):
            write_cell(tmp_path, dataset, row, 1, {"ndcg@20": value, "ndcg@50": value})
    return tmp_path


def test_published_numbers_stand_apart(beauty: Path) -> None:
    text = markdown(read(beauty, paper=True))
    found = md_rows(text, "## amazon-beauty")
    assert list(found) == [
        *("", "---", "A", "MQSATED", "improvement", "over"),
        *(
            "published: POP",
            "published: LightGCN",
            "published: FPMC",
            "published: Caser",
            "published: GRU4Rec",
        ),
        *("published: SASRec", "published: BERT4Rec", "published: FMLP-Rec", "published: MQSA-TED"),
    ]
    assert found["published: MQSA-TED"] == ["0.0726", "-"]  # the paper has no lists of 50
    assert found["MQSATED"] == ["**0.0300**", "**0.0300**"]
    assert found["A"] == ["<u>0.0200</u>", "<u>0.0200</u>"]
    assert found["improvement"] == ["+50.00 %", "+50.00 %"]
    assert "published: the paper's own numbers (Zhu et al., WSDM 2024)" in text
    assert "The paper (Zhu et al., WSDM 2024) has no numbers for d." in text
    assert "published" not in text.split("## d\n")[1].split("## How to read")[0]
    assert r"    published: MQSA-TED & 0.0726 & - \\" in latex(read(beauty, paper=True)).splitlines()


def test_published_numbers_change_no_other(beauty: Path) -> None:
    without, along = read(beauty), read(beauty, paper=True)
    assert along.columns == without.columns
    assert along.metric == without.metric
    assert long_csv(along) == long_csv(without)
    assert "published" not in markdown(without) + latex(without)
    shown = [line for line in markdown(along).splitlines() if not line.startswith("| published:")]
    notes = [line for line in shown if line.startswith(("- published:", "- The paper ("))]
    assert [line for line in shown if line not in notes] == markdown(without).splitlines()


def test_names_are_escaped(tmp_path: Path) -> None:
    name = r"A_1 & 50% \x {y} $z$ #~^ <b>|*`"
    write_plan(tmp_path, [(name, "A", {})], ["d_1"], [1])
    write_cell(tmp_path, "d_1", name, 1, {"hit@5": 0.1})
    text = latex(read(tmp_path))
    row = next(line for line in text.splitlines() if line.strip().startswith("A"))
    assert row.strip() == (
        r"A\_1 \& 50\% \textbackslash{}x \{y\} \$z\$ \#\textasciitilde{}\textasciicircum{} "
        r"\textless{}b\textgreater{}\textbar{}*` & 0.1000 \\"
    )
    assert r"\caption{d\_1: one seed, no deviation.}" in text
    line = next(line for line in markdown(read(tmp_path)).splitlines() if line.startswith("| A"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 3  # those of the table alone
    assert tex("−1 ± 2") == r"$-$1 $\pm$ 2"  # noqa: RUF001


def test_nothing_finished_yet(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    text = markdown(read(tmp_path))
    assert "No run has a result." in text
    assert "0 of 2 runs finished." in text
    assert long_csv(read(tmp_path)).splitlines()[1:] == ["d,A,1,,,", "d,MQSATED,1,,,"]
    assert r"\begin{table*}" not in latex(read(tmp_path))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formatting.duration(0), "0 s"),
        (formatting.duration(0.01), "< 0.1 s"),
        (formatting.duration(59.94), "59.9 s"),
        (formatting.duration(59.96), "1.0 min"),
        (formatting.duration(3596), "59.9 min"),
        (formatting.duration(3598), "1.0 h"),
        (formatting.duration(360_000), "100.0 h"),
        (formatting.memory(999_000_000), "999 MB"),
        (formatting.memory(999_600_000), "1.00 GB"),
        (formatting.operations(999), "999"),
        (formatting.operations(2_500_000), "2.5 M"),
        (formatting.operations(3e12), "3 T"),
        (formatting.probability(0.00005), "< 0.0001"),
        (formatting.probability(0.04999), "0.0500"),
        (formatting.percent(-1.234), "\N{MINUS SIGN}1.23 %"),
        (formatting.metric_label("averagepopularity@10"), "AVERAGEPOPULARITY@10"),
        (formatting.listing(["a", "b", "c"]), "a, b and c"),
        (formatting.listing([]), ""),
    ],
)
def test_formats(written: str, expected: str) -> None:
    assert written == expected

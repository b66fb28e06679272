"""The files that a report consists of, and its page in a real browser without a network."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers.made_up import fail, write_cell, write_plan
from markupsafe import escape

from recbole_mqsa.experiments.report.write import write_report

FILES = {"report.md", "results.csv", "report.tex", "report.html"}
EVIL = '<b>Evil & "co" $x$'
COMMAND = ["recbole-mqsa", "benchmark", f"--data_path=/{'a_long_folder' * 9}", "--seeds=1,2,3", "--jobs=2"]
ROWS = ["Pop", "ItemTransition", EVIL, *(f"Model{n}" for n in range(7)), "MQSATED"]


def write_made_up(folder: Path, seeds: tuple[int, ...] = (1, 2, 3)) -> None:
    """Eleven variants on two data sets; one run failed, one is missing, one variant has a single epoch.

    On the second, ten of them take about as long and score about as much.
    """
    write_plan(folder, ROWS, ["first", "second"], seeds)
    plan = json.loads((folder / "benchmark.json").read_text("utf-8"))
    (folder / "benchmark.json").write_text(json.dumps({**plan, "command": COMMAND}), "utf-8")
    for dataset in ("first", "second"):
        for place, row in enumerate(ROWS):
            for seed in seeds:
                if (dataset, row) == ("second", "Model6"):
                    if seed == 1:
                        fail(
                            folder, dataset, row, seed, "RuntimeError: <script>throw 'out of memory'</script>"
                        )
                    continue
                near = dataset == "second" and row != "MQSATED"
                score = (0.02 if near else 0.01 * (place + 1)) + 0.001 * math.sin(7 * seed + place)
                test = {f"{name}@{k}": score * (1 + k / 20) for name in ("hit", "ndcg") for k in (5, 10, 20)}
                slices = {part: {"samples": 500, **test} for part in ("0", ">0", "all")}
                history = [
                    {"epoch": e, "train_seconds": 2.0, "valid_seconds": 1.0, "ndcg@20": score * (1 - 0.9**e)}
                    for e in range(1 if row == "Pop" else 20 + place + seed)
                ]
                total = 10.0 + place / 10 if near else 10.0 * (place + 1)
                seconds = {"training": total, "validation": total * 0.2, "test": 1.0}
                write_cell(
                    folder, dataset, row, seed, test, history=history, slices=slices, seconds=seconds,
                    peak_memory_bytes={"process": 10**8 * (place + 1)},
                )  # fmt: skip
    write_report(folder)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_made_up(folder)
    return folder / "report.html"


class Outline(HTMLParser):
    """Which elements a page has, and that those that need an end have it."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.outside: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "action", "data") and not (value or "").startswith(
                ("#", "data:")
            ):
                self.outside.append(f"{tag} {key}={value}")
            if key == "id":
                self.ids.append(value or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_four_files_and_nothing_else(report: Path) -> None:
    assert {path.name for path in report.parent.iterdir()} == {"benchmark.json", "cells", *FILES}


def test_the_page_is_whole_and_fetches_nothing(report: Path) -> None:
    text = report.read_text("utf-8")
    outline = Outline(text)
    assert outline.open == []
    assert outline.outside == []
    assert re.findall(r"@import|url\((?!#)", text) == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.count["script"] == 1  # a name and a failure hold tags, as text
    assert str(escape(EVIL)) in text
    assert "RuntimeError: &lt;script&gt;" in text
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_page_says_what_is_missing_and_how_it_was_tested(report: Path) -> None:
    text = re.sub(r"<[^>]*>", " ", report.read_text("utf-8"))
    for words in (
        "63 of 66 runs finished, 1 failed",
        "not run, or not finished",
        "The t-test pairs 3 seeds (1, 2 and 3) on first and second.",
    ):
        assert words in text


def test_the_same_runs_give_the_same_files(report: Path) -> None:
    before = {name: (report.parent / name).read_bytes() for name in FILES}
    write_report(report.parent)
    assert {name: (report.parent / name).read_bytes() for name in FILES} == before


def test_a_report_of_nothing_yet(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    write_report(tmp_path)
    outline = Outline((tmp_path / "report.html").read_text("utf-8"))
    assert outline.open == []
    assert "svg" not in outline.count


@pytest.mark.parametrize("values", [[0.1, 0.5, 1.0], ["mean", "learned"], [[1, 2], [1, 4]]])
def test_a_sweep_has_a_picture_for_each_data_set(tmp_path: Path, values: list[object]) -> None:
    rows = [(f"p={place}", "MQSATED", {"p": value}) for place, value in enumerate(values)]
    study = {"kind": "sweep", "param": "p", "values": values}
    write_plan(tmp_path, [*rows, ("Pop", "Pop", {})], ["first", "second"], [1, 2], study)
    for dataset in ("first", "second"):
        for place, name in enumerate([*(row[0] for row in rows), "Pop"]):
            for seed in (1, 2):
                write_cell(tmp_path, dataset, name, seed, {"ndcg@20": 0.1 * place + 0.01 * seed})
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert text.count('aria-label="first: test NDCG@20 by p"') == 1
    assert text.count('aria-label="second: test NDCG@20 by p"') == 1


def test_each_curve_has_its_chosen_epochs(report: Path) -> None:
    training = report.read_text("utf-8").split('<section id="training">')[1].split("</section>")[0]
    first, second = training.split("<figure>")[1:]
    for picture, names in ((first, ROWS), (second, [row for row in ROWS if row != "Model6"])):
        marks = re.findall(r'data-variant="(\d+)" class="chosen">(.*?)</g>\s*</g>', picture, re.DOTALL)
        assert [int(place) for place, _ in marks] == [ROWS.index(name) for name in names]
        assert {len(re.findall("<use ", mark)) for _, mark in marks} == {3}  # one for each seed
    assert "Each large outlined marker is one seed's best epoch" in " ".join(training.split())


def test_times_of_several_machines_are_warned_about(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["first", "second"], [1])
    machine = {"processor": "Another", "machine": "aarch64", "threads": 2, "gpu": None}
    for dataset in ("first", "second"):
        write_cell(tmp_path, dataset, "A", 1, {"ndcg@20": 0.1})
    write_cell(tmp_path, "first", "MQSATED", 1, {"ndcg@20": 0.2})
    write_cell(tmp_path, "second", "MQSATED", 1, {"ndcg@20": 0.2}, hardware=machine)
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    sections = {part.partition('"')[0]: part for part in text.split('<section id="')[1:]}
    note = "These runs are of 2 machines: compare their times and memory with care"
    assert {name: part.count(note) for name, part in sections.items() if note in part} == {
        "quality": 1,
        "cost": 1,
    }
    for name in ("quality", "cost"):  # that on the first data set is for comparing
        assert re.search(rf">second(</figcaption>|:)[^v]*{note}", sections[name])


def test_published_numbers_are_apart_and_only_on_demand(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["amazon-beauty"], [1])
    for row, value in (("A", 0.01), ("MQSATED", 0.02)):
        write_cell(tmp_path, "amazon-beauty", row, 1, {"ndcg@20": value})
    write_report(tmp_path)
    assert "published" not in re.sub(
        "<style>.*?</style>|<script>.*?</script>", "", page_of(tmp_path), flags=re.DOTALL
    )
    write_report(tmp_path, paper=True)
    own, summary, published = (
        page_of(tmp_path).split('<section id="results">')[1].split("</table>")[0].split("<tbody")[1:]
    )
    assert re.findall(r"<(?:strong|u)>([0-9.]+)", own) == ["0.0100", "0.0200"]
    assert "+100.00 %" in summary
    assert published.startswith(' class="published">')
    assert "published: the paper's numbers, not run here" in published
    assert published.count('<tr><th scope="row">') == 9
    assert re.search(r">MQSA-TED</th>\s*<td data-value=\"0.0726\">0.0726</td></tr>", published)
    assert not re.search("<strong>|<u>", published)


def page_of(folder: Path) -> str:
    return html.unescape((folder / "report.html").read_text("utf-8"))


# In a browser.

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)

PROBE = """<script>
window.found = [];
window.addEventListener("error", event => window.found.push(String(event.message)));
</script>"""
LOOK = """<script>
window.addEventListener("load", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  setTimeout(look, 100);
});
function look() {
  const all = (query, of) => (of || document).querySelectorAll(query);
  const wide = element => element.getBoundingClientRect();
  const table = all("table.sortable")[0], second = all("thead th", table)[1];
  const column = () => [...table.tBodies[0].rows].map(row => Number(row.cells[1].dataset.value));
  const before = column();
  second.querySelector("button").click();
  const falling = column();
  second.querySelector("button").click();
  const rising = column();
  const name = [...all(".legend button")].at(-1);
  name.click();
  const faded = all("svg .faded").length, kept = all("svg [data-variant]:not(.faded)").length;
  name.click();
  document.documentElement.setAttribute("data-report", JSON.stringify({
    errors: window.found, tables: all("table").length, rows: all("tbody", table)[0].rows.length,
    pictures: [...all("figure svg")].map(svg => [svg.getAttribute("aria-label"), wide(svg).width, wide(svg).height,
      all("path", svg).length]),
    before, falling, rising, faded, kept, still: all("svg .faded").length,
    scroll: document.documentElement.scrollWidth, inner: window.innerWidth,
    out: [...all("#results table")].filter(t => wide(t).width > wide(t.parentNode).width + 1).length,
    scrolling: [...all(".scroll")].filter(box => getComputedStyle(box).overflowX === "auto").length,
    wider: [...all(".scroll")].filter(box => box.scrollWidth > box.clientWidth + 1).length,
    telling: [...all("#results .hint, #cost .hint")].filter(hint => wide(hint).height > 0).length,
    hints: [...all(".hint")].filter(hint => wide(hint).height > 0).length,
    hinted: [...all(".hint")].filter(hint => wide(hint).height > 0)
      .filter(hint => hint.nextElementSibling.scrollWidth > hint.nextElementSibling.clientWidth + 1).length,
    command: [...all("pre")].map(box => [box.innerText, box.scrollWidth - box.clientWidth,
      [...all("span", box)].map(word => wide(word).right - wide(box).right)]),
    names: [...all("#quality svg")].map(svg => [...all(".name text", svg)].map(text => {
      const box = wide(text);
      return [text.textContent, box.left, box.top, box.right, box.bottom];
    })),
  }));
}
</script>"""


def browse(page: Path, folder: Path, width: int, harm: str = "") -> dict:
    """What the page looks like from inside, in a frame of the given width; ``harm`` is put into it first."""
    text = page.read_text("utf-8")
    assert text.count("<style>") == 1
    (folder / "page.html").write_text(
        text.replace("<style>", PROBE + "<style>").replace("</body>", harm + LOOK + "</body>"), "utf-8"
    )
    # A window is never narrower than 500 pixels or so; a frame is.
    script = """<script>
    const frame = document.querySelector("iframe");
    window.addEventListener("load", function look() {
      const found = frame.contentDocument.documentElement.getAttribute("data-report");
      if (found === null) setTimeout(look, 50); else document.body.setAttribute("data-report", found);
    });
    </script>"""
    frame = f'<iframe src="page.html" style="border:0" width="{width}" height="900"></iframe>'
    (folder / "frame.html").write_text(f"<!DOCTYPE html><body>{frame}{script}</body>", "utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--allow-file-access-from-files", "--virtual-time-budget=10000", "--enable-logging=stderr",
        "--window-size=1400,1000", "--dump-dom", (folder / "frame.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = re.search(r'<body data-report="([^"]*)"', done.stdout)
    assert found, done.stdout[-2000:] + done.stderr
    seen = json.loads(html.unescape(found[1])) if found[1] != "null" else {}
    # What the browser itself complains of: a script's error, a source that the policy refuses, a failed request.
    seen["console"] = [line for line in done.stderr.splitlines() if re.search(r":(INFO|ERROR):CONSOLE", line)]
    return seen


@pytest.fixture(scope="module", params=[1280, 400])
def width(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def seen(report: Path, tmp_path_factory: pytest.TempPathFactory, width: int) -> dict:
    return browse(report, tmp_path_factory.mktemp("browser"), width)


@needs_chromium
def test_in_a_browser(seen: dict, width: int) -> None:
    assert seen["console"] == seen["errors"] == []
    assert seen["inner"] == width
    assert seen["scroll"] <= width
    # Results, slices and cost of both data sets; their slices in the five other metrics; runs without a result;
    # settings given, shared, and by row.
    assert seen["tables"] == 6 + 2 * 5 + 1 + 2 + len(ROWS)
    assert seen["rows"] == len(ROWS)
    assert [label for label, *_ in seen["pictures"]] == [
        f"{dataset}: {what}"
        for what in ("validation NDCG@20 by epoch", "test NDCG@20 against time, marker area the peak memory")
        for dataset in ("first", "second")
    ]
    for label, wide, high, paths in seen["pictures"]:
        assert wide > 300, label
        assert high > 200, label
        assert paths > len(ROWS), label
    assert seen["out"] == (
        2 if width == 400 else 0
    )  # there, tables are wider than their own boxes, which scroll
    assert seen["scrolling"] >= seen["tables"]
    # A table that scrolls says so, and no other.
    assert seen["hints"] == seen["hinted"] == seen["wider"]
    assert seen["telling"] == (4 if width == 400 else 0)
    # The command wraps.
    ((command, beyond, words),) = seen["command"]
    assert command.split() == COMMAND
    assert beyond <= 0
    assert len(words) == len(COMMAND)
    assert max(words) <= 0


@needs_chromium
def test_no_two_names_collide(seen: dict) -> None:
    first, second = seen["names"]
    assert sorted(name for name, *_ in first) == sorted(ROWS)
    assert sorted(name for name, *_ in second) == sorted(row for row in ROWS if row != "Model6")
    for picture in (first, second):
        for (one, *a), (other, *b) in itertools.combinations(picture, 2):
            apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
            assert apart, (one, other, a, b)


@needs_chromium
def test_the_script_sorts_and_fades(seen: dict) -> None:
    assert seen["falling"] == sorted(seen["before"], reverse=True)
    assert seen["rising"] == sorted(seen["before"])
    assert seen["faded"] > seen["kept"] > 0
    assert seen["still"] == 0


@needs_chromium
@pytest.mark.parametrize(
    ("harm", "sign"),
    [
        ("<script>undefinedName.call()</script>", "undefinedName"),
        ("<script>Promise.reject(new Error('lost'))</script>", "lost"),
        ('<script src="https://example.org/a.js"></script>', "example.org"),
        ('<div style="width:3000px">wide</div>', ""),
    ],
)
def test_the_browser_test_can_fail(report: Path, tmp_path: Path, harm: str, sign: str) -> None:
    seen = browse(report, tmp_path, 400, harm)
    if sign:
        assert any(sign in line for line in seen["console"])
    else:
        assert seen["scroll"] > 400

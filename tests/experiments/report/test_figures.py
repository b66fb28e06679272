"""The pictures: styles that differ, names that do not collide, the chosen epoch where it belongs."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest
from helpers.made_up import write_cell, write_plan

from recbole_mqsa.experiments.report import render
from recbole_mqsa.experiments.report.figures import curves
from recbole_mqsa.experiments.report.labels import Box, Point, detached, placed
from recbole_mqsa.experiments.report.scatter import extent, scatter
from recbole_mqsa.experiments.report.styles import PALETTE, styles
from recbole_mqsa.experiments.trials import Variant, read_benchmark

ELEVEN = [*(f"Model{number}" for number in range(10)), "MQSATED"]
STYLESHEET = Path(render.__file__).with_name("templates") / "report.css"


def variants(names: list[str]) -> list[Variant]:
    return [Variant(name, name, {}) for name in names]


# Styles.


@pytest.mark.parametrize("names", [ELEVEN, ["full", *ELEVEN[:10]], ELEVEN[::-1]])
def test_neither_a_colour_nor_a_marker_comes_twice_among_eleven(names: list[str]) -> None:
    found = styles(variants(names), "MQSATED")
    assert list(found) == names
    assert len({style.colour for style in found.values()}) == 11
    assert len({style.marker for style in found.values()}) == 11
    assert [name for name, style in found.items() if style.proposed] == [n for n in names if n == "MQSATED"]


@pytest.mark.parametrize("names", [["MQSATED"], []])
def test_no_two_of_a_hundred_look_alike(names: list[str]) -> None:
    found = styles(variants([*names, *map(str, range(100))]), "MQSATED")
    assert len({(style.colour, style.marker) for style in found.values()}) == len(found)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_stylesheet_has_the_palette_for_light_and_dark() -> None:
    text = STYLESHEET.read_text("utf-8")
    light, dark = ([], [])
    for number, colour in re.findall(r"--series-(\d+): (#[0-9a-f]{6});", text):
        (light if len(light) == int(number) else dark).append(colour)
    assert tuple(light) == PALETTE
    assert len(dark) == len(set(dark)) == len(PALETTE)
    grounds = re.findall(r"--ground: (#[0-9a-f]+);", text)
    assert grounds == ["#fff", "#14171a"]
    assert min(1.05 / (luminance(colour) + 0.05) for colour in light) > 3
    assert min((luminance(colour) + 0.05) / (luminance(grounds[1]) + 0.05) for colour in dark) > 3


# Names in the scatter plot.

FRAME = Box(0, 0, 380, 250)


def test_a_lone_name_stands_to_the_right_of_its_point() -> None:
    point = Point(50, 50, radius=5, wide=20, high=10)
    assert placed([point], FRAME) == [Box(58, 45, 78, 55)]  # 50 + 5 + a gap of 3
    assert not detached(point, Box(58, 45, 78, 55))
    assert detached(point, Box(70, 45, 90, 55))


def test_a_name_at_the_right_edge_stands_to_the_left() -> None:
    assert placed([Point(375, 50, radius=5, wide=20, high=10)], FRAME) == [Box(347, 45, 367, 55)]


def overlapping(boxes: list[Box]) -> list[tuple[Box, Box]]:
    """Pairs of boxes that share more than an edge, by their sides alone."""
    return [
        (a, b)
        for a, b in itertools.combinations(boxes, 2)
        if a.left < b.right and b.left < a.right and a.low < b.high and b.low < a.high
    ]


def test_overlapping_boxes_are_found() -> None:
    a, b, c = Box(0, 0, 2, 2), Box(1, 1, 3, 3), Box(2, 0, 4, 1)
    assert overlapping([a, b, c]) == [(a, b)]
    assert (a.overlap(b), a.overlap(c), b.overlap(c)) == (1, 0, 0)


@pytest.mark.parametrize("crowd", ["equal", "column", "corner", *range(8)])
def test_no_two_names_overlap(crowd: str | int) -> None:
    draw = random.Random(str(crowd))
    names = [draw.choice(("Pop", "SASRec-whole", "without the short query", "MQSATED")) for _ in range(24)]
    places = {
        "equal": [(190.0, 125.0)] * 24,
        "column": [(190.0, 100.0 + number) for number in range(24)],
        "corner": [(379.0, 249.0)] * 24,
    }.get(str(crowd)) or [(draw.gauss(200, 30), draw.gauss(120, 20)) for _ in range(24)]
    points = [
        Point(x, y, draw.uniform(2, 10), *extent(name, name == "MQSATED"))
        for name, (x, y) in zip(names, places)
    ]
    boxes = placed(points, FRAME)
    assert overlapping(boxes) == []
    for point, box in zip(points, boxes):
        assert (box.right - box.left, box.high - box.low) == pytest.approx((point.wide, point.high))


def test_eleven_names_stay_in_the_frame() -> None:
    points = [Point(200 + 3 * n, 120 + 2 * n, 9, *extent(name, False)) for n, name in enumerate(ELEVEN)]
    boxes = placed(points, FRAME)
    assert overlapping(boxes) == []
    assert all(box.overlap(FRAME) == pytest.approx(box.area) for box in boxes)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_the_names_in_the_picture_do_not_overlap(tmp_path: Path) -> None:
    write_plan(tmp_path, ELEVEN, ["d"], [1])
    for place, name in enumerate(ELEVEN):  # ten close together, as the axes stretch to where the last one is
        far = name == "MQSATED"
        seconds = {"training": 6000.0 if far else 60.0 + place, "validation": 1.0, "test": 1.0}
        score = 0.5 if far else 0.05 + 0.001 * place
        write_cell(tmp_path, "d", name, 1, {"ndcg@20": score}, seconds=seconds)
    svg = str(scatter(read_benchmark(tmp_path)[1], "d", "ndcg@20", styles(variants(ELEVEN), "MQSATED")))
    found = re.findall(r'class="name".*?<text style="([^"]*)"[^>]*>([^<]*)</text>', svg, re.DOTALL)
    centres = re.findall(r'class="name".*?<text [^>]*?x="([^"]*)" y="([^"]*)"', svg, re.DOTALL)
    assert sorted(name for _, name in found) == sorted(ELEVEN)
    boxes = []
    for (_, name), (x, y) in zip(found, centres):
        wide, high = extent(name, name == "MQSATED")
        boxes.append(Box(float(x) - wide / 2, float(y) - high, float(x) + wide / 2, float(y)))
    assert overlapping(boxes) == []


# Curves.


def test_the_chosen_epoch_is_marked_on_its_curve(tmp_path: Path) -> None:
    write_plan(tmp_path, ["A", "MQSATED"], ["d"], [1])
    for name, best, scores in (("A", 2, (0.1, 0.2, 0.4, 0.3)), ("MQSATED", 1, (0.1, 0.5, 0.3, 0.2))):
        history = [{"epoch": epoch, "ndcg@20": score} for epoch, score in enumerate(scores)]
        write_cell(tmp_path, "d", name, 1, {"ndcg@20": 0.1}, history=history, best_epoch=best)
    names = ["A", "MQSATED"]
    svg = str(curves(read_benchmark(tmp_path)[1], "d", "ndcg@20", styles(variants(names), "MQSATED")))
    for place, best in ((0, 2), (1, 1)):
        (line,) = re.findall(rf'data-variant="{place}" class="line">\s*<path d="([^"]*)"', svg)
        corners = list(zip(numbers(line)[::2], numbers(line)[1::2]))
        assert len(corners) == 4
        (marks,) = re.findall(rf'data-variant="{place}" class="chosen">(.*?)</g>\s*</g>', svg, re.DOTALL)
        uses = re.findall(r'<use [^>]*?x="([^"]*)" y="([^"]*)"', marks)
        assert [(float(x), float(y)) for x, y in uses] == [pytest.approx(corners[best])]

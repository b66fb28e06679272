"""Where the names of points go in a picture, so that each can be read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle with its sides along the axes."""

    left: float
    low: float
    right: float
    high: float

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.low + self.high) / 2

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.high - self.low)

    def overlap(self, other: Box) -> float:
        """The area that two boxes share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.high, other.high) - max(self.low, other.low)
        return max(wide, 0.0) * max(high, 0.0)


@dataclass(frozen=True)
class Point:
    """A round marker with a name; ``wide`` and ``high`` are the name's extent."""

    x: float
    y: float
    radius: float
    wide: float
    high: float

    @property
    def box(self) -> Box:
        return Box(self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius)


DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
GAP = 3.0
"""Between a marker and its name, in the points' unit."""
OUTSIDE = 4.0
"""What a unit of area outside of the frame costs; a unit that covers a marker costs 1."""


def placed(points: Sequence[Point], frame: Box) -> list[Box]:
    """A box for each point's name; no two overlap.

    The names are placed one after the other, from the highest point down. Each goes where it covers no other name and
    costs least: for the markers it covers, for what is outside of ``frame``, and for its distance from its point.
    """
    markers = [point.box for point in points]
    found: dict[int, Box] = {}
    for number in sorted(range(len(points)), key=lambda number: -points[number].y):
        found[number] = _place(points[number], list(found.values()), markers, frame)
    return [found[number] for number in range(len(points))]


def _place(point: Point, names: Sequence[Box], markers: Sequence[Box], frame: Box) -> Box:
    best, least = point.box, math.inf
    for distance, box in _candidates(point):  # endless; the names end somewhere, so that one is free
        if distance * point.high >= least:
            break
        if any(box.overlap(name) for name in names):
            continue
        covered, outside = sum(map(box.overlap, markers)), box.area - box.overlap(frame)
        cost = covered + OUTSIDE * outside + distance * point.high
        if cost < least:
            best, least = box, cost
    return best


def _candidates(point: Point) -> Iterator[tuple[float, Box]]:
    """Places around a point, ring by ring, each with how much farther than the nearest ring it is."""
    for ring in itertools.count():
        distance = ring * point.high / 3
        gap = point.radius + GAP + distance
        for dx, dy in DIRECTIONS:
            left = point.x + dx * gap - (0 if dx > 0 else point.wide if dx < 0 else point.wide / 2)
            low = point.y + dy * (gap + (point.high / 2 if dx == 0 else 0)) - point.high / 2
            yield distance, Box(left, low, left + point.wide, low + point.high)


def detached(point: Point, box: Box) -> bool:
    """Whether a name is so far from its point that a line has to join them."""
    nearest = min(max(point.x, box.left), box.right), min(max(point.y, box.low), box.high)
    return math.dist((point.x, point.y), nearest) > point.radius + GAP + point.high / 2

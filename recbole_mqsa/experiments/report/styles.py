"""How a variant is drawn: the same colour, dash and marker in every picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..trials import Variant

PALETTE = (
    *("#d1480f", "#195cc7", "#b5830a", "#2fa084", "#c45fb8", "#4393e1"),
    *("#3b0f67", "#6b3a0c", "#707070", "#8a1c8f", "#01434c"),
)
"""The first is the proposed variant's. ``--series-0`` and on in the stylesheet, which has others for a dark ground."""

MARKERS, PROPOSED_MARKER = "osD^vPXp<>h", "*"
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5))
"""Lengths of stroke and gap in units of the line's width; a solid line has none."""


@dataclass(frozen=True)
class Style:
    """How a variant is drawn; ``place`` is its number, by which a page finds it in every picture."""

    place: int
    colour: str
    dash: tuple[float, ...]
    marker: str
    proposed: bool


def styles(variants: Sequence[Variant], proposed: str) -> dict[str, Style]:
    """A style for each variant, in the plan's order; that of ``proposed`` stands out.

    Among eleven variants no colour and no marker comes twice. Where there are more, both start again, one place
    apart, so that no two of a hundred variants share both.
    """
    there = any(variant.name == proposed for variant in variants)
    colours = PALETTE[1:] if there else (*PALETTE[1:], PALETTE[0])
    found, others = {}, 0
    for place, variant in enumerate(variants):
        if variant.name == proposed:
            found[variant.name] = Style(place, PALETTE[0], DASHES[0], PROPOSED_MARKER, True)
            continue
        turn, hue = divmod(others, len(colours))
        marker, dash = MARKERS[(hue + turn) % len(MARKERS)], DASHES[others % len(DASHES)]
        found[variant.name] = Style(place, colours[hue], dash, marker, False)
        others += 1
    return found

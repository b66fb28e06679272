"""How numbers, names and amounts are written, in every format of the report."""

from __future__ import annotations

from ...interfaces import Json

SHORT = {"hit": "HR", "ndcg": "NDCG"}
MISSING = "-"
MINUS = "\N{MINUS SIGN}"


def metric_label(key: str) -> str:
    """``hit@5`` as ``HR@5``."""
    metric, at, cut_off = key.partition("@")
    return SHORT.get(metric, metric.upper()) + at + cut_off


def metric_order(key: str) -> tuple[int, str, int]:
    """HR first, then NDCG, then others by name; each by its length of list."""
    metric, _, cut_off = key.partition("@")
    known = list(SHORT)
    place = known.index(metric) if metric in known else len(known)
    return place, metric, int(cut_off) if cut_off.isdigit() else 0


def number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"


def percent(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.2f} %".replace("-", MINUS)


def between(bounds: tuple[float, float] | None) -> str:
    """An interval in percent."""
    return MISSING if bounds is None else f"{bounds[0]:+.1f} to {bounds[1]:+.1f} %".replace("-", MINUS)


def probability(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def count(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    if seconds < 0.05:
        return "< 0.1 s" if seconds > 0 else "0 s"
    for limit, unit, size in ((59.95, "s", 1), (3597, "min", 60)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 3600:,.1f} h"


def memory(size: float | None) -> str:
    """Bytes in decimal units."""
    if size is None:
        return MISSING
    return f"{size / 1e6:.0f} MB" if size < 999.5e6 else f"{size / 1e9:,.2f} GB"


def operations(value: float | None) -> str:
    """Floating-point operations, with a factor of a thousand to each letter."""
    if value is None:
        return MISSING
    for limit, unit in ((1e3, ""), (1e6, " k"), (1e9, " M"), (1e12, " G")):
        if value < limit:
            return f"{value / (limit / 1e3):.4g}{unit}"
    return f"{value / 1e12:,.4g} T"


def listing(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def machine(hardware: Json) -> str:
    """The record of a machine as one line: CPU, architecture, threads, GPU."""
    threads = hardware.get("threads")
    parts = [hardware.get("processor"), hardware.get("machine")]
    parts.append(plural(threads, "thread") if isinstance(threads, int) else None)
    parts.append(hardware.get("gpu") or "no GPU")
    return ", ".join(str(part) for part in parts if part)

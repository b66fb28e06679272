"""What a search may vary: a setting with its range, or with the values to choose among."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from ..errors import UserError
from ..settings.numbers import is_number, is_whole

DIGITS = 6
"""A drawn number is rounded to so many significant digits, so that it can be read and repeated."""

Scalar = Union[bool, int, float, str, None]


@dataclass(frozen=True)
class Choice:
    """A setting that takes one of some values, of any kind.

    Args:
        where: where it stands, as the beginning of a message: "space.yaml, line 3: ".
    """

    key: str
    values: tuple[object, ...]
    where: str = ""

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError(f"{self.where}{self.key} has no value to choose; name one or more")
        labels = [repr(value) for value in self.values]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise UserError(f"{self.where}{self.key} has the value {twice} twice; name each once")

    @property
    def labels(self) -> list[Scalar]:
        """What stands for each value in the study, which keeps nothing but scalars."""
        kinds = {type(value) for value in self.values}
        plain = len(kinds) == 1 and kinds <= {bool, int, float, str}
        return [value if plain else repr(value) for value in self.values]  # type: ignore[misc]

    def value_of(self, label: Scalar) -> object:
        """The value that a label stands for."""
        return dict(zip(self.labels, self.values))[label]

    def label_of(self, value: object) -> Scalar:
        """What stands for a value of this setting."""
        return self.labels[[repr(one) for one in self.values].index(repr(value))]

    def __contains__(self, value: object) -> bool:
        return repr(value) in [repr(one) for one in self.values]

    def extremes(self) -> tuple[object, ...]:
        """The values that a rule has to allow."""
        return self.values

    @property
    def count(self) -> int | None:
        """How many values there are."""
        return len(self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A setting that takes a number from ``low`` to ``high``, both included.

    Args:
        step: the distance of the values from ``low`` on; None lets it take any number.
        log: whether each factor is as likely as any other, rather than each difference.
    """

    key: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    where: str = ""

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            number = getattr(self, name)
            if not is_number(number) and not (name == "step" and number is None):
                raise UserError(f"{self.where}{self.key} has {name} {number!r}; it has to be a number")
        problem = self._contradiction()
        if problem:
            raise UserError(f"{self.where}{self.key} {problem}")

    def _contradiction(self) -> str | None:
        if self.low > self.high:
            return f"has low {self.low}, which is above high {self.high}; exchange them"
        if self.log and self.low <= 0:
            return f"is logarithmic from {self.low}; such a range begins above 0"
        if self.log and self.step is not None:
            return "is logarithmic and has a step; leave one of them out"
        if self.step is not None and self.step <= 0:
            return f"has step {self.step}; it has to be above 0"
        if self.step is not None and self.step > self.high - self.low > 0:
            return f"has step {self.step}, which is more than from {self.low} to {self.high}"
        return None

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole: they are if all that is given is."""
        return all(is_whole(number, -(2**63)) for number in (self.low, self.high, self.step or 1))

    @property
    def top(self) -> float:
        """The largest number that the steps reach."""
        if self.step is None:
            return self.high
        steps = math.floor((self.high - self.low) / self.step + 1e-9)
        return (
            int(self.low + steps * self.step) if self.whole else float(f"{self.low + steps * self.step:.12g}")
        )

    def value_of(self, drawn: Scalar) -> float:
        """A drawn number, rounded for its readers; it stays within the range."""
        assert isinstance(drawn, (int, float))
        if self.whole:
            return int(drawn)
        return min(max(float(f"{drawn:.{DIGITS}g}"), self.low), self.high)

    def label_of(self, value: object) -> Scalar:
        """What stands for a value of this setting in the study: the number itself."""
        assert isinstance(value, (int, float))
        return value

    def __contains__(self, value: object) -> bool:
        if not is_number(value) or not self.low <= value <= self.high or (self.whole and value != int(value)):
            return False
        steps = (value - self.low) / (self.step or 1)
        return self.step is None or math.isclose(steps, round(steps), abs_tol=1e-9)

    def extremes(self) -> tuple[object, ...]:
        """The values that a rule has to allow."""
        return (self.low, self.top) if self.low < self.top else (self.low,)

    @property
    def count(self) -> int | None:
        """How many values there are; None where there is no end of them."""
        step = self.step or (1 if self.whole and not self.log else None)
        return None if step is None else round((self.top - self.low) / step) + 1

    def __str__(self) -> str:
        kinds = ["whole" if self.whole else "", "logarithmic" if self.log else ""]
        text = f"{self.low:g} to {self.high:g}"
        extra = [kind for kind in kinds if kind] + ([f"step {self.step:g}"] if self.step is not None else [])
        return ", ".join([text, *extra])


Parameter = Union[Choice, Range]


class Space:
    """The settings that a search varies, in the order of their file.

    Raises:
        UserError: there is none, or one comes twice.
    """

    def __init__(self, parameters: list[Parameter], source: str = "the space") -> None:
        if not parameters:
            raise UserError(f"{source} is empty; it needs lines like 'tau: [0.05, 0.1, 0.2]'")
        self.parameters = {one.key: one for one in parameters}
        self.source = source
        for number, one in enumerate(parameters):
            if one.key in [other.key for other in parameters[:number]]:
                raise UserError(f"{one.where}{one.key} is in the space already; keep one of them")

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters.values())

    def __contains__(self, key: str) -> bool:
        return key in self.parameters

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def size(self) -> int | None:
        """How many different settings it holds; None where there is no end of them."""
        counts = [one.count for one in self]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def settings_of(self, drawn: dict[str, Scalar]) -> dict[str, object]:
        """The settings that numbers and labels in a study stand for."""
        return {key: one.value_of(drawn[key]) for key, one in self.parameters.items() if key in drawn}

    def described(self) -> dict[str, str]:
        """Each setting with its range or values, in words."""
        return {one.key: str(one) for one in self}

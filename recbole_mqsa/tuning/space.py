"""Reads spaces: yaml files, RecBole's own lines, and dictionaries.

A yaml space has a line for each setting::

    learning_rate: {low: 0.0001, high: 0.005, log: true}
    hidden_dropout_prob: {low: 0.1, high: 0.7, step: 0.1}
    query_windows: [[1, 2], [1, 3], [1, 4]]

RecBole's has a name, a kind and numbers; the bounds of ``loguniform`` are exponents of e::

    learning_rate loguniform -8,0
    hidden_size choice [32, 64]

Nothing is evaluated: values are literals.
"""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import UserError
from ..settings.files import read_yaml_by_line
from ..settings.literals import literal
from ..settings.names import hint
from .parameters import Choice, Parameter, Range, Space

KEYS = ("low", "high", "step", "log")


def read_space(space: str | os.PathLike[str] | Mapping[str, object]) -> Space:
    """The space of a yaml file (``.yaml``, ``.yml``), of a file of RecBole's lines, or of a dictionary like the yaml.

    Raises:
        UserError: the file cannot be read, or a line is none; the message has its number.
    """
    if isinstance(space, Mapping):
        return Space([parameter(str(key), value, "space: ") for key, value in space.items()])
    file = Path(space)
    if file.suffix in (".yaml", ".yml"):
        lines = [(f"{file}, line {line}: ", key, value) for line, key, value in read_yaml_by_line(file)]
        return Space([parameter(key, value, where) for where, key, value in lines], str(file))
    return Space(_recbole_lines(file), str(file))


def parameter(key: str, value: object, where: str = "") -> Parameter:
    """One setting of a yaml space.

    Raises:
        UserError: the value is neither a list nor a range.
    """
    if isinstance(value, (list, tuple)):
        return Choice(key, tuple(value), where)
    if not isinstance(value, Mapping):
        raise UserError(
            f"{where}{key} is {value!r}; it has to be a list of values, or a range as in {{low: 0.1, high: 0.9}}"
        )
    for name in value:
        if name not in KEYS:
            raise UserError(
                f"{where}{key} has '{name}'{hint(str(name), KEYS)}; a range has {', '.join(KEYS)}"
            )
    missing = [name for name in ("low", "high") if name not in value]
    if missing:
        raise UserError(f"{where}{key} has no {missing[0]}; a range needs low and high")
    if not isinstance(value.get("log", False), bool):
        raise UserError(f"{where}{key} has log {value['log']!r}; it has to be true or false")
    return Range(key, value["low"], value["high"], value.get("step"), value.get("log", False), where)


# RecBole's lines.


def _recbole_lines(file: Path) -> list[Parameter]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"space {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"space {file} is no text: {error.reason}") from error
    return [
        _recbole_line(line, f"{file}, line {number}: ")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _recbole_line(line: str, where: str) -> Parameter:
    words = line.split(maxsplit=2)
    if len(words) < 3 or words[1] not in _KINDS:
        short = "it has one word" if len(words) == 1 else "it has two words"
        why = short if len(words) < 3 else f"'{words[1]}' is none of {', '.join(_KINDS)}"
        raise UserError(f"{where}{why}; a line looks like 'learning_rate loguniform -8,0'")
    return _KINDS[words[1]](words[0], words[2], where)


def _choice(key: str, text: str, where: str) -> Parameter:
    values = literal(text)
    if not isinstance(values, (list, tuple)):
        raise UserError(f"{where}{key} has {text}; choice takes a list of literals, as in [32, 64]")
    # RecBole's examples write lists as text, which its Config turns into lists.
    return Choice(key, tuple(literal(one) if isinstance(one, str) else one for one in values), where)


def _uniform(key: str, text: str, where: str) -> Parameter:
    low, high = (float(number) for number in _numbers(key, text, 2, where))
    return Range(key, low, high, where=where)


def _loguniform(key: str, text: str, where: str) -> Parameter:
    low, high = _numbers(key, text, 2, where)
    if max(abs(low), abs(high)) > 700:
        raise UserError(f"{where}{key} has {text}; the bounds of loguniform are exponents of e, as in -8,0")
    return Range(key, math.exp(low), math.exp(high), log=True, where=where)


def _quniform(key: str, text: str, where: str) -> Parameter:
    """Multiples of q, as hyperopt rounds; whole numbers if bounds and q are written as such."""
    low, high, q = _numbers(key, text, 3, where)
    if q <= 0:
        raise UserError(f"{where}{key} has the step {q}; it has to be above 0")
    return Range(key, round(low / q) * q, round(high / q) * q, q, where=where)


def _numbers(key: str, text: str, count: int, where: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    try:
        numbers = [ast.literal_eval(part) for part in parts]
    except (ValueError, SyntaxError):
        numbers = []
    if len(numbers) != count or not all(
        isinstance(one, (int, float)) and math.isfinite(one) for one in numbers
    ):
        need = "low,high" if count == 2 else "low,high,q"
        raise UserError(f"{where}{key} has {text}; it has to be {need} in numbers")
    return numbers


_KINDS: dict[str, Callable[[str, str, str], Parameter]] = {
    "choice": _choice,
    "uniform": _uniform,
    "quniform": _quniform,
    "loguniform": _loguniform,
}

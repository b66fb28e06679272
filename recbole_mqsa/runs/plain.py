"""Plain data: values that json and torch's safe mode accept.

Whatever a checkpoint holds besides tensors is packed so that torch's safe mode reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from scipy import sparse


def plain(value: object) -> Any:
    """``value`` as plain data: numbers, strings, lists, dictionaries and None.

    Devices, dtypes, enum members and paths become text; numpy's numbers and arrays become Python's. Entries of a
    dictionary that have no plain form are left out.

    Raises:
        TypeError: ``value`` itself has no plain form.
    """
    return convert(value, _plain_leaf)


class _NoPlainForm(TypeError):
    """Raised for a value that is more than data."""


def convert(value: object, leaf: Callable[[object], Any]) -> Any:
    """``value`` with ``leaf`` applied to everything in it that is no mapping or collection."""
    if isinstance(value, Mapping):
        converted = {}
        for key, entry in value.items():
            with suppress(_NoPlainForm):
                converted[leaf(key)] = convert(entry, leaf)
        return converted
    if isinstance(value, (list, tuple, set, frozenset)):
        return [convert(entry, leaf) for entry in value]
    return leaf(value)


def _plain_leaf(value: object) -> Any:
    if isinstance(value, (Enum, Path, torch.device, torch.dtype)):
        return str(value)
    if isinstance(value, (np.generic, np.ndarray)):  # before float, as np.float64 is a float
        return convert(value.tolist(), _plain_leaf)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    raise _NoPlainForm(f"{type(value).__name__} has no plain form")


_KIND = "recbole_mqsa.kind"  # marks a packed array in a checkpoint


def pack_leaf(value: Any) -> Any:
    """A tensor as it is, an array or sparse matrix as tensors that ``unpack`` turns back, all else as plain data.

    A module that a model lists among its other parameters has no such form; ``state_dict`` holds it already.
    """
    if isinstance(value, torch.Tensor):
        return value
    if sparse.issparse(value):
        entries = value.tocoo()
        parts = {name: torch.as_tensor(getattr(entries, name)) for name in ("row", "col", "data")}
        return {_KIND: value.format, "shape": [int(size) for size in value.shape], **parts}
    if isinstance(value, np.ndarray):
        kind = "matrix" if isinstance(value, np.matrix) else "array"
        return {_KIND: kind, "data": torch.as_tensor(np.asarray(value))}
    return _plain_leaf(value)


def unpack(value: Any) -> Any:
    """Turn back what ``pack_leaf`` packed, at any depth."""
    if isinstance(value, list):
        return [unpack(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if _KIND not in value:
        return {key: unpack(entry) for key, entry in value.items()}
    kind, data = value[_KIND], value["data"].cpu().numpy()
    if kind in ("array", "matrix"):
        return np.asmatrix(data) if kind == "matrix" else data
    place = (value["row"].cpu().numpy(), value["col"].cpu().numpy())
    return sparse.coo_matrix((data, place), shape=value["shape"]).asformat(kind)

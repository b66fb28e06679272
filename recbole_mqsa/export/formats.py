"""How a module is written in each format, and how the file is run again to compare it with the module."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError

INPUT, OUTPUT = "item_seq", "scores"
EXAMPLE = (3, 5)
"""Rows and columns of the example that exporters follow; 0 and 1 would be taken for constants."""

Runs = Callable[[np.ndarray], np.ndarray]
"""[B, T] ids to [B, I + 1] scores."""


class Format(NamedTuple):
    """How a module becomes a file.

    Args:
        file: its name.
        packages: what has to be installed besides torch.
        write: writes a module to a file.
        runner: opens a file.
    """

    file: str
    packages: tuple[str, ...]
    write: Callable[[nn.Module, Path], object]
    runner: Callable[[Path], Runs]


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def check_installed(form: str, packages: tuple[str, ...]) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        UserError: naming them.
    """
    if lacking := missing(packages):
        verb = "is" if len(lacking) == 1 else "are"
        raise UserError(
            f'--format={form} needs {", ".join(lacking)}, which {verb} not installed: pip install ".[export]"'
        )


def traced(module: nn.Module) -> torch.export.ExportedProgram:
    """The graph of a module, for any number of rows and columns."""
    example = torch.ones(EXAMPLE, dtype=torch.int64)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    with torch.no_grad(), _quiet():
        return torch.export.export(module, (example,), dynamic_shapes=({0: batch, 1: length},))


def _write_torch(module: nn.Module, file: Path) -> None:
    torch.export.save(traced(module), file)


def _write_onnx(module: nn.Module, file: Path) -> None:
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            traced(module),
            (),
            file,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _run_torch(file: Path) -> Runs:
    module = torch.export.load(file).module()

    def run(items: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            scores: Tensor = module(torch.from_numpy(items))
        return scores.numpy()

    return run


def _run_onnx(file: Path) -> Runs:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda items: session.run([OUTPUT], {INPUT: items})[0]


FORMATS = {
    "onnx": Format("model.onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _run_onnx),
    "torch": Format("model.pt2", (), _write_torch, _run_torch),
}
"""To add one, write its two functions and a line here."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, the exporters do not tell of their own plans and steps."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

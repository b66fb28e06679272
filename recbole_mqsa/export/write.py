"""Exports a run into a folder: the model, its item names, its weights, and what they are."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils import parametrize

from ..errors import UserError
from ..interfaces import Json
from ..recommend.recommender import Recommender
from ..runs.atomic import write_text
from ..runs.plain import plain
from ..training.run import Run
from ..version import __version__
from .formats import FORMATS, INPUT, OUTPUT, Runs, check_installed
from .scoring import Scoring

WEIGHTS, ITEMS, ABOUT = "weights.safetensors", "items.json", "export.json"
CHOICES = (*FORMATS, "weights")
"""'weights' are written in any case; as a format it means nothing else."""
INSTEAD = "export MQSATED, or only the weights with --format=weights"
TOLERANCE = 1e-5
"""How far the score of an exported model may be from the model's, relative to the largest score above 1."""


def check_export(form: str, output: Path) -> None:
    """Refuse what could not be written, before anything is read.

    Raises:
        UserError: an unknown format, a package that is not installed, or a folder that is in use.
    """
    if form not in CHOICES:
        raise UserError(f"format is {form!r}; it has to be one of {', '.join(CHOICES)}")
    packages = FORMATS[form].packages if form in FORMATS else ()
    check_installed(form, (*packages, "safetensors"))
    if output.exists():
        raise UserError(f"output {output} exists already; name another folder, or move it away")
    if not output.absolute().parent.is_dir():
        raise UserError(f"there is no folder {output.parent} for output; create it, or name another folder")


def export(run: Run, output: str | os.PathLike[str], form: str = "onnx") -> Json:
    """Write ``model.onnx`` or ``model.pt2``, ``weights.safetensors``, ``items.json`` and ``export.json``.

    The model takes ``item_seq``, [B, T] int64: the numbers of each person's items, oldest first, padded with 0 on
    either side, for any B and T of at least 1; only the newest ``longest`` items count. It gives ``scores``, [B, I + 1]
    float32: of item number n in column n, -inf for the padding. What a person has is not left out. ``items.json`` is
    the list of the items' names by number. The file is run after it is written and compared with the run's own
    recommender.

    Args:
        run: a finished run of a model that reads histories; with ``form`` 'weights' of any model.
        output: a new folder; it is there whole or not at all.
        form: 'onnx', 'torch' (``torch.export``) or 'weights'.

    Returns:
        What ``export.json`` says.

    Raises:
        UserError: what :func:`check_export` refuses, or a model that cannot be exported.
    """
    folder = Path(output)
    check_export(form, folder)
    with _made(folder) as draft:
        return _written(run, draft, form)


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A draft of a new folder, which takes its place when all is written, or goes."""
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
    except OSError as problem:
        raise UserError(
            f"output {folder} cannot be written ({problem.strerror}); name another folder"
        ) from problem
    try:
        yield draft
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _written(run: Run, draft: Path, form: str) -> Json:
    rec = Recommender(run)
    about = {
        "format": form,
        "model": run.config["model"],
        "dataset": run.config["dataset"],
        "seed": run.config["seed"],
        "items": len(rec.items.tokens) - 1,
        "mask_seen": bool(run.config["mask_seen"]),
        "test": plain(run.result["test"]),
        "versions": {"recbole_mqsa": __version__, "torch": torch.__version__},
    }
    if form in FORMATS:
        about = {**about, **_model(rec, draft, form)}
    _write_weights(run, draft / WEIGHTS)
    names = [None, *map(str, rec.items.tokens[1:])]
    write_text(draft / ITEMS, json.dumps(names, ensure_ascii=False) + "\n")
    write_text(draft / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    return about


def _model(rec: Recommender, draft: Path, form: str) -> Json:
    """Write the model; what a program that runs it must know."""
    how, config = FORMATS[form], rec.run.config
    module = _portable(rec)
    try:
        how.write(module, draft / how.file)
    except Exception as error:  # exporters raise whatever their parts raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        raise UserError(f"{config['model']} cannot be exported to {form} ({why}); {INSTEAD}") from error
    difference = _difference(rec, how.runner(draft / how.file), module.longest)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{config['model']} exported to {form} gives other scores than the run (by {difference:.1e}); {INSTEAD}"
        )
    return {
        "file": how.file,
        "input": {"name": INPUT, "type": "int64", "shape": ["batch", "length"], "padding": 0},
        "output": {"name": OUTPUT, "type": "float32", "shape": ["batch", len(rec.items.tokens)]},
        "longest": module.longest,
        "largest_difference": difference,
    }


def _portable(rec: Recommender) -> Scoring:
    """The module to export, on the CPU: there the run's own, otherwise a copy."""
    rec.check_serves_strangers()
    module = Scoring(rec.run.model).eval()
    return module if rec.scorer.device.type == "cpu" else copy.deepcopy(module).cpu()


def _difference(rec: Recommender, run: Runs, longest: int) -> float:
    """The largest difference between a file's scores and those of the run's recommender, relative above 1.

    Histories of every length up to one more than the model reads, padded on either side.
    """
    from ..recommend.histories import of_sequences
    from ..recommend.scorer import Choice

    random, n_items = np.random.default_rng(0), len(rec.items.tokens)
    lengths = [*range(1, min(longest, 64) + 1), longest + 1]
    people = [random.integers(1, n_items, length) for length in lengths]
    with parametrize.cached():
        choice = Choice(exclude_seen=False)
        expected = rec.scorer.scores(of_sequences(rec.part, people), choice)[:, 1:].cpu().numpy()
    worst = 0.0
    for row, items in enumerate(people):
        for padding in ((0, 0), (0, 2), (3, 0)):
            found = run(np.pad(items, padding)[None])[0, 1:]
            worst = max(worst, float(np.abs(found - expected[row]).max()))
    return worst / max(1.0, float(np.abs(expected).max()))


def _write_weights(run: Run, file: Path) -> None:
    from safetensors.torch import save

    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in run.model.state_dict().items()
    }
    file.write_bytes(save(weights, {"model": run.config["model"], "dataset": run.config["dataset"]}))

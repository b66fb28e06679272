"""One short run of each of RecBole's general and sequential models: each runs, or is refused in one sentence.

``python tests/helpers/sweep.py`` makes the runs and writes ``docs/recbole_models.md``.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import recbole_mqsa
from recbole_mqsa.errors import UserError
from recbole_mqsa.model.registry import MODELS
from recbole_mqsa.settings import locations

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "recbole_models.md"
KINDS = {"general_recommender": "general", "sequential_recommender": "sequential"}
RUNS, DRAWN = "runs", "runs; it draws new scores for each test"
DIFFERENT = "gives other metrics when it is loaded again"

TINY = {
    "data_path": str(ROOT / "tests" / "cases"), "load_col": None, "epochs": 1, "topk": [5], "show_progress": False,
    "state": "ERROR",
}  # fmt: skip
SMALL = {
    **dict.fromkeys(("embedding_size", "hidden_size", "inner_size", "latent_dimension"), 16),
    **dict.fromkeys(("mf_embedding_size", "mlp_embedding_size", "ui_embedding_size"), 16),
}
"""Widths, of a model that has such; ConvNCF's layers need its own."""
SUITED: dict[str, dict[str, Any]] = {
    "DGCF": {"train_batch_size": 256},
    "GRU4RecCPR": {"reranker_CAN_NUM": 20},
    "SASRecCPR": {"reranker_CAN_NUM": 20},
}
"""What lets a model run on so few actions, where RecBole's default does not."""


def models() -> dict[str, str]:
    """RecBole's own models, and the kind of each."""
    found: dict[str, str] = {}
    for folder, kind in KINDS.items():
        source = (locations.recbole_folder() / "model" / folder / "__init__.py").read_text(encoding="utf-8")
        names = re.findall(rf"^from recbole\.model\.{folder}\.\w+ import (\w+)", source, re.M)
        found.update({name: kind for name in sorted(names) if name not in MODELS})
    return found


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Each model with RecBole's settings, and with those that it needs where the first is refused."""
    return [
        case
        for name in models()
        for case in ((name, {}), *([(name, SUITED[name])] if name in SUITED else []))
    ]


def outcome(model: str, more: dict[str, Any], folder: Path) -> str:
    """``RUNS`` if the run finishes, and gives the same metrics from its folder; else the sentence.

    Any other error than a sentence is raised.
    """
    own = locations.recbole_file("model", f"{model}.yaml")
    keys = set(re.findall(r"^(\w+):", own.read_text(encoding="utf-8"), re.M)) if own.is_file() else set()
    small = {key: value for key, value in SMALL.items() if key in keys and model != "ConvNCF"}
    settings = {**TINY, **small, "valid_metric": "AUC" if model in ("DIEN", "DIN") else "NDCG@5", **more}
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with quiet[0], quiet[1]:
            run = recbole_mqsa.train(model, "tiny", folder, **settings)
            again = recbole_mqsa.load(folder).evaluate()
    except UserError as sentence:
        return str(sentence)
    if model == "Random":
        return DRAWN
    return RUNS if again == run.result["test"] else DIFFERENT


def row(model: str, kind: str, more: dict[str, Any], says: str) -> str:
    """A line of the page's table."""
    given = " ".join(f"`--{key}={value}`" for key, value in more.items())
    return f"| `{model}` | {kind} | {given} | {says} |"


def page(rows: list[str], n_models: int) -> str:
    """The whole page."""
    runs = sum(f"| {RUNS}" in line for line in rows)
    return f"""# RecBole's models

Each of RecBole's {n_models} general and sequential models was trained for one epoch, of small width, on a data set of
80 users and 40 items (`tests/cases/tiny`), saved, loaded, and tested again: {runs} runs ended, with the same metrics
before and after loading; {len(rows) - runs} were refused before training with the sentence below. None ended in a
traceback.

`python tests/helpers/sweep.py` makes this page; `RECBOLE_MQSA_SWEEP=all pytest tests/test_recbole_models.py` compares
all of it, plain `pytest` some lines. faiss was not installed.

| model | kind | settings besides the defaults | outcome |
| --- | --- | --- | --- |
""" + "".join(f"{line}\n" for line in rows)


def main() -> None:
    """Make all runs and write the page."""
    rows, kinds = [], models()
    for model, more in cases():
        with tempfile.TemporaryDirectory() as folder:
            says = outcome(model, more, Path(folder) / "run")
        rows.append(row(model, kinds[model], more, says))
        print(rows[-1], file=sys.stderr, flush=True)
    PAGE.write_text(page(rows, len(kinds)), encoding="utf-8")


if __name__ == "__main__":
    main()

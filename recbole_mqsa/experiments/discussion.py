"""What the paper discusses about trained models, measured on run folders: the order of items, and retrieval.

*Order*: the last two items of every test input change places. A model that reads the last item alone answers
something else; one that mixes a window changes less.

*Retrieve and rerank*: TED teaches e_i . e_j which items follow i, so the embeddings alone can fetch candidates
from the last item, which the sequence then ranks.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..evaluation.collector import NEVER, metrics_of_ranks
from ..evaluation.ranking import target_ranks
from ..model.transition import item_embedding_of
from ..runs.folder import CHECKPOINT, read_result
from ..training.load import load_data_and_model

TOP, CANDIDATES = 20, 100


@dataclass(frozen=True)
class Batch:
    """Some test samples: the model's interaction, score cells to leave out, and the targets [B]."""

    interaction: Any
    seen: Any
    target: Tensor


def inspect_runs(folders: Sequence[Path], output: str | None = None) -> str:
    """Both studies on each run, as a table; as json as well in the folder ``output``.

    Raises:
        UserError: a folder without a finished run of a sequential model with one item embedding.
    """
    figures = {}
    for folder in folders:
        if read_result(folder) is None:
            raise UserError(f"{folder} holds no finished run; name folders with a result.json")
        figures[str(folder)] = inspect_run(folder)
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)
        text = json.dumps(figures, indent=2) + "\n"
        (Path(output) / "discussion.json").write_text(text, encoding="utf-8")
    return table(figures)


@torch.no_grad()
def inspect_run(folder: Path) -> dict[str, dict[str, float]]:
    """``order`` and ``retrieval`` of one trained run, over its test samples."""
    config, model, dataset, _, _, test_data = load_data_and_model(str(folder / CHECKPOINT))
    if not test_data._dataset.is_sequential:
        raise UserError(
            f"{folder} is of {config['model']}, which reads no sequence; name runs of sequential models"
        )
    try:
        items = item_embedding_of(model, config["transition"]).weight[: dataset.item_num]
    except UserError as error:
        raise UserError(f"{folder} is of {config['model']}, which has no single item embedding") from error
    model.eval()
    samples = functools.partial(batches, test_data, config["device"])
    return {
        "order": order_sensitivity(model, samples(), config),
        "retrieval": retrieve_and_rerank(model, items, samples(), config),
    }


def batches(test_data: Any, device: Any) -> Iterator[Batch]:
    """The test samples as evaluation sees them."""
    for interaction, seen, _, target in test_data:
        yield Batch(interaction.to(device), seen, target.to(device))


def order_sensitivity(model: Any, samples: Iterator[Batch], config: Any) -> dict[str, float]:
    """NDCG@20 with the inputs as they are and with their last two items swapped, over inputs of two items or more.

    Returns:
        samples, ``ndcg``, ``ndcg_swapped``, and ``changed``: the mean share of the top 20 that the swap replaces.
    """
    before: list[Tensor] = []
    after: list[Tensor] = []
    changed: list[Tensor] = []
    for batch in samples:
        long = batch.interaction[model.ITEM_SEQ_LEN] >= 2
        tops = []
        for ranks, swap in ((before, False), (after, True)):
            interaction = _swapped(batch.interaction, model) if swap else batch.interaction
            scores = _scores(model, interaction, batch.seen)
            ranks.append(_ranks(scores, batch.target)[long])
            tops.append(scores.topk(min(TOP, scores.size(1))).indices[long])
        common = (tops[0][:, :, None] == tops[1][:, None, :]).any(2).float().mean(1)
        changed.append(1 - common)
    return {
        "samples": sum(map(len, before)),
        "ndcg": _ndcg(before, config),
        "ndcg_swapped": _ndcg(after, config),
        "changed": torch.cat(changed).mean().item(),
    }


def retrieve_and_rerank(model: Any, items: Tensor, samples: Iterator[Batch], config: Any) -> dict[str, float]:
    """NDCG@20 of scores by the embeddings alone, by the sequence alone, and of both in turn.

    Args:
        items: [I + 1, D] embeddings; ``e_last . E`` scores by transition.

    Returns:
        ``transition``, ``sequence``, ``reranked`` (the sequence ranks the 100 that the embeddings score best),
        and ``recall``: how often the target is among these.
    """
    ranks: dict[str, list[Tensor]] = {"transition": [], "sequence": [], "reranked": []}
    found: list[Tensor] = []
    for batch in samples:
        sequence = _scores(model, batch.interaction, batch.seen)
        newest = batch.interaction[model.ITEM_SEQ_LEN][:, None] - 1
        last = batch.interaction[model.ITEM_SEQ].gather(1, newest).squeeze(1)
        # An item is always most like itself, and the last one is no candidate where seen items are left out.
        transition = _masked(items[last] @ items.T, batch.seen)
        candidates = transition.topk(min(CANDIDATES, transition.size(1))).indices
        reranked = torch.full_like(sequence, -torch.inf).scatter_(
            1, candidates, sequence.gather(1, candidates)
        )
        for name, scores in (("transition", transition), ("sequence", sequence), ("reranked", reranked)):
            ranks[name].append(_ranks(scores, batch.target))
        found.append(torch.isfinite(reranked.gather(1, batch.target[:, None])).squeeze(1))
    figures = {name: _ndcg(of, config) for name, of in ranks.items()}
    return {**figures, "recall": torch.cat(found).float().mean().item()}


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Both studies as a markdown table, a row a run."""
    lines = [
        "| run | NDCG@20 | last two swapped | top 20 replaced | by embeddings alone | "
        f"{CANDIDATES} candidates, reranked | target among these |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run, of in figures.items():
        order, retrieval = of["order"], of["retrieval"]
        numbers = (
            f"{retrieval['sequence']:.4f}",
            f"{order['ndcg_swapped']:.4f} (of {order['ndcg']:.4f})",
            f"{order['changed']:.1%}",
            f"{retrieval['transition']:.4f}",
            f"{retrieval['reranked']:.4f}",
            f"{retrieval['recall']:.1%}",
        )
        lines.append(f"| {run} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


def _scores(model: Any, interaction: Any, seen: Any) -> Tensor:
    return _masked(model.full_sort_predict(interaction), seen)


def _masked(scores: Tensor, seen: Any) -> Tensor:
    scores[:, 0] = -torch.inf
    if seen is not None:
        scores[seen] = -torch.inf
    return scores


def _ranks(scores: Tensor, target: Tensor) -> Tensor:
    ranks = target_ranks(scores, target)
    return ranks.masked_fill(ranks >= scores.size(1), NEVER)


def _ndcg(ranks: list[Tensor], config: Any) -> float:
    chosen = {"metrics": ["NDCG"], "topk": [TOP], "metric_decimal_place": config["metric_decimal_place"]}
    return float(metrics_of_ranks(chosen, torch.cat(ranks).cpu())[f"ndcg@{TOP}"])


def _swapped(interaction: Any, model: Any) -> Any:
    """A copy whose inputs, padded on the right, end with their last two items in turn; shorter ones stay."""
    item_seq = interaction[model.ITEM_SEQ].clone()
    long = torch.nonzero(interaction[model.ITEM_SEQ_LEN] >= 2).squeeze(1)
    last = interaction[model.ITEM_SEQ_LEN][long] - 1
    item_seq[long, last], item_seq[long, last - 1] = item_seq[long, last - 1], item_seq[long, last]
    swapped = type(interaction)({**interaction.interaction})
    swapped.interaction[model.ITEM_SEQ] = item_seq
    return swapped

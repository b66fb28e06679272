"""What the paper discusses about trained models, measured on run folders: the order of items, and retrieval.

*Order*: the last two items of every test input are swapped. This changes all for a model that reads the last item
alone, and less for one that mixes a window.

*Retrieve and rerank*: TED teaches e_i . e_j which items follow i. So the embedding of the last item alone can fetch
candidates, which the sequence then ranks.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor

from ..data.sequences import flatten_spans
from ..errors import UserError
from ..evaluation.collector import NEVER, metrics_of_ranks
from ..evaluation.ranking import Raised, Seen, target_ranks
from ..interfaces import Batch, Loader, SequentialModel, Settings
from ..model.memory import Memory, memory_of
from ..model.transition import item_embedding_of
from ..runs.folder import CHECKPOINT, read_result
from ..training.load import load_data_and_model

TOP, CANDIDATES = 20, 100

Figures = dict[str, dict[str, float]]
"""The figures of a run, by study and name."""


@dataclass(frozen=True)
class Samples:
    """Some test samples.

    Args:
        interaction: the model's input.
        seen: rows and items of the scores to leave out, or a mask of these.
        target: [B] item ids.
        raised, raised_swapped: what the model's memory adds to the scores, and what it would if the last two items
            were swapped.
    """

    interaction: Batch
    seen: Seen | Tensor | None
    target: Tensor
    raised: Raised | None = None
    raised_swapped: Raised | None = None


def inspect_runs(folders: Sequence[Path], output: str | None = None) -> str:
    """Both studies on each run, as a table; the folder ``output``, if given, gets them as json.

    Raises:
        UserError: a folder holds no finished run of a sequential model with one item embedding.
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
def inspect_run(folder: Path) -> Figures:
    """The figures ``order`` and ``retrieval`` of one trained run, over its test samples."""
    config, model, dataset, _, _, test_data = load_data_and_model(str(folder / CHECKPOINT))
    if not isinstance(model, SequentialRecommender):
        raise UserError(
            f"{folder} is a run of {config['model']}, which reads no sequence; name runs of sequential models"
        )
    try:
        items = item_embedding_of(model, config["transition"]).weight[: dataset.item_num]
    except UserError as error:
        raise UserError(
            f"{folder} is a run of {config['model']}, which has no single item embedding; name runs of other models"
        ) from error
    model.eval()
    samples = functools.partial(batches, test_data, config["device"], memory_of(model))
    return {
        "order": order_sensitivity(model, samples(), config),
        "retrieval": retrieve_and_rerank(model, items, samples(), config),
    }


def batches(test_data: Loader, device: torch.device, memory: Memory | None = None) -> Iterator[Samples]:
    """The test samples, as in evaluation."""
    for interaction, seen, _, target in test_data:
        raised = (None, None) if memory is None else _bonuses(memory, interaction, test_data, device)
        yield Samples(interaction.to(device), seen, target.to(device), *raised)


def _bonuses(
    memory: Memory, interaction: Batch, test_data: Loader, device: torch.device
) -> tuple[Raised, Raised]:
    """What a memory adds to the scores of a batch, and with the last two items of each history swapped."""
    begin, end, users = memory.dataset.histories_of(interaction)
    begin = np.maximum(begin, end - max(memory.numbers.items, 2))  # older items are not asked
    index, _ = flatten_spans(begin, end)
    items, ends = test_data._dataset.sequences.items[index], np.cumsum(end - begin)
    last = ends[end - begin >= 2] - 1
    items[last], items[last - 1] = items[last - 1], items[last]
    swapped = memory.after(ends - (end - begin), ends, users, items, memory.mask_seen)
    return memory.bonus(interaction).to(device), swapped.to(device)


def order_sensitivity(
    model: SequentialModel, samples: Iterator[Samples], config: Settings
) -> dict[str, float]:
    """NDCG@20 with the inputs as they are and with their last two items swapped, for inputs of two items or more.

    Returns:
        ``samples``, ``ndcg``, ``ndcg_swapped``, and ``changed``: the mean fraction of the top 20 that is replaced.
    """
    before: list[Tensor] = []
    after: list[Tensor] = []
    changed: list[Tensor] = []
    for batch in samples:
        long = batch.interaction[model.ITEM_SEQ_LEN] >= 2
        tops = []
        swapped = _swapped(batch.interaction, model)
        for ranks, interaction, raised in (
            (before, batch.interaction, batch.raised),
            (after, swapped, batch.raised_swapped),
        ):
            scores = _scores(model, interaction, batch.seen, raised)
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


def retrieve_and_rerank(
    model: SequentialModel, items: Tensor, samples: Iterator[Samples], config: Settings
) -> dict[str, float]:
    """NDCG@20 by the embeddings alone, by the sequence alone, and by one after the other.

    Args:
        items: [I + 1, D] embeddings E; ``e_last . E`` are the scores by transition.

    Returns:
        ``transition``, ``sequence``, ``reranked`` (the sequence ranks the 100 items that the embeddings score best),
        and ``recall``: how often the target is among these 100.
    """
    ranks: dict[str, list[Tensor]] = {"transition": [], "sequence": [], "reranked": []}
    found: list[Tensor] = []
    for batch in samples:
        sequence = _scores(model, batch.interaction, batch.seen, batch.raised)
        newest = batch.interaction[model.ITEM_SEQ_LEN][:, None] - 1
        last = batch.interaction[model.ITEM_SEQ].gather(1, newest).squeeze(1)
        # An item is always most similar to itself; where seen items are left out, the last item is not a candidate.
        transition = _masked(items[last] @ items.T, batch.seen)
        candidates = transition.topk(min(CANDIDATES, transition.size(1))).indices
        reranked = torch.full_like(sequence, -torch.inf).scatter_(
            1, candidates, sequence.gather(1, candidates)
        )
        for name, scores in (("transition", transition), ("sequence", sequence), ("reranked", reranked)):
            ranks[name].append(_ranks(scores, batch.target))
        found.append(torch.isfinite(reranked.gather(1, batch.target[:, None])).squeeze(1))
    figures = {name: _ndcg(own, config) for name, own in ranks.items()}
    return {**figures, "recall": torch.cat(found).float().mean().item()}


def table(figures: dict[str, Figures]) -> str:
    """Both studies as a markdown table with one row per run."""
    lines = [
        "| run | NDCG@20 | last two swapped | top 20 replaced | by embeddings alone | "
        f"{CANDIDATES} candidates, reranked | target among these |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run, studies in figures.items():
        order, retrieval = studies["order"], studies["retrieval"]
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


def _scores(
    model: SequentialModel, interaction: Batch, seen: Seen | Tensor | None, raised: Raised | None
) -> Tensor:
    scores = model.full_sort_predict(interaction)
    if raised is not None:
        rows, items, values = raised
        scores[rows, items] += values.to(scores.dtype)
    return _masked(scores, seen)


def _masked(scores: Tensor, seen: Seen | Tensor | None) -> Tensor:
    scores[:, 0] = -torch.inf
    if seen is not None:
        scores[seen] = -torch.inf
    return scores


def _ranks(scores: Tensor, target: Tensor) -> Tensor:
    ranks = target_ranks(scores, target)
    return ranks.masked_fill(ranks >= scores.size(1), NEVER)


def _ndcg(ranks: list[Tensor], config: Settings) -> float:
    chosen = {"metrics": ["NDCG"], "topk": [TOP], "metric_decimal_place": config["metric_decimal_place"]}
    return float(metrics_of_ranks(chosen, torch.cat(ranks).cpu())[f"ndcg@{TOP}"])


def _swapped(interaction: Batch, model: SequentialModel) -> Batch:
    """A copy with the last two items of each input, padded on the right, swapped; shorter inputs stay."""
    item_seq = interaction[model.ITEM_SEQ].clone()
    long = torch.nonzero(interaction[model.ITEM_SEQ_LEN] >= 2).squeeze(1)
    last = interaction[model.ITEM_SEQ_LEN][long] - 1
    item_seq[long, last], item_seq[long, last - 1] = item_seq[long, last - 1], item_seq[long, last]
    swapped = Interaction({**interaction.interaction})
    swapped.interaction[model.ITEM_SEQ] = item_seq
    return swapped

"""Order sensitivity and reranking, on models whose answers are known, and on a trained run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.chain import train, write_chain
from recbole.data.interaction import Interaction

from recbole_mqsa.cli.main import main
from recbole_mqsa.experiments.discussion import Samples, order_sensitivity, retrieve_and_rerank

N_ITEMS = 200
CONFIG = {"metric_decimal_place": 8}


class Known(SimpleNamespace):
    """Scores item j by a function of the input: ``answer(item_seq, lengths)`` gives [B] the item ranked first."""

    ITEM_SEQ, ITEM_SEQ_LEN = "item_id_list", "item_length"

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        first = self.answer(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
        # Items fall off to both sides of the first, the smaller id before the larger.
        distance = (torch.arange(N_ITEMS) - first[:, None]).abs()
        return -distance.double() - torch.arange(N_ITEMS) * 1e-6


def last(item_seq: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return item_seq.gather(1, lengths[:, None] - 1).squeeze(1)


def batch(*rows: list[int], target: list[int]) -> Samples:
    lengths = torch.tensor([len(row) for row in rows])
    item_seq = torch.zeros(len(rows), 4, dtype=torch.long)
    for index, row in enumerate(rows):
        item_seq[index, : len(row)] = torch.tensor(row)
    return Samples(
        Interaction({"item_id_list": item_seq, "item_length": lengths}), None, torch.tensor(target)
    )


def test_a_model_of_the_last_item_changes_with_the_order() -> None:
    samples = iter([batch([150, 50], [7, 30, 150, 50], [9], target=[50, 50, 9])])
    found = order_sensitivity(Known(answer=last), samples, CONFIG)
    # The row of one item has no order. Before, both targets rank first; after, item 150 does, and 50 is far away.
    assert found == {"samples": 2, "ndcg": 1.0, "ndcg_swapped": 0.0, "changed": 1.0}


def test_a_catalogue_may_be_smaller_than_the_list() -> None:
    few = SimpleNamespace(ITEM_SEQ="item_id_list", ITEM_SEQ_LEN="item_length")
    few.full_sort_predict = lambda interaction: torch.arange(12.0).repeat(len(interaction), 1)
    found = order_sensitivity(few, iter([batch([3, 5], target=[11])]), CONFIG)
    assert (found["changed"], found["ndcg"]) == (0.0, 1.0)


def test_a_model_of_the_set_does_not() -> None:
    samples = iter([batch([150, 50], [7, 30, 150, 50], target=[100, 60])])
    found = order_sensitivity(Known(answer=lambda item_seq, _: item_seq.max(1).values - 50), samples, CONFIG)
    assert (
        found["changed"] == 0.0 and found["ndcg"] == found["ndcg_swapped"] == 0.5
    )  # one target of two is first


def test_half_a_change_is_half() -> None:
    # The top 20 around 100 are 91 to 110 (ties go to the smaller id: 90 to 109), those around 110 overlap by half.
    samples = iter([batch([110, 100], target=[1])])
    assert order_sensitivity(Known(answer=last), samples, CONFIG)["changed"] == 0.5


def test_the_input_is_left_as_it_was() -> None:
    one = batch([150, 50], target=[50])
    order_sensitivity(Known(answer=last), iter([one]), CONFIG)
    assert one.interaction["item_id_list"].tolist() == [[150, 50, 0, 0]]


def test_the_sequence_reranks_what_the_embeddings_fetch() -> None:
    items = torch.zeros(N_ITEMS, 2)
    items[10] = torch.tensor([1.0, 0.0])
    items[20:130, 0] = torch.linspace(2.0, 1.0, 110)  # what follows item 10, the best first
    items[130:, 0] = -1.0
    model = Known(answer=lambda item_seq, _: torch.full((len(item_seq),), 119))
    rows = batch([5, 10], [5, 10], [5, 10], target=[20, 119, 125])
    found = retrieve_and_rerank(model, items, iter([rows]), CONFIG)
    # Candidates are the 100 items 20 to 119. By embeddings 20 is first; by the sequence 119, and 125 is at rank 12
    # (before it 119, 118, 120, ... 114, 124, 113); among the candidates 119 is first and the others are not near.
    assert found["transition"] == pytest.approx(1 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["reranked"] == pytest.approx(1 / 3)
    assert found["sequence"] == pytest.approx(
        (1 + 1 / torch.log2(torch.tensor(12 + 2.0)).item()) / 3, abs=1e-6
    )


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 15}, {"epochs": 1, "transition_memory": 9.0, "memory_items": 1, "memory_span": 1}],
    ids=["model", "memory"],
)
def test_a_trained_run_is_inspected(tmp_path: Path, capsys: Any, settings: dict[str, Any]) -> None:
    write_chain(tmp_path, certainty=0.9)
    finished = train(tmp_path, "run", query_windows=[1], topk=[1, 5, 20], **settings)
    assert main(["inspect", f"--runs={finished.folder}", f"--output_dir={tmp_path / 'out'}"]) == 0
    figures = json.loads((tmp_path / "out" / "discussion.json").read_text())[str(finished.folder)]
    assert f"{figures['order']['ndcg_swapped']:.4f}" in capsys.readouterr().out
    assert figures["retrieval"]["sequence"] == pytest.approx(finished.result["test"]["ndcg@20"], abs=1e-6)
    # The chain's next item depends on the last one alone: with the last two swapped the answer is another.
    assert figures["order"]["ndcg_swapped"] < 0.7 * figures["order"]["ndcg"]
    # 100 candidates are all of the 40 items here.
    assert figures["retrieval"]["recall"] == 1.0
    assert figures["retrieval"]["reranked"] == pytest.approx(figures["retrieval"]["sequence"])


def test_only_what_can_be_inspected_is(tmp_path: Path, capsys: Any) -> None:
    write_chain(tmp_path, certainty=0.9)
    for model, says in (("LightGCN", "reads no sequence"), ("FPMC", "no single item embedding")):
        words = ["train", f"--model={model}", "--dataset=chain", f"--data_path={tmp_path}", "--epochs=1"]
        assert main([*words, "--show_progress=False", f"--output_dir={tmp_path / model}"]) == 0
        assert main(["inspect", f"--runs={tmp_path / model}"]) == 2
        assert says in capsys.readouterr().err

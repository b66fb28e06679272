"""Training batches made on the device, against padding by numpy in the order of torch's own iterator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_mqsa.data.loader import GPU_SCORE_CELLS, SCORE_CELLS, MaskedEvalLoader, SequenceBatch
from recbole_mqsa.training.build import build_dataset, build_loaders


def loaders(toy, **settings):
    random = np.random.default_rng(0)
    sequences = {
        f"u{user}": " ".join(f"i{item}" for item in random.integers(0, 15, size=random.integers(3, 20)))
        for user in range(30)
    }
    config = toy(sequences, train_batch_size=7, MAX_ITEM_LIST_LENGTH=8, query_windows=[1, 2], **settings)
    return build_loaders(config, build_dataset(config))


def plain_batches(train):
    """By torch's iterator over indices, and numpy."""
    data = train._dataset
    begin, end = data.training_sequences()
    order = torch.utils.data.DataLoader(
        range(len(begin)),
        batch_size=7,
        shuffle=True,
        generator=torch.Generator().manual_seed(train.config["seed"]),
        collate_fn=np.array,
    )
    while True:
        for index in order:
            rows, lengths = data.sequences.padded(begin[index], end[index], (end - begin)[index].max())
            users = np.searchsorted(data.sequences.offsets, begin[index], side="right") - 1
            yield {
                "user_id": users,
                "item_id_list": rows,
                "item_length": lengths,
                "item_id": data.sequences.items[end[index]],
            }


@pytest.mark.parametrize("long_sequences", ["last", "windows"])
def test_batches_over_two_epochs(toy, long_sequences):
    train, *_ = loaders(toy, long_sequences=long_sequences)
    expected = plain_batches(train)
    for _ in range(2):
        count = 0
        for batch in train:
            plain = next(expected)
            assert set(batch.interaction) == set(plain)
            for field, values in plain.items():
                assert torch.equal(batch[field], torch.from_numpy(values)), field
            assert torch.equal(batch.known_lengths, batch["item_length"])
            count += 1
        assert count == len(train)


def test_a_batch_of_chosen_sequences(toy):
    train, *_ = loaders(toy)
    batch = train.collate_fn([4, 0, 4])
    assert batch["user_id"].tolist() == [5, 1, 5]
    assert batch["item_length"].tolist() == batch.known_lengths.tolist() == train.lengths[[4, 0, 4]].tolist()


def test_known_lengths_go_along_with_a_batch():
    batch = SequenceBatch({"item_length": torch.tensor([2, 3])}, torch.tensor([2, 3]))
    moved = batch.to("meta")
    assert moved["item_length"].is_meta and moved.known_lengths.tolist() == [2, 3]
    assert isinstance(moved, Interaction) and len(moved) == 2


def test_what_a_transform_may_have_changed_is_not_known(toy):
    config = loaders(toy)[0]._dataset.config
    config["transform"] = "inverse_itemseq"  # as a model's own file has it
    train, *_ = build_loaders(config, build_dataset(config))
    assert getattr(next(iter(train)), "known_lengths", None) is None


def test_evaluation_holds_what_the_device_can(toy):
    _, valid, _ = loaders(toy, eval_batch_size=10**9)
    assert valid.step == SCORE_CELLS // 16
    valid.config["device"] = torch.device("cuda")
    there = MaskedEvalLoader(valid.config, valid._dataset, None)
    assert there.step == GPU_SCORE_CELLS // 16

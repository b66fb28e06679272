"""Samples, masks and splits: against RecBole's own sequential data set and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import SHARED
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import SequentialDataset

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.data.loader import MaskedEvalLoader
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
RATIO = {**LEAVE_ONE_OUT, "split": {"RS": [0.8, 0.1, 0.1]}}
FIELDS = ["user_id", "item_id", "item_id_list", "item_length"]
PARTS = ["train", "valid", "test"]


def both(config):
    """Our parts and RecBole's."""
    return list(zip(SequenceDataset(config).build(), SequentialDataset(config).build()))


def assert_same_samples(ours, theirs):
    assert len(ours) == len(theirs)
    samples, expected = ours[np.arange(len(ours))], theirs[np.arange(len(theirs))]
    for field in FIELDS:
        assert samples[field].dtype == expected[field].dtype, field
        assert torch.equal(samples[field], expected[field]), field


@pytest.fixture(scope="module")
def ml_100k():
    """In RecBole's order; its float32 takes some times of ml-100k for equal (see ``test_time_order``)."""
    return dict(zip(PARTS, both(Config("MQSATED", "ml-100k", config_dict={"time_order": "recbole"}))))


@pytest.mark.parametrize("part", PARTS)
def test_samples_of_ml_100k_are_recboles(ml_100k, part):
    ours, theirs = ml_100k[part]
    assert len(ours) == {"train": 97_171, "valid": 943, "test": 943}[part]
    assert_same_samples(ours, theirs)


@pytest.mark.parametrize("index", [slice(3, 8), [5, 1, 5], np.array([2]), torch.tensor([4, 0])], ids=str)
def test_any_index_reads_the_same_samples(ml_100k, index):
    ours, theirs = ml_100k["test"]
    for field in FIELDS:
        assert torch.equal(ours[index][field], theirs[index][field])


def test_samples_of_ml_100k_by_hand():
    """In the order of the times in the file, equal ones as they stand: each action, from a user's second on."""
    config = Config("MQSATED", "ml-100k")
    rows = [
        line.split("\t") for line in Path(config["data_path"], "ml-100k.inter").read_text().splitlines()[1:]
    ]
    ids: list[dict[str, int]] = [{}, {}]
    users: dict[int, list[int]] = {}
    for user, item, *_ in rows:
        for known, token in zip(ids, (user, item)):
            known.setdefault(token, len(known) + 1)
    for user, item, *_ in sorted(rows, key=lambda row: int(row[3])):
        users.setdefault(ids[0][user], []).append(ids[1][item])
    for part, nth in zip(SequenceDataset(config).build(), range(3)):
        found = part[np.arange(len(part))]
        expected = {}
        for user, items in users.items():
            for target in range(1, len(items) - 2) if nth == 0 else [len(items) - 3 + nth]:
                expected[user, target] = ([*items[max(0, target - 50) : target]], items[target])
        assert len(part) == len(expected)
        targets = part.rows - part.sequences.offsets[part.inter_feat["user_id"].numpy()]
        for user, target, item, row, length in zip(
            found["user_id"].tolist(), targets.tolist(), *(found[field].numpy() for field in FIELDS[1:])
        ):
            assert expected[user, target] == (row[:length].tolist(), item) and not row[length:].any()


def random_users(seed=0, n_users=40, longest=30):
    """Users of 1 to ``longest`` actions among 15 items, repeats included."""
    rng = np.random.default_rng(seed)
    return {
        f"u{user}": " ".join(f"i{item}" for item in rng.integers(0, 15, size=rng.integers(1, longest + 1)))
        for user in range(n_users)
    }


@pytest.mark.parametrize(
    "eval_args",
    [LEAVE_ONE_OUT, RATIO, {**RATIO, "group_by": "none"}, {**RATIO, "split": {"TS": [0.7, 0.1, 0.2]}}],
    ids=["LS", "RS", "all", "TS"],
)
@pytest.mark.parametrize("max_length", [50, 4])
def test_samples_of_other_splits_are_recboles(toy, eval_args, max_length):
    for ours, theirs in both(toy(random_users(), eval_args=eval_args, MAX_ITEM_LIST_LENGTH=max_length)):
        assert len(ours) > 0
        assert_same_samples(ours, theirs)


def test_equal_times_keep_their_order(toy, tmp_path):
    config = toy({})
    lines = [f"u{n % 5}\ti{n * 7 % 11}\t{n // 20}" for n in range(100)]
    (tmp_path / "toy" / "toy.inter").write_text(
        "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *lines]) + "\n"
    )
    for ours, theirs in both(config):
        assert_same_samples(ours, theirs)


def test_users_of_few_actions(toy):
    """One action makes no sample; two are for training; three leave none to validate on."""
    config = toy({"one": "a", "two": "a b", "three": "a b c", "four": "a b c d"})
    parts = both(config)
    found = []
    for ours, theirs in parts:
        assert_same_samples(ours, theirs)
        samples = ours[np.arange(len(ours))]
        found.append(list(zip(samples["user_id"].tolist(), samples["item_id"].tolist())))
    assert found == [[(2, 2), (3, 2), (4, 2)], [(4, 3)], [(3, 3), (4, 4)]]
    train, valid, test = (ours for ours, _ in parts)
    # Counts before each part: one's only action is no sample and no count; a, b; then c of four alone.
    assert train.item_counts().tolist() == [0, 3, 3, 0, 0] == valid.item_counts().tolist()
    assert test.item_counts().tolist() == [0, 3, 3, 1, 0]


def test_everybody_with_three_actions_is_only_tested(toy, trainer_for):
    """Nothing to validate on: RecBole then trains without validating."""
    config = toy({"ann": "a b c", "bob": "b c a"}, epochs=1)
    train, valid, test = data_preparation(config, create_dataset(config))
    assert [len(loader._dataset) for loader in (train, valid, test)] == [2, 0, 2]
    trainer = trainer_for(train)
    trainer.fit(train, saved=False, show_progress=False)
    assert set(trainer.evaluate(test, load_best_model=False)) >= {"hit@5", "ndcg@20"}


# What a model may know.


def seen(loader):
    """Sample by sample, the items left out of its ranking."""
    interaction, history, *_ = loader.collate_fn(list(range(len(loader._dataset))))
    rows = [set() for _ in range(len(interaction))]
    for row, item in zip(*(part.tolist() for part in history)):
        rows[row].add(item)
    return rows


def loaders(config):
    return data_preparation(config, create_dataset(config))


def test_seen_items(toy):
    """Ids by appearance: a 1, b 2, c 3, d 4, e 5. Bob's test item b is seen, and so left out too."""
    _, valid, test = loaders(toy({"ann": "a b c d", "bob": "b c a e b"}))
    assert isinstance(valid, MaskedEvalLoader) and isinstance(test, MaskedEvalLoader)
    assert seen(valid) == [{1, 2}, {2, 3, 1}]
    assert seen(test) == [{1, 2, 3}, {2, 3, 1, 5}]


def test_seen_items_reach_beyond_the_input(toy):
    _, valid, test = loaders(toy({"ann": "a b c d e f g"}, MAX_ITEM_LIST_LENGTH=2, query_windows=[1, 2]))
    assert next(iter(test))[0]["item_id_list"].tolist() == [[5, 6]]
    assert seen(valid) == [{1, 2, 3, 4, 5}] and seen(test) == [{1, 2, 3, 4, 5, 6}]


def test_seen_items_without_a_mask(toy):
    _, valid, test = loaders(toy({"ann": "a b c d", "bob": "b c a e b"}, mask_seen=False))
    for loader in (valid, test):
        assert next(iter(loader))[1] is None


@pytest.mark.parametrize("mask_seen", [True, False])
def test_a_seen_target_is_never_hit(toy, trainer_for, mask_seen):
    """Of four users, two are tested on what they know, and not hit though fewer than 20 items are ranked."""
    config = toy({"a": "x y z x", "b": "x y z w", "c": "y z x y", "d": "z y x w"}, "Pop", mask_seen=mask_seen)
    train, _, test = loaders(config)
    result = trainer_for(train).evaluate(test, load_best_model=False)
    assert result["hit@20"] == (0.5 if mask_seen else 1)


# What training sees.


def test_training_sequences(toy):
    config = toy({"ann": "a b c d e f g h", "bob": "b a", "cal": "c a d"}, MAX_ITEM_LIST_LENGTH=4)
    train = create_dataset(config).build()[0]
    sequences = train.sequences

    def found(setting):
        config["long_sequences"] = setting
        begin, end = train.training_sequences()
        return ["".join(train.id2token("item_id", sequences.items[a : b + 1])) for a, b in zip(begin, end)]

    assert found("last") == ["cdef", "ba", "ca"]
    assert found("windows") == ["cdef", "abc", "ba", "ca"]
    assert train.transition_counts().sum() == 7
    config["long_sequences"] = "last"
    assert train.transition_counts().sum() == 5


def test_training_batches_hold_each_sequence_once(toy):
    config = toy(random_users(), train_batch_size=7, MAX_ITEM_LIST_LENGTH=6)
    train, *_ = loaders(config)
    begin, end = train._dataset.training_sequences()
    items = train._dataset.sequences.items
    expected = sorted((items[a:b].tolist(), int(items[b])) for a, b in zip(begin, end))
    batches = list(train)
    assert [len(batch) for batch in batches] == [7] * (len(begin) // 7) + [len(begin) % 7] * (
        len(begin) % 7 > 0
    )
    found = []
    for batch in batches:
        assert batch["item_id_list"].size(1) == batch["item_length"].max()  # no padding for others' sake
        for user, row, length, target in zip(
            *(batch[f].tolist() for f in ("user_id", *FIELDS[2:], "item_id"))
        ):
            assert row[length:] == [0] * (len(row) - length)
            found.append((row[:length], target))
            first, last = train._dataset.sequences.offsets[[user, user + 1]]
            assert [*row[:length], target] in [
                items[a : a + length + 1].tolist() for a in range(first, last - length)
            ]
    assert sorted(found) == expected and found != expected


def slow_counts(dataset, spans, time_span):
    counts = np.zeros((dataset.item_num, dataset.item_num))
    for items in spans:
        for later in range(len(items)):
            for earlier in range(max(0, later - time_span), later):
                counts[items[earlier], items[later]] += 1
    return counts


@pytest.mark.parametrize("setting", ["last", "windows"])
@pytest.mark.parametrize("time_span", [1, 2])
@pytest.mark.parametrize("eval_args", [LEAVE_ONE_OUT, RATIO], ids=["LS", "RS"])
def test_counts_of_what_is_known(toy, eval_args, time_span, setting):
    config = toy(random_users(), eval_args=eval_args, MAX_ITEM_LIST_LENGTH=5, long_sequences=setting)
    parts = create_dataset(config).build()
    users = dict(enumerate(np.split(parts[0].sequences.items, parts[0].sequences.offsets[1:-1])))
    sizes = [np.bincount(part.inter_feat["user_id"], minlength=len(users)) for part in parts]
    known = dict.fromkeys(users, 0)
    for part, later in zip(parts, (0, 0, 1)):
        transitions, popularity = [], np.zeros(part.item_num)
        for user, items in users.items():
            trained = sizes[0][user]
            known[user] = trained + later * sizes[1][user]
            if known[user]:
                oldest = max(0, trained - 4) if setting == "last" else 0
                transitions.append(items[oldest : known[user] + 1])
                np.add.at(popularity, items[: known[user] + 1], 1)
        np.testing.assert_array_equal(
            part.transition_counts(time_span).toarray(), slow_counts(part, transitions, time_span)
        )
        np.testing.assert_array_equal(part.item_counts(), popularity)


# Other ways to evaluate.


def test_full_evaluation_of_a_ratio_split(toy, trainer_for):
    config = toy(random_users(), eval_args=RATIO)
    train, _, test = loaders(config)
    trainer = trainer_for(train)
    trainer.evaluate(test, load_best_model=False)
    assert len(trainer.eval_collector.ranks) == len(test._dataset) > 40


def test_training_on_newer_actions_than_tests_is_refused(toy):
    with pytest.raises(UserError, match="order"):
        create_dataset(toy(random_users(), eval_args={**LEAVE_ONE_OUT, "order": "RO"})).build()


def test_item_features_do_not_disturb(toy, tmp_path, trainer_for):
    users = random_users()
    plain = create_dataset(toy(users)).build()
    config = toy(
        users, load_col={"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "price", "kind"]}
    )
    lines = ["item_id:token\tprice:float\tkind:token_seq", *(f"i{n}\t{n}.5\tred k{n % 3}" for n in range(15))]
    (tmp_path / "toy" / "toy.item").write_text("\n".join(lines) + "\n")
    train, valid, test = loaders(config)
    for loader, expected in zip((train, valid, test), plain):
        assert_same_samples(loader._dataset, expected)
        assert loader._dataset.item_feat is not None
    samples = test._dataset[np.arange(len(test._dataset))]
    prices = [float(token[1:]) + 0.5 for token in test._dataset.id2token("item_id", samples["item_id"])]
    assert samples["price"].tolist() == pytest.approx(prices)
    trainer = trainer_for(train)
    trainer._train_epoch(train, 0)
    assert trainer.evaluate(test, load_best_model=False)["hit@20"] > 0

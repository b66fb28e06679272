"""The order of time is exact: sequences, splits, intervals and repeats, against Python's ``sorted``."""

from __future__ import annotations

import datetime
import math
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import recbole.config
from helpers.slow_reader import Reference, exact_time, lines_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import SequentialDataset

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
EVALUATION = {"order": "TO", "group_by": "user", "mode": "full"}
LOO = {**EVALUATION, "split": {"LS": "valid_and_test"}}
RATIO = {**EVALUATION, "split": {"RS": [0.6, 0.2, 0.2]}}
SPLITS = {
    "LS": LOO,
    "valid_only": {**EVALUATION, "split": {"LS": "valid_only"}},
    "RS": RATIO,
    "RS of all": {**RATIO, "group_by": "none"},
    "TS": {**EVALUATION, "split": {"TS": [0.6, 0.2, 0.2]}},
}


def iso(tick: int) -> str:
    """A moment, in one of several zones."""
    zone = datetime.timezone(datetime.timedelta(minutes=(tick % 5 - 2) * 90))
    return (datetime.datetime(2023, 7, 16, tzinfo=zone) + datetime.timedelta(seconds=tick)).isoformat()


# How a tick is written. Neighbours are one number for RecBole's float32, and some for a float64, too.
SCALES = {
    "small": str,
    "seconds": lambda tick: str(1_600_490_000 + tick),
    "milliseconds": lambda tick: str(1_600_490_000_000 + 7 * tick),
    "nanoseconds": lambda tick: str(1_600_490_000_000_000_001 + tick),
    "2^62": lambda tick: str(2**62 - 50 + tick),
    "to 2^63": lambda tick: str(2**63 - 200 + tick),
    "beyond 2^63": lambda tick: str(2**63 - 100 + tick),
    "negative": lambda tick: str(-(2**62) - tick),
    "fractions": lambda tick: repr(1_600_490_000 + tick / 1024),
    "floats": lambda tick: f"{881_250_949 + tick}.0",
    "some fractions": lambda tick: f"{2**60 + tick}" if tick % 3 else f"{tick}.5",
    "exponents": lambda tick: f"{881_250_949 + tick:.9e}",
    "dates": iso,
}


def made_up(scale, seed=0, n_users=30):
    """User, item and time of each line, in no order, with ties within and among users."""
    rng = random.Random(seed)
    users = [f"u{user}" for user in range(n_users) for _ in range(rng.randrange(1, 14))]
    rng.shuffle(users)
    return [(user, f"i{rng.randrange(15)}", SCALES[scale](rng.randrange(120))) for user in users]


@pytest.fixture
def written(toy, tmp_path):
    def write(rows, **more):
        config = toy({}, **more)
        (tmp_path / "toy" / "toy.inter").write_text("\n".join([HEADER, *map("\t".join, rows)]) + "\n")
        return config

    return write


def sequences(rows):
    """Each user's items from old to new, equal times as they stand in the file."""
    found = defaultdict(list)
    for user, item, _ in sorted(rows, key=lambda row: exact_time(row[2])):
        found[user].append(item)
    return dict(found)


def sequences_of(dataset):
    items = np.split(dataset.sequences.items, dataset.sequences.offsets[1:-1])
    users = [str(user) for user in dataset.field2id_token["user_id"]]
    return {user: dataset.id2token("item_id", row).tolist() for user, row in zip(users, items) if len(row)}


def samples(part):
    """User, input and target of each sample, by name."""
    read = part[np.arange(len(part))]
    inputs = [row[row > 0].tolist() for row in read["item_id_list"].numpy()]
    return list(zip(read["user_id"].tolist(), inputs, read["item_id"].tolist()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("entry", ["ours", "RecBole's"])
def test_sequences(written, scale, entry):
    rows = made_up(scale)
    config = written(rows)
    dataset = SequenceDataset(config) if entry == "ours" else create_dataset(config)
    assert type(dataset) is SequenceDataset
    train, _, test = dataset.build()
    expected = sequences(rows)
    assert sequences_of(train) == expected
    last = dict(zip(test.id2token("user_id", test.inter_feat["user_id"]), test.inter_feat["item_id"]))
    assert {user: test.id2token("item_id", item) for user, item in last.items()} == {
        user: items[-1] for user, items in expected.items() if len(items) > 2
    }


def test_recboles_own_entry(written, monkeypatch, tmp_path):
    """``import recbole_mqsa``, then RecBole's configuration and its functions."""
    monkeypatch.setattr("sys.argv", ["run.py"])
    rows = made_up("nanoseconds")
    written(rows)
    config = recbole.config.Config("MQSATED", "toy", config_dict={"data_path": str(tmp_path)})
    assert config["time_order"] == "exact"
    train, _, test = data_preparation(config, create_dataset(config))
    assert sequences_of(train._dataset) == sequences(rows) == sequences_of(test._dataset)
    config["time_order"] = "recbole"
    assert sequences_of(create_dataset(config).build()[0]) != sequences(rows)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("split", SPLITS)
def test_splits(written, scale, split):
    """Row for row what RecBole makes of the same file with times that its float32 holds: their places."""
    config = written(made_up(scale, seed=1), eval_args=SPLITS[split])
    for ours, theirs in zip(SequenceDataset(config).build(), Reference(config).build()):
        assert samples(ours) == samples(theirs)


@pytest.mark.parametrize("scale", SCALES)
def test_the_newest_share_of_all_tests(written, scale):
    """TS by hand: what is newer than the lower of the two times around the 80th percentile of all samples."""
    rows = made_up(scale, seed=2)
    known, all_samples = defaultdict(list), []
    for user, item, time in sorted(rows, key=lambda row: exact_time(row[2])):
        if known[user]:
            all_samples.append((user, item, exact_time(time)))
        known[user].append(item)
    times = sorted(time for *_, time in all_samples)
    boundary = times[math.floor((len(times) - 1) * 0.8)]
    late = sorted((user, item) for user, item, time in all_samples if time > boundary)
    parts = SequenceDataset(written(rows, eval_args=SPLITS["TS"])).build()
    train, valid, test = (
        sorted(
            zip(
                part.id2token("user_id", part.inter_feat["user_id"]),
                part.id2token("item_id", part.inter_feat["item_id"]),
            )
        )
        for part in parts
    )
    assert test == late and len(late) > 10 and len(valid) > 10
    early = defaultdict(list)
    for user, item, time in all_samples:
        if time <= boundary:
            early[user].append(item)
    cuts = {user: int(len(items) * 0.6 / 0.8) for user, items in early.items()}
    assert train == sorted((user, item) for user, items in early.items() for item in items[: cuts[user]])


def test_a_share_of_all_by_hand(written):
    """RS without groups: of equal times of two users, the one who comes first in the file is the earlier."""
    base = 1_600_000_000
    rows = [
        ("b", "x", base),
        ("a", "x", base),
        ("a", "y", base + 2),
        ("b", "y", base + 2),
        ("a", "z", base + 1),
    ]
    rows += [("b", "z", base + 1), ("a", "w", base + 3), ("b", "w", base + 3)]
    config = written(
        [(*row[:2], str(row[2])) for row in rows],
        eval_args={**EVALUATION, "split": {"RS": [3, 1, 2]}, "group_by": None},
    )
    parts = SequenceDataset(config).build()
    named = [
        [
            f"{part.id2token('user_id', user)}{part.id2token('item_id', item)}"
            for user, _, item in samples(part)
        ]
        for part in parts
    ]
    assert named == [["bz", "az", "by"], ["ay"], ["bw", "aw"]]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("keep", ["first", "last"])
def test_repeats(written, scale, keep):
    rows = made_up(scale, seed=3)
    kept = {}
    for row in sorted(rows, key=lambda row: exact_time(row[2])):
        if keep == "last" or row[:2] not in kept:
            kept[row[:2]] = row
    dataset = SequenceDataset(written(rows, rm_dup_inter=keep))
    expected = [row for row in rows if any(row is one for one in kept.values())]
    assert dataset.filtered["repeated (rm_dup_inter)"] == len(rows) - len(expected) > 10
    assert sequences_of(dataset.build()[0]) == sequences(expected)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("brackets", ["[]", "()", "[)", "(]"])
def test_intervals_of_time(written, scale, brackets):
    low, high = sorted((SCALES[scale](31), SCALES[scale](88)), key=exact_time)
    least, most = exact_time(low), exact_time(high)
    rows = made_up(scale, seed=4)
    times = [exact_time(time) for *_, time in rows]
    inside = [
        (least <= time if brackets[0] == "[" else least < time)
        and (time <= most if brackets[1] == "]" else time < most)
        for time in times
    ]
    config = written(rows, val_interval={"timestamp": f"{brackets[0]}{low},{high}{brackets[1]}"})
    dataset = SequenceDataset(config)
    kept = [row for row, stays in zip(rows, inside) if stays]
    assert dataset.filtered["outside val_interval"] == len(rows) - len(kept) > 10
    assert sequences_of(dataset.build()[0]) == sequences(kept)


def test_intervals_of_dates_and_numbers_are_not_mixed(written):
    for scale, interval in (("dates", "[1689465600,inf)"), ("seconds", "[2023-07-16,inf)")):
        with pytest.raises(UserError, match=r"val_interval of 'timestamp' is '\["):
            SequenceDataset(written(made_up(scale), val_interval={"timestamp": interval}))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("scale", ["small", "seconds", "milliseconds", "nanoseconds", "fractions", "floats"])
def test_recboles_own_order(written, scale, split):
    """Row for row RecBole's, coarse as it is; where float32 is exact, so is ours without the setting."""
    config = written(made_up(scale, seed=5), eval_args=SPLITS[split], time_order="recbole")
    ours, theirs = SequenceDataset(config).build(), SequentialDataset(config).build()
    for our, their in zip(ours, theirs):
        assert samples(our) == samples(their)
    exact = SequenceDataset(written(made_up(scale, seed=5), eval_args=SPLITS[split])).build()
    same = all(samples(our) == samples(their) for our, their in zip(exact, theirs))
    assert same == (scale == "small")


def test_time_order_is_one_of_two(written):
    with pytest.raises(UserError, match="time_order is 'float'; it has to be one of 'exact', 'recbole'"):
        written([], time_order="float")


@pytest.mark.parametrize("scaled", [{}, {"normalize_all": True}, {"normalize_field": ["timestamp"]}])
@pytest.mark.parametrize("order", ["exact", "recbole"])
def test_scaled_times(written, scaled, order):
    """What RecBole makes of a time does not touch the order."""
    rows = made_up("nanoseconds")
    config = written(rows, time_order=order, **{"normalize_all": False, **scaled})
    assert (sequences_of(SequenceDataset(config).build()[0]) == sequences(rows)) == (order == "exact")


def test_the_time_may_be_left_out_of_the_samples(written):
    """``unused_col`` drops the column that RecBole keeps; the order is known without it."""
    rows = made_up("seconds")
    config = written(rows, unused_col={"inter": ["timestamp"]}, eval_args=SPLITS["TS"])
    parts = SequenceDataset(config).build()
    assert sequences_of(parts[0]) == sequences(rows) and "timestamp" not in parts[0].inter_feat
    parts[0].sort(by="item_id")
    assert parts[0].inter_feat["item_id"].tolist() == sorted(parts[0].inter_feat["item_id"].tolist())


@pytest.mark.parametrize(
    "by", ["timestamp", ["timestamp"], ["user_id", "timestamp"], ["item_id", "timestamp"]], ids=str
)
def test_sorting_by_time_is_exact(written, by):
    rows = made_up("nanoseconds")
    test = SequenceDataset(written(rows, eval_args=RATIO)).build()[0]
    test.sort(by=by)
    times = test.times[test.rows]
    fields = [by] if isinstance(by, str) else by
    keys = list(zip(*(times if field == "timestamp" else test.inter_feat[field].numpy() for field in fields)))
    assert keys == sorted(keys) and len(set(times.tolist())) > 20


# Any times.

WHOLE = st.integers(-(2**63), 2**63).map(str)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr)
DATES = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30)).map(
    lambda date: date.replace(
        tzinfo=datetime.timezone(datetime.timedelta(hours=date.minute % 25 - 12))
    ).isoformat()
)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_times(loaded, data):
    """Whole numbers, floats, both, or dates: everybody's sequence is in Python's order."""
    times = data.draw(
        st.sampled_from([WHOLE, FLOATS, WHOLE | FLOATS, DATES]).flatmap(lambda one: st.lists(one, min_size=4))
    )
    users = data.draw(st.lists(st.sampled_from("abc"), min_size=len(times), max_size=len(times)))
    rows = [
        (user, f"i{place}", time) for place, (user, time) in enumerate(zip("aaa" + "".join(users), times))
    ]
    assert sequences_of(loaded(rows).build()[0]) == sequences(rows)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"), min_size=1, max_size=6)
IDS = st.sampled_from(["NA", "nan", "null", '"', 'a"', "#", " ", "[PAD]", "a\0", "a"]) | TEXT
FILTERS = {
    "rm_dup_inter": [None, "first", "last"],
    "user_inter_num_interval": [None, "[2,inf)", "[3,5]"],
    "item_inter_num_interval": [None, "[2,inf)", "(1,4)"],
    "val_interval": [None, {"timestamp": "[0,30)"}],
}


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_is_accounted_for(loaded, data):
    """Every line is an action loaded or filtered, and names come back as they stand."""
    users, items = (data.draw(st.lists(IDS, min_size=1, max_size=4, unique=True)) for _ in "ui")
    row = st.tuples(st.sampled_from(users), st.sampled_from(items), st.integers(0, 40).map(str))
    rows = data.draw(st.lists(row, min_size=3, max_size=40))
    rows += [(users[0], items[0], time) for time in "123"]
    chosen = {key: data.draw(st.sampled_from(values), label=key) for key, values in FILTERS.items()}
    try:
        dataset = loaded(rows, **chosen)
    except UserError as error:
        assert "has no action left after filtering" in str(error) and any(chosen.values())
        return
    table = dataset.inter_feat
    assert dataset.lines.count == 1 + len(rows) == 1 + len(table) + sum(dataset.filtered.values())
    names = [dataset.id2token(field, table[field].to_numpy()).tolist() for field in ("user_id", "item_id")]
    kept = list(zip(*names, table["timestamp"].astype(int).astype(str)))
    if not any(chosen.values()):
        assert kept == rows
    left = list(rows)
    for one in kept:
        left.remove(one)  # raises where it is none of the file's
    assert len(left) == sum(dataset.filtered.values())
    assert dataset.token2id("user_id", names[0]).tolist() == table["user_id"].tolist()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The data set of some rows; the settings are read once."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "any").mkdir()
    (folder / "any" / "any.inter").write_text(HEADER + "\n")
    config = Config("MQSATED", "any", config_dict={"data_path": str(folder), "normalize_all": False})

    def load(rows, **more):
        text = "\n".join([HEADER, *map("\t".join, rows)])
        (folder / "any" / "any.inter").write_bytes(text.encode())
        for key, value in more.items():
            config[key] = value
        return SequenceDataset(config)

    return load


# Whole data sets.


def by_hand(path):
    rows = [line.split("\t") for line in lines_of(path)[1:]]
    return sequences([(user, item, time) for user, item, _, time in rows])


@pytest.mark.parametrize("name", ["ml-100k", "copy"])
def test_ml_100k(tmp_path, name):
    """Under its own name RecBole scales the times first, so that fewer collapse."""
    source = Config("MQSATED", "ml-100k")["data_path"]
    path = tmp_path / name / f"{name}.inter"
    path.parent.mkdir()
    path.write_text(Path(source, "ml-100k.inter").read_text())
    differ = {}
    expected = by_hand(path)
    for order in ("exact", "recbole"):
        config = Config("MQSATED", name, config_dict={"data_path": str(tmp_path), "time_order": order})
        test = SequenceDataset(config).build()[2]
        found = sequences_of(test)
        differ[order] = sum(found[user] != items for user, items in expected.items())
        differ[f"{order} last"] = sum(found[user][-1] != items[-1] for user, items in expected.items())
    counts = (83, 4) if name == "ml-100k" else (908, 149)
    assert differ == {"exact": 0, "exact last": 0, "recbole": counts[0], "recbole last": counts[1]}

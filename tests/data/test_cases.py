"""Small inputs that went wrong once, of which ``tests/cases`` holds one folder each, and what is right of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.slow_reader import exact_time, lines_of, rows_of
from recbole.data import create_dataset, data_preparation

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config

CASES = ROOT / "tests" / "cases"


def settings_of(name, model="MQSATED", **more):
    return Config(model, name, config_dict={"data_path": str(CASES), "load_col": None, **more})


def inter(name):
    return CASES / name / f"{name}.inter"


ACTIONS = {
    "unix-time": 1000, "since-start": 1000, "nanotime": 4092, "quote-pair": 180, "quote_swallow": 4092,
    "mid_quote": 4092, "ids_quote1": 4092, "item-NA": 180, "ids_na": 4092, "short-users": 123, "repeats": 400,
    "tiny": 713, "toy": 4092, "dup": 12276, "oneitem": 4092,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIONS)
def test_every_line_is_an_action_in_exact_order(name):
    """Names as they stand, sequences by Python's ``sorted``."""
    (header, *rows), lines = rows_of(inter(name)), lines_of(inter(name))
    places = [
        [field.partition(":")[0] for field in header].index(f) for f in ("user_id", "item_id", "timestamp")
    ]
    actions = [tuple(row[place] for place in places) for row in rows]
    assert len(actions) == ACTIONS[name]

    dataset = create_dataset(settings_of(name))
    assert dataset.lines.count == len(lines) and dataset.lines.blank == lines.count("")
    assert len(dataset.inter_feat) == dataset.lines.rows == len(actions) and not any(
        dataset.filtered.values()
    )
    for field, place in (("user_id", 0), ("item_id", 1)):
        names = dataset.id2token(field, dataset.inter_feat[field].to_numpy()).tolist()
        assert names == [action[place] for action in actions]

    expected = defaultdict(list)
    for user, item, _ in sorted(actions, key=lambda action: exact_time(action[2])):
        expected[user].append(item)
    sequences = dataset.build()[0].sequences
    parts = np.split(sequences.items, sequences.offsets[1:-1])[1:]
    users = dataset.field2id_token["user_id"][1:].tolist()
    assert dict(zip(users, (dataset.id2token("item_id", part).tolist() for part in parts))) == expected


@pytest.mark.parametrize("name", ["unix-time", "since-start"])
def test_the_order_is_found_whatever_the_times_count_from(trainer_for, name):
    config = settings_of(name, "ItemTransition", topk=[5], valid_metric="NDCG@5", mask_seen=False)
    train, _, test = data_preparation(config, create_dataset(config))
    assert trainer_for(train).evaluate(test, load_best_model=False)["hit@5"] == 1


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("quote-pair", ['"12 inch', 'vinyl"']),
        ("quote_swallow", ['"i42', 'i84"']),
        ("ids_quote1", ['"i42']),
        ("item-NA", ["NA"]),
        ("ids_na", ["NA", "nan", "null", "None"]),
        ("mid_quote", ['i96"x']),
    ],
)
def test_awkward_names_are_items(name, items):
    dataset = create_dataset(settings_of(name))
    found = set(dataset.field2id_token["item_id"].tolist())
    written = {row[1] for row in rows_of(inter(name))[1:]}
    assert {item for item in items if item in written} <= found == written | {"[PAD]"}
    assert found & set(items)


REFUSED = {
    "ids_empty": "line 11: item_id is '', which is no id; name it, or drop the line",
    "t_space": "line 12: timestamp is ' ', which is not a time; write a number, such as seconds, or ISO 8601",
    "t_huge": "line 12: timestamp is '1e400', which is too large for a time",
    "headerspace": "line 1: column 'user_id:token ' has a type that is none of token, token_seq, float, float_seq",
    "comments": "line 2: 1 column where the header has 3; correct that line",
    "short": "line 2: 1 column where the header has 3; correct that line",
    "zeros": "line 1 holds NUL characters, so it is no text; replace it",
    "empty": "is empty; put a header and the data there",
    "gz": "is compressed; unpack it, as by gunzip",
    "bom": "begins with a byte-order mark; save it without, or set encoding to utf-8-sig",
}


@pytest.mark.parametrize(("name", "says"), REFUSED.items(), ids=REFUSED)
def test_what_is_refused_is_told_in_one_sentence(name, says):
    with pytest.raises(UserError) as caught:
        create_dataset(settings_of(name))
    message = str(caught.value)
    assert message.replace(f"{inter(name)}, ", "").replace(f"{inter(name)} ", "").startswith(says)
    assert str(inter(name)) in message and "\n" not in message


def test_a_mark_is_read_with_its_encoding():
    dataset = create_dataset(settings_of("bom", encoding="utf-8-sig"))
    assert len(dataset.inter_feat) == dataset.lines.rows == 4092


def test_nobody_has_three_actions():
    with pytest.raises(UserError, match="no user in data set 'two2' has three actions"):
        create_dataset(settings_of("two2")).build()

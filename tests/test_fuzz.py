"""Random inputs for the time of a budget: each is read, or refused in one sentence; anything else fails.

RECBOLE_MQSA_FUZZ holds the seconds, RECBOLE_MQSA_FUZZ_SEED what the inputs follow from. Nothing is trained.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers.bad_commands import ORDERS
from helpers.bad_inputs import GOOD
from helpers.sweep import models

from recbole_mqsa.cli.main import COMMANDS, parser_of
from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.errors import UserError
from recbole_mqsa.prepare import prepare_dataset
from recbole_mqsa.settings import keys
from recbole_mqsa.settings.check import EVERY_MODEL, WITH_TRANSITION
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.files import read_yaml
from recbole_mqsa.settings.support import DEFAULT_ONLY, REFUSED, SUPPORTED
from recbole_mqsa.tuning.space import read_space

SECONDS = float(os.environ.get("RECBOLE_MQSA_FUZZ", "3"))
SEED = int(os.environ.get("RECBOLE_MQSA_FUZZ_SEED", "0"))
MODELS = ("MQSATED", "FMLPRec", "Pop", "ItemTransition", *models())
VALUES = (
    *(
        "0",
        "1",
        "-1",
        "0.5",
        "1e400",
        "nan",
        "-inf",
        "None",
        "True",
        "maybe",
        "",
        " ",
        "[]",
        "[1]",
        "[1,[2]]",
        "{}",
    ),
    *(
        "{'a': 1}",
        "{1: 2}",
        "(1, 2)",
        "9" * 40,
        "é\u2028",
        "\0",
        "a.b",
        "[1",
        "__import__('os')",
        "0x10",
        "1_000",
    ),
    *(
        "['x', 3]",
        "{'split': {'RS': [1, 2]}}",
        "{'LS': 3}",
        "'quoted'",
        "-0.0",
        "1e-320",
        "[None]",
        "{'inter': 3}",
    ),
)
PIECES = (
    *(
        b"\t",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b'"',
        b"#",
        b",",
        b"\xef\xbb\xbf",
        b"nan",
        b"NA",
        b"-1",
        b"1e999",
        b"\n\n",
    ),
    *(b"2024-01-01", b":token", b":float", b"\xc3\xa9", b" ", b"\x1f\x8b", b"9" * 30, b"user_id:token"),
)


def words_of(draw: random.Random) -> list[str]:
    """A command line of one to three random settings."""
    own = sorted(keys.yaml_keys(model := draw.choice(MODELS)))
    ruled = sorted({key for key, *_ in (*EVERY_MODEL, *WITH_TRANSITION)})
    names = [*own * 3, *ruled, *sorted(SUPPORTED | REFUSED.keys() | DEFAULT_ONLY), "no_such", "mödel"]
    given = [f"--{draw.choice(names)}={draw.choice(VALUES)}" for _ in range(draw.randint(1, 3))]
    return [f"--model={model}", "--dataset=toy", *given]


def spoilt(draw: random.Random, content: bytes) -> bytes:
    """The content with one to four of its places changed."""
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(content) + 1)
        gone = draw.choice((0, 0, 1, 5, 60))
        content = content[:place] + draw.choice((b"", *PIECES)) + content[place + gone :]
    return content


def read_settings(draw: random.Random, folder: Path) -> str:
    words = words_of(draw)
    _, settings = parser_of("train", COMMANDS["train"]).read(words)
    for option in ("model", "dataset"):
        settings.pop(option, None)
    Config(words[0].partition("=")[2], "toy", command_line=settings)
    return " ".join(words)


def read_data(draw: random.Random, folder: Path) -> str:
    (folder / "bad").mkdir(exist_ok=True)
    (folder / "bad" / "bad.inter").write_bytes(spoilt(draw, GOOD.encode()))
    SequenceDataset(Config("Pop", "bad", command_line={"data_path": str(folder)})).build()
    return "data"


def read_a_file_of_settings(draw: random.Random, folder: Path) -> str:
    text = b"epochs: 3\nquery_windows: [1, 3]\neval_args:\n  order: TO\n  split: {LS: valid_and_test}\ntau: 1e-1\n"
    (folder / "mine.yaml").write_bytes(spoilt(draw, text))
    given = read_yaml(folder / "mine.yaml")
    Config("MQSATED", "toy", command_line=given)
    return "yaml"


def read_a_space(draw: random.Random, folder: Path) -> str:
    ending, text = draw.choice(
        (
            (
                ".yaml",
                b"tau: [0.1, 0.2]\nlearning_rate: {low: 1e-4, high: 0.1, log: true}\nalpha: {low: 0, high: 1}\n",
            ),
            (
                ".test",
                b"tau choice [0.1, 0.2]\nlearning_rate loguniform -8,0\nalpha quniform 0,1,0.1\nn_heads choice [1,2]\n",
            ),
        )
    )
    (folder / f"space{ending}").write_bytes(spoilt(draw, text))
    read_space(folder / f"space{ending}")
    return "space"


def read_a_table(draw: random.Random, folder: Path) -> str:
    (folder / "orders.csv").write_bytes(spoilt(draw, ORDERS))
    output = folder / f"shop-{draw.random()}"
    prepare_dataset(
        folder / "orders.csv", output, user="customer", item="sku", time="date", strict=draw.random() < 0.5
    )
    return "table"


READERS = (read_settings, read_data, read_a_file_of_settings, read_a_space, read_a_table)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_any_input_is_read_or_refused_in_a_sentence(
    read: object, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tally, number, end = Counter[str](), 0, time.monotonic() + SECONDS / len(READERS)
    while time.monotonic() < end:
        number += 1
        try:
            read(random.Random(f"{SEED}-{number}"), tmp_path)  # type: ignore[operator]
            tally["read"] += 1
        except UserError as refused:
            assert "\n" not in str(refused).strip(), f"input {number} of seed {SEED}: {refused!r}"
            tally["refused"] += 1
        except Exception as error:
            pytest.fail(f"input {number} of seed {SEED}: {type(error).__name__}: {error}")
    with capsys.disabled():
        name = read.__name__  # type: ignore[attr-defined]
        print(
            f"\nfuzz: {name}: {number} inputs, {tally['read']} read, {tally['refused']} refused, 0 tracebacks"
        )

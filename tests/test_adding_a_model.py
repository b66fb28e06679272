"""A model is added by one file and one line; training, benchmark and report follow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.chain import write_chain
from helpers.paths import ROOT

TOY = '''
"""Scores items by one product of embeddings: the last item's and theirs."""

from typing import Any

from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from ..settings.rules import whole
from ..settings.spec import ModelSpec
from .softmax import recommendation_loss


class Toy(SequentialRecommender):
    spec = ModelSpec(rules=(*whole(1, "hidden_size"),), variants={"Toy-wide": {"hidden_size": 16}})

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.item_embedding = nn.Embedding(self.n_items, config["hidden_size"])
        self.last = nn.Embedding(self.n_items, config["hidden_size"])

    def states(self, interaction: Any) -> Tensor:
        return self.last(self.gather_last(interaction))

    def gather_last(self, interaction: Any) -> Tensor:
        newest = interaction[self.ITEM_SEQ_LEN][:, None] - 1
        return interaction[self.ITEM_SEQ].gather(1, newest).squeeze(1)

    def calculate_loss(self, interaction: Any) -> Tensor:
        return recommendation_loss(
            self.states(interaction), interaction[self.POS_ITEM_ID], self.item_embedding.weight
        )

    def full_sort_predict(self, interaction: Any) -> Tensor:
        return self.states(interaction) @ self.item_embedding.weight.T
'''
YAML = """
hidden_size: 8             # (int) Width of the embeddings.
train_neg_sample_args: ~   # (dict) None.
loss_type: CE              # (str) The loss.
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with the toy in it, and the chain to train on."""
    home = tmp_path_factory.mktemp("program")
    for name in ("recbole_mqsa", "properties"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "recbole_mqsa/model/toy.py").write_text(TOY)
    (home / "properties/model/Toy.yaml").write_text(YAML)
    registry = home / "recbole_mqsa/model/registry.py"
    line = '    "Toy": "recbole_mqsa.model.toy",\n'
    registry.write_text(registry.read_text().replace("MODELS = {\n", "MODELS = {\n" + line))
    write_chain(home, certainty=0.9)
    return home


def call(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(program), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "recbole_mqsa", *words]
    return subprocess.run(command, cwd=program, env=environment, capture_output=True, text=True)


SETTINGS = (
    "--data_path=.",
    "--epochs=10",
    "--train_batch_size=256",
    "--learning_rate=0.03",
    "--mask_seen=False",
    "--topk=5",
    "--valid_metric=NDCG@5",
)


def test_it_trains_and_is_reported_beside_another(program: Path) -> None:
    words = ("--models=Toy,Toy-wide,Pop", "--datasets=chain", "--output_dir=side-by-side", *SETTINGS)
    done = call(program, "benchmark", *words)
    assert done.returncode == 0, done.stderr
    hit = {}
    for name in ("Toy", "Toy-wide", "Pop"):
        (file,) = (program / "side-by-side/cells/chain" / name).glob("*/result.json")
        hit[name] = json.loads(file.read_text())["test"]["hit@5"]
    assert hit["Toy"] > 2 * hit["Pop"]  # it has learnt who follows whom
    report = (program / "side-by-side/report.md").read_text()
    assert "Toy-wide" in report
    assert f"{hit['Toy']:.4f}" in report


def test_its_own_rule_is_asked_before_any_data(program: Path) -> None:
    done = call(program, "train", "--model=Toy", "--dataset=nowhere", "--hidden_size=0")
    assert done.returncode == 2
    assert "hidden_size is 0; it has to be a whole number of at least 1" in done.stderr


def test_recbole_finds_it(program: Path) -> None:
    code = (
        "import recbole_mqsa\nfrom recbole.config import Config\nfrom recbole.utils import get_trainer\n"
        "config = Config('Toy', 'chain', config_dict={'data_path': '.'})\n"
        "print(config.model_class.__name__, config['hidden_size'], config['mask_seen'])\n"
        "print(get_trainer(None, 'Toy').__name__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(program)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=program, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["Toy", "8", "True", "RunTrainer"], done.stderr

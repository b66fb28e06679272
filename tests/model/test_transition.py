"""TED and its rivals on every kind of model: what they add to it, and what is learned from it.

TED's term on other models is in ``training/test_objective.py``, as it is added there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.chain import N_ITEMS, N_USERS, train, write_chain
from helpers.models import built, counts_of, embedding, fitted, loaded, losses, neutral
from helpers.transitions import dense_rows
from recbole.data.dataset import SequentialDataset
from recbole.trainer import Trainer
from recbole.utils import get_model, get_trainer

from recbole_mqsa.errors import UserError
from recbole_mqsa.model.transition import TRANSITIONS, item_embedding_of
from recbole_mqsa.training.build import build_dataset, build_loaders, build_model, build_trainer
from recbole_mqsa.training.load import load_data_and_model


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.9)
    return tmp_path


# TED.


def test_mqsated_offers_all_positions(home: Path) -> None:
    model, _, loader = built(home, "MQSATED", "ted", lambda_kd=0.3, tau=0.2)
    batch, offered = next(iter(loader)), []
    model.transition["distillation"].register_forward_pre_hook(lambda _, given: offered.append(given[1]))
    losses = model.losses(batch)
    rows = batch["item_id_list"]
    assert set(losses) == {"recommendation", "distillation"}
    assert offered[0].tolist() == [item for row in rows.tolist() for item in row if item]


@pytest.mark.parametrize("name", ["SASRec", "LightGCN"])
def test_ted_teaches_other_models_the_transitions(home: Path, name: str) -> None:
    distance = {}
    for way in ("none", "ted"):
        small = {"hidden_size": 32, "n_layers": 1} if name == "SASRec" else {}
        model, config, loader = fitted(home, name, way, 10, lambda_kd=1.0, tau=0.3, **small)
        items = embedding(model, config)[1:].detach().double()
        teacher = dense_rows(counts_of(loader), 0.3)
        student = (items @ items.T * items.size(1) ** 0.5 / 0.3).log_softmax(1)
        distance[way] = (teacher * (teacher.log() - student)).sum(1).mean().item()
    assert distance["ted"] < 1.0
    assert distance["none"] > 2 * distance["ted"]


# What is added to a model.


@pytest.mark.parametrize("name", ["MQSATED", "SASRec", "LightGCN"])
def test_nothing_adds_a_parameter(home: Path, name: str) -> None:
    sizes = {}
    for way in TRANSITIONS:
        model, *_ = built(home, name, way)
        sizes[way] = sum(parameter.numel() for parameter in model.parameters())
        keys = {key.replace(".parametrizations.weight.original", ".weight") for key in model.state_dict()}
        assert keys == set(built(home, name, "none")[0].state_dict())
    assert len(set(sizes.values())) == 1


def test_recboles_own_entry_trains_mqsated_with_ted(home: Path) -> None:
    config, loader = loaded(home, "MQSATED", transition="ted")
    model = get_model("MQSATED")(config, loader._dataset)
    assert set(model.losses(next(iter(loader)))) == {"recommendation", "distillation"}
    assert build_model(config, loader._dataset).transition.keys() == model.transition.keys()


# GraReg.


@pytest.mark.parametrize("name", ["MQSATED", "SASRec", "LightGCN", "BERT4Rec"])
def test_grareg_adds_every_edge(home: Path, name: str) -> None:
    model, config, batch = neutral(home, name, "grareg", lambda_reg=0.2, grareg_neighbours=2)
    items, counts, slow = embedding(model, config), counts_of(loaded(home, name)[1]), 0.0
    for head in range(1, N_ITEMS + 1):
        followers = sorted(
            (-count, tail) for tail, count in enumerate(counts[head]) if count and tail != head
        )
        total = sum(count for count, _ in followers[:2])
        for count, tail in followers[:2]:
            slow += 0.2 * count / total * (items[head] - items[tail]).square().sum()
    _, term = losses(model, config, batch)
    assert term.item() == pytest.approx(slow.item(), rel=1e-5)


# GES.


@pytest.mark.parametrize("name", ["MQSATED", "SASRec", "BERT4Rec", "LightGCN"])
def test_ges_is_the_model_with_smoothed_embeddings(home: Path, name: str) -> None:
    """Inputs and outputs alike: the plain model scores and errs the same once its weights are the smoothed ones."""
    model, _, batch = neutral(home, name, "ges", ges_layers=2)
    plain, _, _ = neutral(home, name, "none")
    weights = {
        key.replace(".parametrizations.weight.original", ".weight"): value
        for key, value in model.state_dict().items()
    }
    original = weights["item_embedding.weight"].double()
    counts = counts_of(loaded(home, name)[1])
    graph = counts + counts.T + torch.eye(len(counts))
    graph = graph / (graph.sum(1)[:, None] * graph.sum(1)).sqrt()
    smoothed = graph @ graph @ original[: len(graph)]
    weights["item_embedding.weight"] = torch.cat([smoothed, original[len(graph) :]]).float()
    assert (weights["item_embedding.weight"] - original).abs().max() > 0.1 * original.abs().max()
    plain.load_state_dict(weights)
    for method in ("calculate_loss", "full_sort_predict", "predict"):
        values = []
        for one in (model, plain):
            torch.manual_seed(0)
            values.append(getattr(one, method)(batch))
        torch.testing.assert_close(*values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["MQSATED", "SASRec"])
def test_ges_smooths_once_a_batch(home: Path, name: str) -> None:
    """Training and ranking read the embeddings twice, and nothing stale is kept for the next batch."""
    model, config, batch = neutral(home, name, "ges")
    _, valid, _ = build_loaders(config, build_dataset(config))
    trainer, calls = build_trainer(config, model), []
    (smoothing,) = model.item_embedding.parametrizations["weight"]
    smoothing.register_forward_hook(lambda *_: calls.append(1))
    losses(model, config, batch)
    assert len(calls) == 1
    trainer.evaluate(valid, load_best_model=False)
    assert len(calls) == 1 + len(valid)
    model.full_sort_predict(batch)
    assert len(calls) > 2 + len(valid)


@pytest.mark.parametrize("name", ["SASRec", "LightGCN"])
def test_ges_comes_back_from_recboles_checkpoint(home: Path, name: str) -> None:
    model, config, loader = built(home, name, "ges", epochs=2)
    trainer = Trainer(config, model)
    trainer.fit(loader)
    batch = next(iter(loader))
    model.eval()
    saved = torch.load(trainer.saved_model_file, weights_only=True)["state_dict"]
    again, *_ = built(home, name, "ges", seed=8)
    again.eval().load_state_dict(saved)
    assert torch.equal(again.full_sort_predict(batch), model.full_sort_predict(batch))


# What is learned.


def closeness(model, loader) -> float:
    """Mean distance from an item to what mostly follows it, relative to that of any two items."""
    items = model.item_embedding.weight[1 : N_ITEMS + 1].detach()
    follower = counts_of(loader)[1:, 1:].argmax(1)
    distances = torch.cdist(items, items)
    return (distances[torch.arange(N_ITEMS), follower].mean() / distances.mean()).item()


def test_the_rivals_draw_items_to_their_followers_and_come_back_from_a_checkpoint(home: Path) -> None:
    near = {}
    for way in ("none", "grareg", "ges"):
        finished = train(home, way, transition=way, lambda_reg=0.1, epochs=10)
        config, model, _, train_data, _, test_data = load_data_and_model(
            str(finished.folder / "checkpoint.pth")
        )
        near[way] = closeness(model, train_data)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        assert dict(trainer.evaluate(test_data, load_best_model=False)) == finished.result["test"]
        assert finished.result["test"]["hit@1"] > 0.4  # 1/40 by chance
    assert near["grareg"] < 0.8 * near["none"]
    assert near["ges"] < 0.8 * near["none"]


def test_no_transition_is_seen_in_noise(tmp_path: Path) -> None:
    """Without any order in the data the rivals find nothing either."""
    write_chain(tmp_path, certainty=0.0)
    chance, deviation = 5 / N_ITEMS, (5 / N_ITEMS * (1 - 5 / N_ITEMS) / N_USERS) ** 0.5
    for way in ("grareg", "ges"):
        test = train(tmp_path, way, transition=way, epochs=10).result["test"]
        assert abs(test["hit@5"] - chance) < 4 * deviation


# What is refused.


def complaint(home: Path, model: str, way: str = "ted", **given: object) -> str:
    with pytest.raises(UserError) as caught:
        built(home, model, way, **given)
    return str(caught.value)


@pytest.mark.parametrize("way", ["ted", "grareg", "ges"])
def test_models_without_one_item_embedding_are_named(home: Path, way: str) -> None:
    assert f"transition '{way}'" in complaint(home, "Pop", way) and "Pop has none" in complaint(
        home, "Pop", way
    )
    assert "FPMC has 3 (IU_emb, LI_emb, IL_emb)" in complaint(home, "FPMC", way)


def test_an_only_embedding_of_the_items_is_found_by_its_size(home: Path) -> None:
    model, *_ = built(home, "RepeatNet", "ted")
    assert item_embedding_of(model, "ted") is model.item_matrix


def test_a_data_set_that_counts_nothing_is_named(home: Path) -> None:
    with pytest.raises(UserError, match="SequentialDataset does not; run the model by recbole-mqsa"):
        config, loader = loaded(home, "SASRec", dataset=SequentialDataset, transition="ted")
        build_model(config, loader._dataset)


def test_its_settings_are_checked_for_any_model_that_has_one(home: Path) -> None:
    def refused(model: str, **given: object) -> str:
        return complaint(home, model, **{"way": "ted", **given})

    assert refused("SASRec", tau=0).startswith("tau is 0; it has to be a number above 0")
    assert refused("SASRec", way="kd").startswith("transition is 'kd'; it has to be one of 'ted', 'grareg'")
    assert refused("LightGCN", way="ges", ges_layers=-1).startswith("ges_layers is -1")
    assert refused("LightGCN", way="grareg", grareg_neighbours=0).startswith("grareg_neighbours is 0")
    assert refused("MQSATED", way="none", lambda_reg=-1).startswith("lambda_reg is -1")
    # Elsewhere the names may mean other things.
    assert loaded(home, "SASRec", tau=0)[0]["tau"] == 0

"""TED and its rivals on every kind of model: what they add, to which items, and what is learned from it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import yaml
from helpers.chain import N_ITEMS, N_USERS, train, write_chain
from helpers.transitions import dense_rows
from recbole.data import data_preparation
from recbole.data.dataset import SequentialDataset
from recbole.trainer import Trainer
from recbole.utils import get_model, get_trainer, init_seed

from recbole_mqsa.data.dataset import SequenceDataset
from recbole_mqsa.errors import UserError
from recbole_mqsa.model import transition
from recbole_mqsa.model.transition import TRANSITIONS, item_embedding_of
from recbole_mqsa.settings import locations
from recbole_mqsa.settings.check import WITH_TRANSITION
from recbole_mqsa.settings.config import Config
from recbole_mqsa.training.build import build_model
from recbole_mqsa.training.load import load_data_and_model
from recbole_mqsa.training.objective import batch_heads

DEFAULTS = yaml.safe_load(locations.overall_file().read_text())
SETTINGS = {"transition": "none", **{key: DEFAULTS[key] for key, *_ in WITH_TRANSITION}}
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"}
CROSS_ENTROPY = ("SASRec", "GRU4Rec", "BERT4Rec", "RepeatNet", "MQSATED", "FMLPRec")
OTHERS = ["SASRec", "GRU4Rec", "BERT4Rec", "RepeatNet", "FMLPRec", "LightGCN"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_chain(tmp_path, certainty=0.9)
    return tmp_path


def loaded(home: Path, model: str, dataset: type = SequenceDataset, **given: object):
    """Settings and training loader of a model on the chain."""
    common = {
        "data_path": str(home), "checkpoint_dir": str(home), "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": LEAVE_ONE_OUT, "MAX_ITEM_LIST_LENGTH": 12, "learning_rate": 0.01, "train_batch_size": 256,
        "show_progress": False, "valid_metric": "NDCG@5", "topk": [5], "metrics": ["NDCG"], "seed": 7,
    }  # fmt: skip
    if model in CROSS_ENTROPY:
        common["train_neg_sample_args"] = None
    config = Config(model, "chain", config_dict={**SETTINGS, **common, **given}, allow_unknown=True)
    init_seed(7, True)
    return config, data_preparation(config, dataset(config))[0]


def built(home: Path, name: str, way: str, **given: object):
    """A model with its transition, the settings and the training loader."""
    config, loader = loaded(home, name, transition=way, **given)
    init_seed(7, True)
    return build_model(config, loader._dataset), config, loader


def fitted(home: Path, name: str, way: str, epochs: int, **given: object):
    """The same after some epochs of RecBole's own trainer."""
    model, config, loader = built(home, name, way, epochs=epochs, **given)
    get_trainer(config["MODEL_TYPE"], name)(config, model).fit(loader, saved=False)
    return model.eval(), config, loader


def neutral(home: Path, name: str, way: str = "ted", **given: object):
    """A model without dropout, a batch, and the rows of the items' embeddings."""
    model, config, loader = built(home, name, way, distillation_heads=0, softmax_precision="float32", **given)
    batch = next(iter(loader))
    n_items = loader._dataset.item_num
    return (
        model.eval(),
        config,
        batch,
        lambda: item_embedding_of(model, config, loader._dataset).weight[:n_items],
    )


def counts_of(loader) -> torch.Tensor:
    return torch.from_numpy(loader._dataset.transition_counts().toarray())


# TED.


@pytest.mark.parametrize("name", OTHERS)
def test_ted_adds_the_cross_entropy_of_each_rows_one_head(home: Path, name: str) -> None:
    model, config, batch, items = neutral(home, name, lambda_kd=0.3, tau=0.5)
    _, loader = loaded(home, name)
    if name == "LightGCN":
        heads = batch["item_id"]
    else:
        rows, lengths = batch["item_id_list"], batch["item_length"]
        heads = torch.stack([row[length - 1] for row, length in zip(rows, lengths)])
        assert len(heads) == len(batch) and heads.min() > 0 and heads.max() < len(items())
    assert batch_heads(batch, config).tolist() == heads.tolist()

    torch.manual_seed(0)
    own, term = model.calculate_loss(batch)
    torch.manual_seed(0)
    torch.testing.assert_close(own, type(model).calculate_loss(model, batch))
    embeddings = items().double()
    student = (embeddings[heads] * embeddings.size(1) ** 0.5 @ embeddings[1:].T / 0.5).log_softmax(1)
    slow = -0.3 * (dense_rows(counts_of(loader), 0.5)[heads - 1] * student).sum(1).mean()
    torch.testing.assert_close(term.double(), slow, rtol=1e-5, atol=0)
    weight = item_embedding_of(model, config, loader._dataset).weight
    ours, true = torch.autograd.grad(term, weight)[0], torch.autograd.grad(slow, weight)[0]
    assert (ours - true).abs().max() <= 1e-5 * true.abs().max()


def test_bert4rec_distils_what_stood_below_the_mask(home: Path) -> None:
    """Training masks items; the mask token is no item, though the embedding has a row of it."""
    model, config, batch, items = neutral(home, "BERT4Rec", ft_ratio=0)
    assert len(model.item_embedding.weight) == len(items()) + 1
    shown = batch["Mask_item_id_list"]
    newest = shown.gather(1, batch["item_length"][:, None] - 1).squeeze(1)
    hidden = newest == len(items())
    assert hidden.any() and not hidden.all()
    heads = batch_heads(batch, config)
    assert (heads[~hidden] == newest[~hidden]).all() and (heads < len(items())).all()


def test_sampled_negatives_are_no_heads(home: Path) -> None:
    config, loader = loaded(home, "NeuMF")
    batch = next(iter(loader))
    positive = [item for item, label in zip(batch["item_id"].tolist(), batch["label"].tolist()) if label == 1]
    assert 0 < len(positive) < len(batch)
    assert batch_heads(batch, config).tolist() == positive


def test_the_last_item_is_found_at_either_side(home: Path) -> None:
    _, config, batch, _ = neutral(home, "SASRec")
    batch["item_id_list"] = torch.tensor(
        [[3, 5, 0, 0], [0, 0, 4, 7], [0, 0, 0, 0], [1, 2, 3, 9], [8, 0, 0, 0]]
    )
    assert batch_heads(batch, config).tolist() == [5, 7, 9, 8]


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
        items = item_embedding_of(model, config, loader._dataset).weight[1 : N_ITEMS + 1].detach().double()
        teacher = dense_rows(counts_of(loader), 0.3)
        student = (items @ items.T * items.size(1) ** 0.5 / 0.3).log_softmax(1)
        distance[way] = (teacher * (teacher.log() - student)).sum(1).mean().item()
    assert distance["ted"] < 1.0
    assert distance["none"] > 2 * distance["ted"]


def test_heads_are_dropped_out_as_the_model_drops(home: Path) -> None:
    """GRU4Rec's dropout_prob, SASRec's hidden_dropout_prob, none where a model has none; none in evaluation."""
    for name, expected in {"GRU4Rec": 0.3, "SASRec": 0.5, "LightGCN": 0.0}.items():
        model, *_ = built(home, name, "ted")
        assert model.transition["distillation"].dropout_prob == expected
    model, _, batch, _ = neutral(home, "SASRec", hidden_dropout_prob=0.9, attn_dropout_prob=0.0)
    (_, first), (_, second) = model.calculate_loss(batch), model.calculate_loss(batch)
    assert first == second
    assert model.train().calculate_loss(batch)[1] != model.calculate_loss(batch)[1]


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


@pytest.mark.parametrize(("way", "off"), [("ted", "lambda_kd"), ("grareg", "lambda_reg")])
def test_a_weight_of_0_turns_a_term_off(home: Path, way: str, off: str) -> None:
    model, _, loader = built(home, "SASRec", way, **{off: 0})
    assert isinstance(model.calculate_loss(next(iter(loader))), torch.Tensor)
    model, _, loader = built(home, "MQSATED", way, **{off: 0})
    assert set(model.losses(next(iter(loader)))) == {"recommendation"}


def test_none_leaves_the_model_alone(home: Path) -> None:
    model, *_ = built(home, "SASRec", "none", length_groups=1)
    assert "calculate_loss" not in vars(model) and not hasattr(model, "transition")


def test_a_copy_of_the_model_has_its_own_weights(home: Path) -> None:
    for way in ("ted", "ges"):
        model, _, loader = built(home, "SASRec", way)
        model.eval()
        twin, batch = copy.deepcopy(model), next(iter(loader))

        def total(model, batch=batch, way=way):
            torch.manual_seed(0)
            return sum(model.calculate_loss(batch)) if way == "ted" else model.calculate_loss(batch)

        before = total(model).item()
        assert total(twin).item() == before
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.mul_(2)
        assert total(model).item() == before != total(twin).item()


def test_recboles_own_entry_trains_mqsated_with_ted(home: Path) -> None:
    config, loader = loaded(home, "MQSATED", transition="ted")
    model = get_model("MQSATED")(config, loader._dataset)
    assert set(model.losses(next(iter(loader)))) == {"recommendation", "distillation"}
    assert build_model(config, loader._dataset).transition.keys() == model.transition.keys()


# GraReg.


@pytest.mark.parametrize("name", ["MQSATED", "SASRec", "LightGCN", "BERT4Rec"])
def test_grareg_adds_every_edge(home: Path, name: str) -> None:
    model, _, batch, items = neutral(home, name, "grareg", lambda_reg=0.2, grareg_neighbours=2)
    counts = counts_of(loaded(home, name)[1])
    slow = 0.0
    for head in range(1, N_ITEMS + 1):
        followers = sorted(
            (-count, tail) for tail, count in enumerate(counts[head]) if count and tail != head
        )
        total = sum(count for count, _ in followers[:2])
        for count, tail in followers[:2]:
            slow += 0.2 * count / total * (items()[head] - items()[tail]).square().sum()
    if name == "MQSATED":
        losses = model.losses(batch)
        assert set(losses) == {"recommendation", "regularisation"}
        term = losses["regularisation"]
    else:
        _, term = model.calculate_loss(batch)
    assert term.item() == pytest.approx(slow.item(), rel=1e-5)


# GES.


@pytest.mark.parametrize("name", ["MQSATED", "SASRec", "BERT4Rec", "LightGCN"])
def test_ges_is_the_model_with_smoothed_embeddings(home: Path, name: str) -> None:
    """Inputs and outputs alike: the plain model scores and errs the same once its weights are the smoothed ones."""
    model, _, batch, _ = neutral(home, name, "ges", ges_layers=2)
    plain, _, _, _ = neutral(home, name, "none")
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
def test_ges_smooths_once_a_call(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    smooth = transition.Smoothing.forward
    monkeypatch.setattr(transition.Smoothing, "forward", lambda *given: calls.append(1) or smooth(*given))
    model, _, batch, _ = neutral(home, name, "ges")
    for method in ("calculate_loss", "full_sort_predict", "predict"):
        calls.clear()
        getattr(model, method)(batch)
        assert len(calls) == 1, method
    calls.clear()
    model.item_embedding.weight, model.item_embedding.weight  # noqa: B018
    assert len(calls) == 2  # nothing stale is kept between calls


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
    model, config, loader = built(home, "RepeatNet", "ted")
    assert item_embedding_of(model, config, loader._dataset) is model.item_matrix


def test_a_data_set_that_counts_nothing_is_named(home: Path) -> None:
    with pytest.raises(UserError, match="SequentialDataset does not; run the model by recbole-mqsa"):
        config, loader = loaded(home, "SASRec", dataset=SequentialDataset, transition="ted")
        build_model(config, loader._dataset)


def test_batches_of_users_have_no_heads(home: Path) -> None:
    model, _, loader = built(home, "MacridVAE", "ted")
    with pytest.raises(UserError, match="MacridVAE trains on batches of users alone"):
        model.calculate_loss(next(iter(loader)))


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

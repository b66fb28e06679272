"""Training for serving: on all actions, for another run's number of epochs, from another run's weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.served import histories, served

from recbole_mqsa.api import Run, load, train
from recbole_mqsa.cli.main import main
from recbole_mqsa.errors import UserError
from recbole_mqsa.training.warm_start import chosen_epochs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warm")


def grown(place: Path, folder: Path, without: str = "") -> None:
    """The chain with new users and items, in another order, perhaps without a user."""
    lines = (place / "chain" / "chain.inter").read_text().splitlines()
    kept = [line for line in lines[1:] if line.split("\t")[0] != without]
    new = [
        f"new{user}\t{item}\t{time}" for user in range(5) for time, item in enumerate(["n1", "3", "n2", "4"])
    ]
    (folder / "chain").mkdir(parents=True)
    (folder / "chain" / "chain.inter").write_text("\n".join([lines[0], *new, *reversed(kept)]) + "\n")


def serving(place: Path, name: str, model: str = "MQSATED", **more: object) -> Run:
    before = served(place, model)
    return train(epochs_from=before.folder, split="all", output_dir=place / name, **more)


@pytest.mark.parametrize("model", ["MQSATED", "SASRec", "LightGCN", "Pop"])
def test_all_actions_are_trained_on(place: Path, model: str) -> None:
    run = serving(place, f"all-{model}", model)
    chosen = chosen_epochs(place / model)
    assert run.result["epochs_run"] == chosen
    assert run.result["test"] is None and run.result["valid"] is None and run.result["best_epoch"] is None
    assert run.config["model"] == model and run.config["train_batch_size"] == 64
    again = load(run.folder)
    training = again.loaders[0]._dataset
    ends = [again.dataset.sequences.items[end] for end in training.train_end[1:]]
    last = {user: items[-1] for user, items in histories(place).items()}
    users, items = training.ids.users[1:], training.ids.items
    assert dict(zip(users, items[ends])) == last
    rec = again.recommender()
    assert len(rec.recommend(k=3)) == 1200
    for ask in (again.evaluate, lambda: again.recommender("test")):
        with pytest.raises(
            UserError, match=r"trained on all actions, so it has none to test|has no test part"
        ):
            ask()


@pytest.mark.parametrize("model", ["MQSATED", "LightGCN"])
def test_validation_actions_may_be_trained_on_once_more(place: Path, model: str) -> None:
    before = served(place, model)
    run = train(epochs_from=before.folder, split="train+valid", output_dir=place / f"refit-{model}")
    assert run.result["epochs_run"] == chosen_epochs(before.folder)
    assert run.result["valid"] is None and run.result["best_epoch"] is None
    ends = before.loaders[0]._dataset.train_end
    assert (run.loaders[0]._dataset.train_end[1:] == ends[1:] + 1).all()
    tested, usually = (one.loaders[2]._dataset.rows for one in (run, before))
    assert (tested == usually).all()
    assert run.evaluate() == pytest.approx(run.result["test"])


def test_what_overrides_a_preset_stays_though_it_is_the_default(place: Path) -> None:
    """A setting is given or not by comparison with what the run's preset says, not with what holds without one."""
    given = {"distillation_heads": 256, "lambda_kd": 0.2}  # without a preset 256, in this one 0
    before = served(place, "MQSATED", preset="paper", **given)
    run = train(epochs_from=before.folder, split="train+valid", output_dir=place / "refit-preset")
    assert {key: run.config[key] for key in given} == given
    assert (run.config["preset"], run.config["adam_epsilon"]) == ("paper", "tensorflow")


def test_a_run_with_another_test_is_not_refitted(place: Path) -> None:
    """Its test would be of other samples than the run's, in silence."""
    ratios = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "TO", "mode": "full"}
    before = served(place, "MQSATED", eval_args=ratios)
    with pytest.raises(UserError, match="was tested by eval_args of its own"):
        train(epochs_from=before.folder, split="train+valid", output_dir=place / "no")
    assert not (place / "no").exists()


def test_what_was_fitted_on_validation_is_kept_where_there_is_none(place: Path) -> None:
    served(place, "MQSATED")
    fitted = train(epochs_from=place / "MQSATED", memory_fit=True, output_dir=place / "fitted")
    for split in ("all", "train+valid"):
        run = train(epochs_from=fitted.folder, split=split, output_dir=place / f"fitted-{split}")
        assert not run.config["memory_fit"]
        for name, chosen in fitted.result["memory"]["chosen"].items():
            assert run.config[name] == chosen
    with pytest.raises(UserError, match="memory_fit"):
        train(epochs_from=fitted.folder, split="all", memory_fit=True, output_dir=place / "no")


def test_the_last_item_of_a_sequence_is_learnt(place: Path) -> None:
    """Each sequence ends with an item that only training on all shows."""
    text = "user_id:token\titem_id:token\ttimestamp:float\n"
    for user in range(30):
        text += "".join(
            f"u{user}\t{item}\t{time}\n"
            for time, item in enumerate(["a", "b", "c", "d", "e", f"z{user % 2}"])
        )
    (place / "ends").mkdir()
    (place / "ends" / "ends.inter").write_text(text)
    small = {
        "data_path": str(place),
        "show_progress": False,
        "state": "ERROR",
        "epochs": 30,
        "learning_rate": 0.01,
    }
    run = train("ItemTransition", "ends", place / "ends-all", split="all", **small)
    found = run.recommender().recommend_sequences([["e"]], k=2)
    assert set(found.item_id) == {"z0", "z1"} and found.score.min() >= 15


def test_it_says_that_it_has_no_test(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served(place, "MQSATED")
    words = [f"--epochs_from={place / 'MQSATED'}", "--split=all", f"--output_dir={place / 'said'}"]
    assert main(words) == 0
    out = capsys.readouterr().out
    epochs = chosen_epochs(place / "MQSATED")
    assert out.startswith(f"trained on all actions for {epochs} epoch") and "no validation and no test" in out


@pytest.mark.parametrize("model", ["MQSATED", "LightGCN"])
def test_weights_go_by_name(place: Path, tmp_path: Path, model: str) -> None:
    before = served(place, model)
    grown(place, tmp_path, without="7")
    run = train(init=before.folder, data_path=str(tmp_path), epochs=0, output_dir=tmp_path / "run")
    assert run.config["model"] == model and run.result["init"] == str(before.folder)
    old, new = before.model, run.model
    tables = ["item_embedding", *(["user_embedding"] if model == "LightGCN" else [])]
    for table in tables:
        field = table.replace("embedding", "id")
        names, former = (list(data.field2id_token[field]) for data in (run.dataset, before.dataset))
        assert {"item_id": "n1", "user_id": "new3"}[field] in names and names != former
        for name in set(names) & set(former):
            rows = (
                getattr(new, table).weight[names.index(name)],
                getattr(old, table).weight[former.index(name)],
            )
            assert torch.equal(*rows)
    plain = [name for name, _ in old.named_parameters() if not name.startswith(("item_emb", "user_emb"))]
    own = dict(new.named_parameters())
    assert all(torch.equal(own[name], value) for name, value in old.named_parameters() if name in plain)
    fresh = [list(run.dataset.field2id_token["item_id"]).index(name) for name in ("n1", "n2")]
    assert (
        torch.isfinite(new.item_embedding.weight[fresh]).all()
        and new.item_embedding.weight[fresh].abs().sum() > 0
    )


def test_weights_on_the_same_data_are_the_same_model(place: Path, tmp_path: Path) -> None:
    before = served(place, "MQSATED")
    run = train(init=before.folder, epochs=0, output_dir=tmp_path / "run")
    assert run.result["test"] == before.result["test"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"init": "MQSATED", "model": "SASRec"}, "is a run of MQSATED, but the model is SASRec"),
        (
            {"init": "MQSATED", "hidden_size": 8},
            "of init .* have another shape; train with that run's settings",
        ),
        ({"init": "nowhere"}, "nowhere holds no finished run"),
        ({"epochs_from": "nowhere"}, "nowhere holds no finished run"),
        ({"split": "most"}, "split is 'most'; it has to be 'all' or 'train\\+valid', or left out"),
        (
            {"split": "all", "eval_args": {"order": "TO"}},
            "split=all and eval_args both say what is trained on",
        ),
    ],
)
def test_refused_in_a_sentence(place: Path, tmp_path: Path, given: dict[str, object], says: str) -> None:
    served(place, "MQSATED")
    given = {
        key: str(place / str(one)) if key in ("init", "epochs_from") else one for key, one in given.items()
    }
    settings = {
        "dataset": "chain",
        "data_path": str(place),
        "show_progress": False,
        "state": "ERROR",
        **given,
    }
    with pytest.raises(UserError, match=says):
        train(output_dir=tmp_path / "run", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_epochs_of_a_run_without_validation(place: Path, tmp_path: Path) -> None:
    run = serving(place, "all-once")
    with pytest.raises(UserError, match="had no validation to choose an epoch; name a run that had"):
        train(epochs_from=run.folder, output_dir=tmp_path / "run")

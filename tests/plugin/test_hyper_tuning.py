"""RecBole's own tuning, as its documentation shows it: HyperTuning with RecBole's objective function."""

from __future__ import annotations

import logging
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.runs import settings

pytest.importorskip("hyperopt")

from recbole.quick_start import objective_function
from recbole.trainer import HyperTuning, Trainer

from recbole_mqsa.errors import UserError
from recbole_mqsa.settings.config import Config

SPACE = "learning_rate choice [0.003,0.01]\nquery_windows choice ['[1, 2]','[1, 3]']\n"


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """RecBole's objective replaces the handlers of the root logger; its own go again."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:], root.level = before, level


def tuned(home: Path, algo: str, space: str = SPACE, **more: Any) -> HyperTuning:
    """What RecBole's documentation has, with a model of ours."""
    given = settings(home, "MQSATED", dataset="chain", epochs=1, checkpoint_dir="saved")
    (home / "fixed.yaml").write_text(yaml.safe_dump({"model": "MQSATED", **given}))
    (home / "hyper.test").write_text(space)
    hp = HyperTuning(
        objective_function=objective_function,
        algo=algo,
        early_stop=10,
        params_file="hyper.test",
        fixed_config_file_list=["fixed.yaml"],
        **more,
    )
    hp.run()
    return hp


def test_an_exhaustive_search_tries_all_and_exports_its_results(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url, *_, **__: shown.append(url))
    hp = tuned(home, "exhaustive", display_file="display.html")
    assert len(hp.params2result) == 4 == len(list((home / "saved").glob("*.pth")))
    best = hp.params2result[hp.params2str(hp.best_params)]
    assert best["best_valid_score"] == hp.best_score == max(hp.score_list)
    hp.export_result(output_file="hyper.result")
    text = (home / "hyper.result").read_text()
    assert text.count("Test result:") == 4 and (home / "display.html").exists()


@pytest.mark.parametrize("algo", ["random", "bayes"])
def test_other_searches_try_as_many_as_are_asked_for(home: Path, algo: str) -> None:
    hp = tuned(home, algo, "learning_rate loguniform -6,-4\ntau uniform 0.05,0.5\n", max_evals=2)
    assert len(hp.params2result) == 2 and hp.best_score > 0


def test_a_space_is_never_evaluated(home: Path) -> None:
    spelled = "tau choice [__import__('pathlib').Path('evaluated').touch()]\n"
    with pytest.raises(UserError, match="a list of literals"):
        tuned(home, "random", spelled)
    assert not (home / "evaluated").exists()


def test_trainers_of_the_same_second_keep_checkpoints_of_their_own(home: Path) -> None:
    from recbole.trainer import trainer

    config = Config("MQSATED", "chain", config_dict=settings(home, "MQSATED", checkpoint_dir=str(home)))
    from torch import nn

    files = {Trainer(config, nn.Linear(1, 1)).saved_model_file for _ in range(3)}
    assert len(files) == 3 and all(Path(file).parent == home for file in files)
    assert trainer.get_local_time() != trainer.get_local_time()

"""Names of models, and the nearest name to a mistyped one."""

from __future__ import annotations

import pytest
from recbole.utils import get_model

from recbole_mqsa.settings import locations
from recbole_mqsa.settings.names import hint, model_names, nearest


def test_every_model_of_recboles_and_ours_is_known_and_nothing_else() -> None:
    names = model_names()
    assert {"MQSATED", "FMLPRec", "ItemTransition", "SASRec", "Random", "lightgbm"} <= names
    files = {file.stem for file in (locations.recbole_folder() / "model").glob("*_recommender/*.py")}
    assert files - {"__init__"} <= {name.lower() for name in names}
    for name in names - {"lightgbm", "xgboost"}:  # they need a package of their name
        assert get_model(name).__name__ == name


@pytest.mark.parametrize(
    ("word", "name"), [("TAU", "tau"), ("sead", "seed"), ("query_window", "query_windows"), ("xyzzy", None)]
)
def test_the_nearest_name(word: str, name: str | None) -> None:
    names = ["query_windows", "seed", "tau"]
    assert nearest(word, names) == name
    assert hint(word, names) == (f"; did you mean '{name}'?" if name else "")

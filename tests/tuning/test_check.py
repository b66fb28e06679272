"""What is refused before the first trial, and that each sentence names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.variants import named_variants
from recbole_mqsa.settings.config import Config
from recbole_mqsa.settings.locations import FOLDER
from recbole_mqsa.tuning.check import make_plan, refused
from recbole_mqsa.tuning.plan import Plan
from recbole_mqsa.tuning.space import read_space
from recbole_mqsa.tuning.start import default_space


def plan(text: str, folder: Path, model: str = "MQSATED", **more: object) -> Plan:
    file = folder / "space.yaml"
    file.write_text(text)
    options = {key: more.pop(key) for key in ("sampler", "pruner", "allow_unknown") if key in more}
    return make_plan(model, "ml-100k", read_space(file), more, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("\nquery_window: [[1]]", {}, "line 2: unknown setting 'query_window'; did you mean 'query_windows'?"),
        ("query_windows: [[1]]", {"model": "SASRec"}, "line 1: SASRec has no setting 'query_windows'"),
        ("tau: {low: 0, high: 1}", {}, "line 1: tau is 0; it has to be a number above 0"),
        ("hidden_dropout_prob: {low: 0.1, high: 1.0}", {}, "line 1: hidden_dropout_prob is 1.0"),
        ("tau: [0.1]\nn_heads: [1, 7]", {}, "line 2: n_heads is 7"),
        ("tau: [0.1]", {"tau": 0.2}, "line 1: tau is in the space, and 0.2 is given for it"),
        ("epochs: [10, 20]", {}, "line 1: epochs has to be the same for all trials"),
        ("seed: [1, 2]", {}, "line 1: seed has to be the same"),
        ("tau: [0.1]", {"nproc": 2}, "use --jobs"),
        ("tau: [0.1]", {"sampler": "tpee"}, "unknown sampler 'tpee'; did you mean 'tpe'?"),
        ("tau: [0.1]", {"pruner": "none"}, "unknown pruner 'none'"),
        ("tau: {low: 0.1, high: 1.0}", {"sampler": "grid"}, "line 1: tau has no step"),
        ("tau: [0.1]", {"epochs": -1}, "epochs is -1"),
        ("tau: [0.1]", {"eval_args": {"split": {"LS": "test_only"}, "order": "TO", "mode": "full"}}, "no validation"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_first(
    tmp_path: Path, text: str, more: dict[str, object], why: str
) -> None:
    with pytest.raises(UserError) as told:
        plan(text, tmp_path, **more)
    assert why in str(told.value)


def test_a_value_that_some_settings_of_the_others_allow_is_searched(tmp_path: Path) -> None:
    plan("n_heads: [1, 7]\nhidden_size: [64, 70]", tmp_path)
    with pytest.raises(UserError, match="line 1: n_heads is 7"):
        plan("n_heads: [1, 7]\nhidden_size: [64, 71]", tmp_path)


def test_a_plan_knows_the_models_own_settings_and_the_yardstick(tmp_path: Path) -> None:
    made = plan("tau: [0.1, 0.2]\nquery_windows: [[1, 3], [1, 4]]", tmp_path, epochs=3, valid_metric="Hit@5")
    assert made.defaults == {"tau": 0.1, "query_windows": [1, 3]} and made.starts_from_defaults
    assert (made.metric, made.bigger, made.epochs, made.seed) == ("hit@5", True, 3, 2020)
    assert not plan("tau: [0.3, 0.2]", tmp_path).starts_from_defaults
    assert Plan.from_json(made.as_json()).as_json() == made.as_json()
    assert not plan("tau: {low: 0.1, high: 0.2, step: 0.1}", tmp_path, sampler="grid").starts_from_defaults


def test_rules_are_asked_without_changing_the_settings() -> None:
    base = Config("MQSATED", "ml-100k")
    assert refused(base, {"tau": -1}) and base["tau"] == 0.1
    assert refused(base, {"query_windows": [1, 2], "alpha": [0.5, 0.5]}) is None and base["alpha"] == 0.5


@pytest.mark.parametrize("file", sorted((FOLDER / "tune").rglob("*.yaml")), ids=lambda file: file.stem)
def test_our_spaces_are_allowed_and_begin_with_the_models_own_settings(file: Path) -> None:
    (variant,) = named_variants([file.stem])
    preset = {} if file.parent.name == "tune" else {"preset": file.parent.name}
    made = make_plan(variant.model, "ml-100k", read_space(file), {**variant.settings, **preset})
    assert file == default_space(file.stem, preset.get("preset"))
    assert made.starts_from_defaults, made.defaults


@pytest.mark.parametrize(
    "dataset", ["amazon-beauty", "amazon-sports-outdoors", "amazon-toys-games", "yelp", "other"]
)
@pytest.mark.parametrize("preset", ["none", "paper", "best"])
def test_a_search_begins_with_the_settings_that_it_is_to_beat(preset: str, dataset: str) -> None:
    """Our spaces hold what our presets say; else a search could end below what there was before."""
    space = read_space(default_space("MQSATED", preset))
    plan = make_plan("MQSATED", dataset, space, {"preset": preset})
    assert plan.outside == [] and plan.starts_from_defaults

"""What a benchmark compares: variants by name, by the values of a setting, and the parts of a model."""

from __future__ import annotations

from recbole_mqsa.experiments.trials import Variant
from recbole_mqsa.experiments.variants import ABLATION, LADDER, PAPER, named_variants, swept_variants
from recbole_mqsa.settings.config import Config


def test_a_name_is_a_model_or_what_a_model_declares() -> None:
    plain, whole = named_variants(["Pop", "SASRec-whole"])
    assert plain == Variant("Pop", "Pop", {})
    assert (whole.model, whole.settings) == ("MQSATED", {"query_windows": [1], "lambda_kd": 0.0})
    assert [variant.name for variant in named_variants(PAPER)] == list(PAPER)


def test_a_value_of_a_setting_is_a_variant() -> None:
    assert swept_variants("SASRec", "windows", [[1, 2], "learned"]) == [
        Variant("windows=[1,2]", "SASRec", {"windows": [1, 2]}),
        Variant("windows=learned", "SASRec", {"windows": "learned"}),
    ]


def test_the_ablation_varies_what_its_names_say() -> None:
    built = {
        variant.name: Config(variant.model, "ml-100k", command_line=variant.settings) for variant in ABLATION
    }
    plan = {variant.name: {key: built[variant.name][key] for key in variant.settings} for variant in ABLATION}
    full = built["full"].final_config_dict
    assert next(iter(plan)) == "full" and not plan["full"]
    for name, varied in plan.items():
        other = {key for key, value in built[name].final_config_dict.items() if full.get(key) != value}
        # Each setting of a variant is another than the full model's, and no other is.
        assert other == set(varied), name
    assert plan["without TED"] == {"transition": "none"}
    assert plan["without the long query"]["query_windows"] == [1]
    assert plan["without the short query"]["query_windows"] == [full["query_windows"][1]]
    assert len(plan["three windows"]["query_windows"]) == 3
    assert [plan[f"time span {k}"]["time_span"] for k in (2, 3)] == [2, 3] and full["time_span"] == 1


def test_the_ladder_climbs_from_the_papers_model_to_the_best_preset() -> None:
    *parts_of, last = LADDER
    *rungs, best = [
        Config("MQSATED", "amazon-beauty", command_line=of.settings).final_config_dict for of in LADDER
    ]
    for (below, above), (former, variant) in zip(zip(rungs, rungs[1:]), zip(parts_of, parts_of[1:])):
        other = {key for key, value in above.items() if below.get(key) != value}
        added = set(variant.settings) - set(former.settings)
        assert other <= added and other, variant.name  # a number of the memory may be as it is anyway
    assert last.settings == {"preset": "best"}
    assert {key for key, value in best.items() if rungs[-1].get(key) != value} == {
        *("preset", "memory_fit", "stopping_step", "learning_rate", "adam_epsilon", "distillation_heads")
    }
    assert all(rungs[0][key] == value for key, value in {"ema_decay": 0.0, "transition_memory": 0.0}.items())

"""What a benchmark compares: variants by name, by the values of a setting, and the parts of a model."""

from __future__ import annotations

from recbole_mqsa.experiments.trials import Variant
from recbole_mqsa.experiments.variants import ABLATION, PAPER, named_variants, swept_variants
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

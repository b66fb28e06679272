"""A study as a whole: checked before it runs, foretold, run and reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.chain import write_chain

from recbole_mqsa.errors import UserError
from recbole_mqsa.experiments.study import Study
from recbole_mqsa.experiments.trials import Variant
from recbole_mqsa.experiments.variants import named_variants
from recbole_mqsa.settings.config import Config


def study(home: Path, **settings: object) -> Study:
    return Study(
        home / "out", [Variant("Pop", "Pop", {})], ["chain"], [1], {"data_path": str(home), **settings}
    )


def test_it_is_foretold_run_once_and_reported(tmp_path: Path) -> None:
    write_chain(tmp_path, certainty=0.8)
    once = study(tmp_path)
    once.check()
    assert list(once.outlook()) == ["chain  Pop  seed 1  time unknown", "1 left, time unknown"]
    assert not (tmp_path / "out").exists()

    said: list[str] = []
    assert once.run(said.append)
    assert [line.split()[4:6] for line in said[:2]] == [["1", "running"], ["1", "done"]]
    assert said[2:] == [f"the report is {tmp_path / 'out' / 'report.html'}"]
    assert (tmp_path / "out" / "report.html").exists()

    again = study(tmp_path)
    assert list(again.outlook()) == ["chain  Pop  seed 1  finished", "nothing left"]
    assert again.run(said.append) and len(said) == 4  # the report alone


def test_a_failed_run_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    assert not study(tmp_path).run(said.append)  # there are no data
    assert "FAILED" in said[1] and "chain" in (tmp_path / "out" / "report.md").read_text()


def test_bad_settings_and_a_file_in_the_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="variant 'Pop' on chain: seed is -1"):
        Study(tmp_path / "out", [Variant("Pop", "Pop", {})], ["chain"], [-1]).check()
    with pytest.raises(UserError, match="unknown setting 'xyzzy'"):
        study(tmp_path, xyzzy=1).check()
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="out is a file; name a folder"):
        study(tmp_path).check()


def test_a_preset_gives_a_variant_its_own_files(tmp_path: Path) -> None:
    """SASRec-whole is MQSATED by class, but a baseline by name: what `best` adds to MQSATED is not its own."""
    for dataset in ("amazon-beauty", "amazon-sports-outdoors", "amazon-toys-games", "yelp"):
        both = Study(
            tmp_path, named_variants(["SASRec-whole", "MQSATED"]), [dataset], [1], {"preset": "best"}
        )
        baseline, ours = (
            Config(one.model, dataset, command_line={**both.given(one, dataset), **one.settings})
            for one in both.variants
        )
        plain = Config("MQSATED", dataset, command_line=dict(both.variants[0].settings))
        other = {key for key in plain.final_config_dict if plain[key] != baseline[key]}
        assert other <= {"preset", "epochs", "eval_step", "stopping_step"}
        assert (ours["ema_decay"], ours["memory_fit"]) == (0.998, True)
        assert f"--ema_decay={0.0!r}" in both.command(both.trials[0])
    own = Study(tmp_path, both.variants, ["yelp"], [1], {"preset": "best", "ema_decay": 0.5})
    assert own.given(own.variants[0], "yelp")["ema_decay"] == 0.5  # the user overrides all


def test_runs_on_other_data_of_the_same_name_are_not_averaged(tmp_path: Path) -> None:
    pop = [Variant("Pop", "Pop", {})]
    given, other = ({"data_path": str(tmp_path / name)} for name in ("one", "other"))
    for name, certainty in (("one", 0.8), ("other", 0.5)):
        (tmp_path / name).mkdir()
        write_chain(tmp_path / name, certainty=certainty)
    assert Study(tmp_path / "out", pop, ["chain"], [1], given).run(lambda _: None)
    with pytest.raises(UserError, match=r"seed-2 had other data than .*seed-1, although both are of chain"):
        Study(tmp_path / "out", pop, ["chain"], [1, 2], other).run(lambda _: None)
    with pytest.raises(UserError, match="had other data"):
        Study(tmp_path / "out", pop, ["chain"], [1, 2, 3], given).check()
    filtered = [*pop, Variant("few", "Pop", {"user_inter_num_interval": "[4,inf)"})]
    assert Study(tmp_path / "filtered", filtered, ["chain"], [1], given).run(lambda _: None)


@pytest.mark.parametrize(
    ("split", "shown"),
    [
        ({"LS": "all"}, "LS all"),
        ({"LS": "valid_only"}, "LS valid_only"),
        ({"RS": [0.8, 0.2, 0]}, "RS [0.8, 0.2, 0]"),
        ({"TS": [0.9, 0.1, 0.0]}, "TS [0.9, 0.1, 0.0]"),
    ],
)
def test_a_split_without_a_test_part_is_refused_before_anything_is_trained(
    tmp_path: Path, split: dict[str, object], shown: str
) -> None:
    eval_args = {"split": split, "order": "TO", "mode": "full"}
    says = f"variant 'Pop' on chain: eval_args splits {shown}, which leaves no test part, but a report compares tests;"
    with pytest.raises(UserError, match=re.escape(says)):
        study(tmp_path, eval_args=eval_args).check()


@pytest.mark.parametrize("split", [{"LS": "test_only"}, {"RS": [0.8, 0.0, 0.2]}, {"TS": [0.8, 0.1, 0.1]}])
def test_a_split_with_a_test_part_is_not_refused(tmp_path: Path, split: dict[str, object]) -> None:
    study(tmp_path, eval_args={"split": split, "order": "TO", "mode": "full"}).check()

"""Settings: RecBole's order of precedence, without its ``eval`` and without its silence about typing errors."""

from __future__ import annotations

import copy
import difflib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import recbole
import recbole.config
import yaml
from recbole.evaluator.register import metric_types
from recbole.utils import EvaluatorType, ModelType

from . import properties
from .errors import UserError
from .plain_data import literal

RECBOLE = Path(recbole.__file__).resolve().parent
OPTIONS = ("allow_unknown", "config_files", "dataset", "debug", "model", "output_dir")
"""What the command line knows besides the settings: never a setting, but a likely misspelling of one."""


class Config(recbole.config.Config):
    """The settings of one run, checked before any data is read.

    The order is RecBole's: overall, model, sample and data set files, its file for the kind of model, then
    the user's own: ``config_file_list``, ``config_dict`` and ``command_line``, each overriding the former.
    Unlike RecBole's class this one leaves ``sys.argv`` and the given dicts alone and evaluates nothing: text
    in ``config_dict`` is read as a literal, ``command_line`` holds values. ``defaults`` is weaker than any of
    the user's settings and serves to name a model and a data set where nobody does.

    Raises:
        UserError: a file that cannot be read, an unknown model, metric or (unless ``allow_unknown``)
            setting, a value out of range.
    """

    external_config_dict: dict[str, Any]

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Sequence[str | Path] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        command_line: Mapping[str, Any] | None = None,
        allow_unknown: bool = False,
        *,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self._defaults, self._command_line = dict(defaults or {}), dict(command_line or {})
        self._allow_unknown = allow_unknown
        try:
            super().__init__(model, dataset, config_file_list, config_dict)
        except UserError:
            raise
        except (KeyError, NotImplementedError, ValueError) as error:
            raise UserError(f"RecBole refuses the settings: {' '.join(map(str, error.args))}") from error

    def _load_config_files(self, file_list: Sequence[str | Path] | None) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for file in [file_list] if isinstance(file_list, (str, Path)) else file_list or []:
            merged.update(_read_yaml(Path(file), self.yaml_loader))
        return merged

    def _load_variable_config_dict(self, config_dict: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            key: literal(value) if isinstance(value, str) else copy.deepcopy(value)
            for key, value in (config_dict or {}).items()
        }

    def _load_cmd_line(self) -> dict[str, Any]:
        return copy.deepcopy(self._command_line)

    def _merge_external_config_dict(self) -> None:
        super()._merge_external_config_dict()
        self.external_config_dict = {**self._defaults, **self.external_config_dict}

    def _get_model_and_dataset(self, model: str | type | None, dataset: str | None) -> tuple[str, type, str]:
        chosen = {"model": model, "dataset": dataset}
        for name, value in chosen.items():
            chosen[name] = self.external_config_dict.get(name) if value is None else value
            if chosen[name] is None:
                raise UserError(f"no {name} is given; name one with --{name} or in a config file")
        model = chosen["model"] if inspect.isclass(chosen["model"]) else str(chosen["model"])
        try:
            return super()._get_model_and_dataset(model, str(chosen["dataset"]))
        except (AttributeError, ImportError, ValueError) as error:
            if model in (models := _models()):
                raise
            raise UserError(f"unknown model '{model}'{_hint(str(model), models)}") from error

    def _set_default_parameters(self) -> None:
        # RecBole completes and checks the merged settings here; ours come first, as they say more.
        self.final_config_dict.update(model=self.model, dataset=self.dataset)
        if not self._allow_unknown:
            self._refuse_unknown()
        self._load_time()
        check_settings(self)
        super()._set_default_parameters()

    def _refuse_unknown(self) -> None:
        """Raise for the first of the user's keys that neither a yaml file nor a line of source knows."""
        known = {"model", "dataset", *self.internal_config_dict}.union(*self.parameters.values())
        unknown = [key for key in self.external_config_dict if key not in known]
        if unknown:
            known.update(_read_in_source(self.model_class))
        for key in unknown:
            if key not in known:
                raise UserError(
                    f"unknown setting '{key}'{_hint(str(key), known.union(OPTIONS))} "
                    f"(--help lists the settings; --allow_unknown lets those of other plugins pass)"
                )

    def _load_time(self) -> None:
        """RecBole's sample.yaml reads no time stamps, without which no sequence can be sorted."""
        default = (
            self["load_col"] == {"inter": ["user_id", "item_id"]}
            and "load_col" not in self.external_config_dict
        )
        if default and (self["MODEL_TYPE"] == ModelType.SEQUENTIAL or _order(self["eval_args"]) == "TO"):
            self["load_col"] = {"inter": [self[f"{name}_FIELD"] for name in ("USER_ID", "ITEM_ID", "TIME")]}


# Files and names.


def _read_yaml(file: Path, loader: Any) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        raise UserError(f"config file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"config file {file}, {where}{getattr(error, 'problem', None) or error}") from error
    if not isinstance(content, (dict, type(None))):
        raise UserError(f"config file {file} is no mapping; it needs lines like 'tau: 0.1'")
    return content or {}


def _models() -> set[str]:
    folders = (RECBOLE / "properties" / "model", properties.FOLDER / "model")
    return {file.stem for folder in folders for file in folder.glob("*.yaml")}


def _hint(word: str, names: Iterable[str]) -> str:
    """The nearest name as the end of a sentence; upper and lower case count as equal."""
    by_lower = {name.lower(): name for name in sorted(map(str, names))}
    nearest = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[nearest[0]]}'?" if nearest else ""


_READ = re.compile(
    r"""config\w*(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] (?:not )?in (?:self\.)?config\b"""
)


def _read_in_source(model: type) -> set[str]:
    """The settings that code reads: RecBole's and ours except for the models', and this model's with its bases."""
    files = {file for root in (RECBOLE, properties.PACKAGE) for file in root.rglob("*.py")}
    files -= {file for root in (RECBOLE, properties.PACKAGE) for file in (root / "model").rglob("*.py")}
    files.discard(Path(__file__).resolve())
    own = (base for base in model.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "torch"))
    files.update(Path(inspect.getsourcefile(base) or "").resolve() for base in own)
    hits = (_READ.findall(file.read_text(encoding="utf-8")) for file in files if file.is_file())
    return {name for pairs in hits for pair in pairs for name in pair if name}


# Ranges. A rule is a key, a test of its value among all settings, and what the value has to be: a template
# over the settings.

Rule = tuple[str, Callable[[Any, Any], bool], str]


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int, *keys: str) -> list[Rule]:
    return [
        (key, lambda value, _: _is_whole(value, least), f"a whole number of at least {least}") for key in keys
    ]


def _number(wording: str, test: Callable[[float], bool], *keys: str) -> list[Rule]:
    return [(key, lambda value, _: _is_number(value) and test(value), f"a number {wording}") for key in keys]


def _one_of(key: str, *names: Any) -> Rule:
    return key, lambda value, _: value in names, "one of " + ", ".join(map(repr, names))


def _switch(*keys: str) -> list[Rule]:
    return [(key, lambda value, _: isinstance(value, bool), "True or False") for key in keys]


def _pooling() -> Rule:
    from .model.pooling import POOLINGS  # late: the data path imports this file and never the models

    return _one_of("query_pooling", *POOLINGS)


def _order(eval_args: Any) -> Any:
    return eval_args.get("order", "RO") if isinstance(eval_args, Mapping) else None


def _in_order(eval_args: Any, config: Any) -> bool:
    needs_time = config["MODEL_TYPE"] == ModelType.SEQUENTIAL or _is_ours(config)
    return not needs_time or _order(eval_args) == "TO"


def _has_mode(eval_args: Any, _: Any) -> bool:
    mode = eval_args.get("mode", "full") if isinstance(eval_args, Mapping) else None
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    return all(re.fullmatch(r"full|labeled|(uni|pop)[1-9]\d*", str(mode)) for mode in modes)


def _metrics_exist(metrics: list[Any], _: Any) -> bool:
    kinds = {metric_types.get(str(metric).lower()) for metric in metrics}
    return len(kinds) == 1 and None not in kinds


def _cut_offs(topk: list[Any], _: Any) -> bool:
    return bool(topk) and all(_is_whole(k, 1) for k in topk)


def _is_measured(valid_metric: Any, config: Any) -> bool:
    """Whether evaluation yields this metric: those by rank (but GAUC) at a cut-off, those by value without."""
    name, _, cut_off = str(valid_metric).lower().partition("@")
    plain = name == "gauc" or metric_types.get(name) == EvaluatorType.VALUE
    cut_offs = [""] if plain else map(str, config["topk"])
    return name in [metric.lower() for metric in config["metrics"]] and cut_off in cut_offs


def _windows_fit(windows: list[Any], config: Any) -> bool:
    fit = all(_is_whole(window, 1) and window <= config["MAX_ITEM_LIST_LENGTH"] for window in windows)
    return bool(windows) and fit and len(set(windows)) == len(windows)


def _alpha_fits(alpha: Any, config: Any) -> bool:
    count = len(config["query_windows"] or [])
    if count < 2 or alpha == "learned":
        return True
    weights = alpha if isinstance(alpha, list) else [alpha, 1 - alpha] if _is_number(alpha) else []
    in_range = all(_is_number(weight) and 0 <= weight <= 1 for weight in weights)
    return in_range and len(weights) == count and abs(sum(weights) - 1) <= 1e-6


def _is_full_or_count(negatives: Any, _: Any) -> bool:
    return negatives == "full" or _is_whole(negatives, 1)


def _divides_width(heads: Any, config: Any) -> bool:
    return _is_whole(heads, 1) and (config["hidden_size"] or 0) % heads == 0


def _samples_nothing(arguments: Any, _: Any) -> bool:
    distribution = arguments.get("distribution", "uniform") if isinstance(arguments, Mapping) else arguments
    return distribution in (None, "none", "None")


_LOO = "for example {{'split': {{'LS': 'valid_and_test'}}, 'order': 'TO', 'mode': 'full'}}"
_SHARES = "a list of one such number for each of the windows {query_windows} that sums to 1"
_WHOLE = "left out: it holds ready-made samples, but {model} needs whole sequences; use the .inter file"

EVERY_MODEL: tuple[Rule, ...] = (
    *_whole(0, "seed", "epochs", "stopping_step", "eval_step"),
    *_whole(1, "train_batch_size", "eval_batch_size"),
    *_whole(2, "MAX_ITEM_LIST_LENGTH"),
    *_number("above 0", lambda value: value > 0, "learning_rate"),
    *_number("of at least 0", lambda value: value >= 0, "weight_decay"),
    *_switch("mask_seen", "repeatable"),
    _one_of("long_sequences", "last", "windows"),
    ("metrics", _metrics_exist, f"metrics all by rank or all by value, out of {', '.join(metric_types)}"),
    ("topk", _cut_offs, "one or more whole numbers of at least 1"),
    ("valid_metric", _is_measured, "one of the metrics {metrics}, at one of topk, {topk}, as in NDCG@20"),
    ("eval_args", _in_order, f"a mapping with order: TO, as {{model}} needs the past; {_LOO}"),
    ("eval_args", _has_mode, f"a mapping with mode full, labeled, uni or pop and a number; {_LOO}"),
)
"""What the settings of every model have to be."""

OUR_MODELS: tuple[Rule, ...] = (
    *_whole(0, "distillation_heads", "softmax_block"),
    *_whole(1, "n_layers", "hidden_size", "inner_size", "time_span", "attention_groups"),
    *_number("above 0", lambda value: value > 0, "layer_norm_eps", "initializer_range", "tau"),
    *_number("of at least 0", lambda value: value >= 0, "lambda_kd"),
    *_number("above 0 and at most 1", lambda value: 0 < value <= 1, "query_decay"),
    *_number("from 0 to below 1", lambda value: 0 <= value < 1, "hidden_dropout_prob", "attn_dropout_prob"),
    *_number("from 0 to 1", lambda value: 0 <= value <= 1, "negatives_beta"),
    ("negatives", _is_full_or_count, "'full' or a whole number of at least 1"),
    _one_of("softmax_precision", "auto", "float32", "bfloat16"),
    ("n_heads", _divides_width, "a whole number that divides hidden_size, {hidden_size}"),
    ("query_windows", _windows_fit, "different whole numbers from 1 to the maximum {MAX_ITEM_LIST_LENGTH}"),
    ("alpha", _alpha_fits, f"a number from 0 to 1 for two query windows, {_SHARES}, or 'learned'"),
    ("loss_type", lambda loss, _: loss == "CE", "CE, {model}'s cross-entropy over all items"),
    ("train_neg_sample_args", _samples_nothing, "none, as {model} learns from all items"),
    ("benchmark_filename", lambda *_: False, _WHOLE),
)
"""What those of this package's models have to be besides; elsewhere some of the names mean other things."""


def _is_ours(config: Any) -> bool:
    bases = getattr(config, "model_class", object).__mro__
    return any(base.__module__.partition(".")[0] == properties.PACKAGE.name for base in bases)


def normalise(config: Any) -> None:
    """Make lists of the settings that are lists, so that ``topk=20`` and ``query_windows=(1, 3)`` are allowed."""
    for key in ("query_windows", "topk", "metrics"):
        value = config[key]
        if isinstance(value, tuple):
            config[key] = list(value)
        elif value is not None and not isinstance(value, list):
            config[key] = [value]
    if isinstance(config["alpha"], tuple):
        config["alpha"] = list(config["alpha"])


def check_settings(config: Any) -> None:
    """Check the range of each setting that is there, so that a bad one costs no time; normalises lists first.

    ``config`` is any RecBole ``Config``, this package's or the plain one.

    Raises:
        UserError: one sentence with the key, its value and what it has to be.
    """
    normalise(config)
    given = getattr(config, "external_config_dict", {})
    defaults = getattr(config, "internal_config_dict", {})
    for key, test, need in (*EVERY_MODEL, *((*OUR_MODELS, _pooling()) if _is_ours(config) else ())):
        value = config[key]
        removed = value is None and key in given and defaults.get(key) is not None
        if removed or (value is not None and not test(value, config)):
            raise UserError(f"{key} is {value!r}; it has to be {need.format_map(config)}")


# Help.

_SETTING = re.compile(r"^(\w+):[^#]*(?:#\s*(?:\([^)]*\)\s*)?(.*))?$")


def _described(file: Path) -> Iterator[tuple[str, str, str]]:
    """Group, key and help of a yaml file: comment lines of their own head groups, those after values explain."""
    group = ""
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line.startswith("#"):
            group = line.strip("# .")
        elif match := _SETTING.match(line):
            yield group, match[1], (match[2] or "").strip()


def describe_settings(model: str, dataset: str) -> list[tuple[str, str, Any, str]]:
    """Group, key, default and help of each setting of a model on a data set, from the comments of the yaml files.

    The model's own settings come first; the default is the one in force after all files.

    Raises:
        UserError: there is no such model.
    """
    # Unset, as RecBole refuses its own default of this setting for its own models with a cross-entropy.
    defaults = Config(model, dataset, config_dict={"train_neg_sample_args": None}).internal_config_dict
    theirs = RECBOLE / "properties"
    files = (
        properties.model_file(model),
        theirs / "model" / f"{model}.yaml",
        properties.overall_file(),
        theirs / "overall.yaml",
        theirs / "dataset" / "sample.yaml",
        properties.dataset_file(dataset),
    )
    rows: dict[str, tuple[str, str, Any, str]] = {}
    for group, key, text in (entry for file in files for entry in _described(file)):
        if key in defaults:
            rows.setdefault(key, (group, key, defaults[key], text))
    return list(rows.values())

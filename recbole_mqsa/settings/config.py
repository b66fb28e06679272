"""The settings of a run: RecBole's order of precedence, but nothing is evaluated and no typing error is ignored."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path

import recbole.config
from recbole.utils import ModelType

from ..errors import UnknownSetting, UserError
from ..interfaces import Json
from .check import check_settings
from .device import choose_device
from .files import read_config_files
from .keys import is_of_others, keys_of
from .literals import literal
from .names import hint, model_names
from .support import refuse_foreign

OPTIONS = (
    *(
        "allow_unknown",
        "config_files",
        "dataset",
        "debug",
        "epochs_from",
        "init",
        "model",
        "output_dir",
        "resume",
    ),
    "split",
)
"""The options of ``train``: no settings, but what a mistyped setting may have been meant to be."""


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

    external_config_dict: Json
    one_protocol = True
    """Whether RecBole's own models, too, get this package's data path, leave-one-out, mask and yaml files."""

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Sequence[str | Path] | None = None,
        config_dict: Mapping[str, object] | None = None,
        command_line: Mapping[str, object] | None = None,
        allow_unknown: bool = False,
        *,
        defaults: Mapping[str, object] | None = None,
    ) -> None:
        self._defaults, self._command_line = dict(defaults or {}), dict(command_line or {})
        self._allow_unknown = allow_unknown
        try:
            super().__init__(model, dataset, config_file_list, config_dict)
        except UserError:
            raise
        except (KeyError, NotImplementedError, ValueError) as error:
            raise UserError(f"RecBole refuses the settings: {' '.join(map(str, error.args))}") from error

    def _load_config_files(self, file_list: Sequence[str | Path] | None) -> Json:
        return read_config_files([file_list] if isinstance(file_list, (str, Path)) else file_list or [])

    def _load_variable_config_dict(self, config_dict: Mapping[str, object] | None) -> Json:
        return {
            key: literal(value) if isinstance(value, str) else copy.deepcopy(value)
            for key, value in (config_dict or {}).items()
        }

    def _load_cmd_line(self) -> Json:
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
            if model in (models := model_names()):
                raise
            raise UserError(f"unknown model '{model}'{hint(str(model), models)}") from error

    def _set_default_parameters(self) -> None:
        # RecBole completes and checks the merged settings here; ours come first, as they say more.
        self.final_config_dict.update(model=self.model, dataset=self.dataset)
        if not self._allow_unknown:
            self._refuse_unknown()
            refuse_foreign(self)
        self._spare_negatives()
        check_settings(self)
        folder = Path(str(self["data_path"])) / "ml-100k"
        super()._set_default_parameters()
        if "data_path" in self.external_config_dict and self.dataset == "ml-100k" and folder.is_dir():
            self.final_config_dict["data_path"] = str(folder)  # RecBole always takes the copy that it brings

    def _refuse_unknown(self) -> None:
        """Raise for the first of the user's keys that no yaml file, no list of RecBole's and no code knows."""
        known = {"model", "dataset", *self.internal_config_dict}.union(*self.parameters.values())
        unknown = [key for key in self.external_config_dict if key not in known]
        if unknown:
            known |= keys_of(self.model_class)
        for key in unknown:
            if key not in known:
                if key in OPTIONS:
                    raise UnknownSetting(f"{key} is an option of train, not a setting; leave it out")
                if is_of_others(key):
                    raise UnknownSetting(
                        f"{self.model} has no setting '{key}'{hint(key, map(str, known)) or '; leave it out'} "
                        f"(train --model={self.model} --help lists its settings)"
                    )
                raise UnknownSetting(
                    f"unknown setting '{key}'{hint(str(key), map(str, known.union(OPTIONS)))} "
                    f"(train --help lists the settings; --allow_unknown lets those of other plugins pass)"
                )

    def _init_device(self) -> None:
        choose_device(self, super()._init_device)

    def _spare_negatives(self) -> None:
        """RecBole refuses its own default of negative sampling for its own models with a cross-entropy."""
        by_loss = self["MODEL_TYPE"] == ModelType.SEQUENTIAL and not hasattr(self.model_class, "input_type")
        if by_loss and self["loss_type"] == "CE" and "train_neg_sample_args" not in self.external_config_dict:
            self["train_neg_sample_args"] = None

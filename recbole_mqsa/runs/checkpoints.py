"""Checkpoints, read in torch's safe mode."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError


def safe_load(path: str | os.PathLike[str], map_location: str | torch.device = "cpu") -> Any:
    """Load a checkpoint in torch's safe mode, in which a file can hold data but cannot run code.

    Raises:
        UserError: the file is missing, damaged or no checkpoint, or holds more than plain data.
    """
    try:
        check_whole(Path(path))
        return torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise UserError(
            f"The checkpoint {path} cannot be read ({error.strerror}): check its path."
        ) from error
    except Exception as error:  # on other formats torch raises anything from KeyError to RuntimeError
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise UserError(
                f"The checkpoint {path} holds Python objects besides plain data, and loading them could run "
                "any code: train again with recbole_mqsa imported."
            ) from error
        raise UserError(
            f"{path} is damaged or not a checkpoint: choose another file or train again."
        ) from error


def check_whole(file: Path) -> None:
    """Compare every record of an archive with its checksum, which torch writes but does not read.

    Raises:
        UserError: a record is damaged.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise UserError(
                f"{file} is damaged (its record {damaged} is not what was written); restore it from a copy, or "
                "train anew"
            )


def check_finite(state_dict: Mapping[str, torch.Tensor], file: object) -> None:
    """Refuse weights that are no numbers.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    bad = [name for name, value in state_dict.items() if not torch.isfinite(value).all()]
    if bad:
        raise UserError(
            f"{file} holds weights that are NaN or infinite ({bad[0]}); its training diverged: train anew with a lower "
            "learning_rate"
        )

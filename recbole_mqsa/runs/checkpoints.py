"""Checkpoints, read in torch's safe mode."""

from __future__ import annotations

import os
import pickle
import zipfile
from typing import Any

import torch

from ..errors import UserError


def safe_load(path: str | os.PathLike[str], map_location: str | torch.device = "cpu") -> Any:
    """Load a checkpoint in torch's safe mode, in which a file can hold data but cannot run code.

    Raises:
        UserError: the file is missing, damaged or no checkpoint, or holds more than plain data.
    """
    try:
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

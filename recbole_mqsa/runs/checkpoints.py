"""Checkpoints: read in torch's safe mode, in which a file can bring data but run nothing."""

from __future__ import annotations

import os
import pickle
import zipfile
from typing import Any

import torch

from ..errors import UserError


def safe_load(path: str | os.PathLike[str], map_location: Any = "cpu") -> Any:
    """A checkpoint, loaded in torch's safe mode, in which a file can bring data but run nothing.

    Raises:
        UserError: the file is missing, damaged or foreign, or holds more than plain data.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise UserError(
            f"The checkpoint {path} cannot be read ({error.strerror}): check its path."
        ) from error
    except Exception as error:  # torch meets foreign formats with anything from KeyError to RuntimeError
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise UserError(
                f"The checkpoint {path} holds Python objects besides plain data, and loading them could run "
                "anything: train anew with recbole_mqsa imported."
            ) from error
        raise UserError(f"{path} is damaged or no checkpoint: choose another file or train anew.") from error

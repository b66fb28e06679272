"""From a table of purchases to a data set: ``prepare_dataset``."""

from .dataset import prepare_dataset

__all__ = ["prepare_dataset"]

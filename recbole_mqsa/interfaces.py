"""RecBole's objects by what this package reads of them, as RecBole has no types of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, overload

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from typing_extensions import Self

Json = dict[str, Any]
"""Plain data by name: numbers, strings, booleans, None, and lists and dictionaries of them."""


class Lookup(Protocol):
    """Settings by name, which a dictionary is as well."""

    def __getitem__(self, key: str, /) -> Any: ...


class Settings(Lookup, Protocol):
    """A ``Config`` of RecBole's or of this package."""

    model: str
    dataset: str
    model_class: type
    final_config_dict: Json
    external_config_dict: Json

    def __setitem__(self, key: str, value: object, /) -> None: ...


class Batch(Protocol):
    """An ``Interaction``: tensors by field, one row an example."""

    interaction: dict[str, Tensor]

    @property
    def columns(self) -> list[str]: ...

    @overload
    def __getitem__(self, index: str, /) -> Tensor: ...
    @overload
    def __getitem__(self, index: Tensor, /) -> Batch: ...

    def __contains__(self, field: str, /) -> bool: ...
    def __len__(self) -> int: ...
    def to(self, device: torch.device, /) -> Batch: ...


class Loader(Protocol):
    """A loader of batches; ``_dataset`` is the part of the data that it loads."""

    _dataset: Any
    batch_sampler: Any
    sampler: Any
    generator: torch.Generator
    step: int

    def collate_fn(self, index: list[int], /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


Loaders = tuple[Loader, Loader, Loader]
"""Those of the training, the validation and the test part."""


class Model(Protocol):
    """A recommender: RecBole's methods, and those of ``torch.nn.Module`` that are used."""

    n_items: int
    device: torch.device

    def calculate_loss(self, interaction: Batch, /) -> Tensor | tuple[Tensor, ...]: ...
    def full_sort_predict(self, interaction: Batch, /) -> Tensor: ...
    def load_other_parameter(self, saved: Json | None, /) -> None: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state: Json, /) -> object: ...
    def add_module(self, name: str, module: nn.Module, /) -> None: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def named_modules(self) -> Iterable[tuple[str, nn.Module]]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def eval(self) -> object: ...
    def to(self, device: torch.device, /) -> Self: ...


class SequentialModel(Model, Protocol):
    """A recommender that reads an input list."""

    ITEM_SEQ: str
    ITEM_SEQ_LEN: str
    max_seq_length: int

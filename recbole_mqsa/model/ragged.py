"""The real positions of a batch without its padding.

Everything that works position by position (embeddings, norms, projections, the loss) runs on the P real
positions, packed one after another. Only attention needs a sequence per row. It takes sequences in groups of
similar length, so that one long sequence does not pad all others.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class Ragged:
    """Where the P real positions of B padded sequences lie.

    Args:
        valid: [B, T] True where an item is real; padding on either side.
        groups: number of groups by length; each group allows half the length of the one before.
        known_lengths: [B] how many are real, on the CPU. Shapes depend on them; without them a GPU is
            synchronised to read its own.

    Attributes:
        lengths: [B].
        row: [P] the sequence of each position.
        depth: [P] distance from the sequence's oldest position.
        age: [P] distance from its newest position.
        newest: [B] packed index of each sequence's newest position; meaningless where it is empty.
    """

    def __init__(self, valid: Tensor, groups: int = 1, known_lengths: Tensor | None = None) -> None:
        self.lengths = valid.sum(1)
        known = self.lengths.cpu() if known_lengths is None else known_lengths
        ends = self.lengths.cumsum(0)
        starts = ends - self.lengths
        self.newest = ends - 1
        self.row = torch.repeat_interleave(self.lengths, output_size=int(known.sum()))
        position = torch.arange(len(self.row), device=valid.device)
        self.depth = position - starts[self.row]
        self.age = self.newest[self.row] - position
        padding_before = valid.logical_not().cumprod(1).sum(1)
        first = torch.arange(len(valid), device=valid.device) * valid.size(1) + padding_before
        self._places = first[self.row] + self.depth
        self._starts, self._known, self._groups = starts, known, groups

    @cached_property
    def _grouping(self) -> tuple[list[tuple[int, int]], Tensor, Tensor]:
        """Rows and width of each group; the packed position that fills each cell, group after group; and the
        cell of each packed position. Computed when first needed, as ranking never does."""
        starts, known, groups = self._starts, self._known, self._groups
        longest = int(known.max()) if len(known) else 0
        known_group = halved_groups(known, longest, groups)
        there = self.lengths.device != known.device
        group = halved_groups(self.lengths, longest, groups) if there else known_group
        members_of_all = group.argsort(stable=True)  # empty sequences last
        shapes: list[tuple[int, int]] = []
        cells: list[Tensor] = []
        cell_of_row = torch.zeros_like(starts)
        before = offset = 0
        for number, count in enumerate(torch.bincount(known_group, minlength=groups)[:groups].tolist()):
            if count:
                members = members_of_all[before : before + count]
                width = int(known[known_group == number].max())
                column = torch.arange(width, device=starts.device)
                # A padded cell repeats the newest position; being later, it is masked from all real ones.
                cells.append((starts[members, None] + column).minimum(self.newest[members, None]).flatten())
                cell_of_row[members] = offset + width * torch.arange(count, device=starts.device)
                shapes.append((count, width))
                before += count
                offset += count * width
        if not cells:  # a batch of empty sequences
            cells, shapes = [starts.new_zeros(0)], [(0, 0)]
        return shapes, torch.cat(cells), cell_of_row[self.row] + self.depth

    def pack(self, padded: Tensor) -> Tensor:
        """[B, T] to [P]: the real positions, old to new, row after row."""
        return padded.flatten().index_select(0, self._places)

    def grouped(self, packed: Tensor) -> list[Tensor]:
        """[P, D] to one [b, t, D] per group, left-aligned; padded cells hold copies of real ones."""
        shapes, cells, _ = self._grouping
        parts = packed.index_select(0, cells).split([b * t for b, t in shapes])
        return [part.view(b, t, packed.size(1)) for part, (b, t) in zip(parts, shapes)]

    def packed(self, groups: list[Tensor]) -> Tensor:
        """The inverse of :meth:`grouped`: [P, D]."""
        _, _, back = self._grouping
        return torch.cat([group.flatten(0, 1) for group in groups]).index_select(0, back)

    def last(self, packed: Tensor) -> Tensor:
        """[P, D] to [B, D]: each sequence's newest position; zeros for an empty sequence."""
        if len(packed) == 0:
            return packed.new_zeros(len(self.lengths), packed.size(1))
        return packed[self.newest.clamp(min=0)] * (self.lengths > 0)[:, None]


def halved_groups(lengths: Tensor, longest: int, groups: int) -> Tensor:
    """[B] the group of each length [B]: the first allows lengths to ``longest``, each next one half as much.

    Lengths of 0 form one more group, after the last.
    """
    group = (lengths == 0).long()
    for number in range(1, groups):
        group += lengths <= longest // 2**number
    return group

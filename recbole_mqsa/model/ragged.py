"""The real positions of a batch without its padding.

Everything that works position by position (embeddings, norms, projections, the loss) runs on the P
real positions packed in a row. Only the attention needs sequences as rows; it takes them in groups
of similar length, so that one long sequence does not pad all others.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Ragged:
    """Where the P real positions of B padded sequences lie.

    Args:
        valid: [B, T] True where an item is real, padding at either side.
        groups: number of groups by length; the longest length is halved from one to the next.

    Attributes:
        valid: [B, T] as given; ``x[valid]`` packs a padded tensor, old to new, row after row.
        lengths: [B].
        depth: [P] distance from the sequence's oldest position.
        age: [P] distance from its newest position.
        newest: [B] packed index of each sequence's newest position; meaningless where it is empty.
    """

    def __init__(self, valid: Tensor, groups: int = 1) -> None:
        self.valid = valid
        self.lengths = valid.sum(1)
        ends = self.lengths.cumsum(0)
        starts = ends - self.lengths
        self.newest = ends - 1
        row = torch.repeat_interleave(self.lengths)
        position = torch.arange(len(row), device=valid.device)
        self.depth = position - starts[row]
        self.age = self.newest[row] - position
        self._make_groups(starts, row, groups)

    def _make_groups(self, starts: Tensor, row: Tensor, groups: int) -> None:
        # Cells of all groups lie one after another: `cells` reads them from the packed positions,
        # `back` reads the packed positions from them.
        self.shapes: list[tuple[int, int]] = []
        cells: list[Tensor] = []
        cell_of_row = torch.zeros_like(starts)
        upper = int(self.lengths.max()) if len(self.lengths) else 0
        offset = 0
        for group in range(groups):
            lower = 0 if group == groups - 1 else upper // 2
            members = torch.nonzero((self.lengths > lower) & (self.lengths <= upper)).squeeze(1)
            if len(members):
                width = int(self.lengths[members].max())
                column = torch.arange(width, device=starts.device)
                # A padded cell repeats the newest position: causality keeps it out of all real ones.
                cells.append((starts[members, None] + column).minimum(self.newest[members, None]).flatten())
                cell_of_row[members] = offset + width * torch.arange(len(members), device=starts.device)
                self.shapes.append((len(members), width))
                offset += len(members) * width
            upper = lower
        if not cells:  # a batch of empty sequences
            cells, self.shapes = [starts.new_zeros(0)], [(0, 0)]
        self.cells = torch.cat(cells)
        self.back = cell_of_row[row] + self.depth

    def grouped(self, packed: Tensor) -> list[Tensor]:
        """[P, D] as one [b, t, D] a group, left-aligned; padded cells hold copies of real ones."""
        cells = packed.index_select(0, self.cells)
        parts = cells.split([b * t for b, t in self.shapes])
        return [part.view(b, t, packed.size(1)) for part, (b, t) in zip(parts, self.shapes)]

    def packed(self, groups: list[Tensor]) -> Tensor:
        """The inverse of :meth:`grouped`: [P, D]."""
        return torch.cat([group.flatten(0, 1) for group in groups]).index_select(0, self.back)

    def last(self, packed: Tensor) -> Tensor:
        """[P, D] to [B, D]: each sequence's newest position; zeros for an empty sequence."""
        if len(packed) == 0:
            return packed.new_zeros(len(self.lengths), packed.size(1))
        return packed[self.newest.clamp(min=0)] * (self.lengths > 0)[:, None]

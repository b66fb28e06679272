"""Which trials of a shared study count, read from the study alone, so that every worker finds the same.

A trial of a worker that fell silent is *lost*: Optuna has it as failed, but it has no reason. A trial with the same
settings that names it goes on in its stead, and may be lost as well: this is a chain. The trials asked for are chains,
and a chain ends with the first of its trials that ends. Two workers can do the same at once, each before it sees what
the other did. So there are rules by which both find which of the two counts, always the earlier one:

* of two trials that go on from one, the first;
* of more chains than were asked for, the first as many;
* a trial that was thought lost and ended nevertheless has ended its chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

REASON, REVIVES, SILENCES, SURPLUS, BEAT = "reason", "revives", "silences", "surplus", "beat"
"""User attributes of a trial: why it failed, whose place it takes, how many before it fell silent, whether it is one
too many, and its signs of life."""


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial was given up rather than ended."""
    return trial.state.name == "FAIL" and not {REASON, SURPLUS} & trial.user_attrs.keys()


def has_ended(trial: FrozenTrial) -> bool:
    """Whether a trial ran to an end of its own: finished, pruned, or failed for a reason."""
    return trial.state.is_finished() and SURPLUS not in trial.user_attrs and not is_lost(trial)


@dataclass(frozen=True)
class Chain:
    """A trial that was asked for, with those that took its place.

    Args:
        tip: the last of them; what it did counts.
        lost: those before it.
    """

    tip: FrozenTrial
    lost: tuple[FrozenTrial, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it is done."""
        return has_ended(self.tip)

    @property
    def orphaned(self) -> bool:
        """Whether its trial was given up, and none takes its place yet."""
        return is_lost(self.tip)


def chains_of(trials: Sequence[FrozenTrial], wanted: int | None = None) -> list[Chain]:
    """The chains that count, in order.

    Args:
        trials: all of the study, by number.
        wanted: how many trials were asked for; None for all that have begun.
    """
    heirs: dict[int, FrozenTrial] = {}
    for trial in trials:
        if REVIVES in trial.user_attrs:
            heirs.setdefault(trial.user_attrs[REVIVES], trial)
    roots = [one for one in trials if not {REVIVES, SURPLUS} & one.user_attrs.keys()]
    return [_chain(root, heirs) for root in roots[:wanted]]


def _chain(root: FrozenTrial, heirs: dict[int, FrozenTrial]) -> Chain:
    tip, lost = root, []
    while not has_ended(tip) and tip.number in heirs:
        lost.append(tip)
        tip = heirs[tip.number]
    return Chain(tip, tuple(lost))


def counts(number: int, chains: Sequence[Chain]) -> bool:
    """Whether a trial is the last of its chain."""
    return any(chain.tip.number == number for chain in chains)

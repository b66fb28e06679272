"""Write the best items for all users of a trained run, for some of them, or for anybody's history."""

from __future__ import annotations

import itertools
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SPEAKER, UserError
from ..interfaces import Json
from .parser import Parser
from .values import one_of, truth, whole

if TYPE_CHECKING:
    from ..recommend.lists import Lists
    from ..recommend.names import Names
    from ..recommend.recommender import Recommender
    from ..recommend.scorer import Choice

PEOPLE = 4096
"""People of ``--sequences`` who are held at once."""


def add_options(parser: Parser) -> None:
    """Which run, for whom, and what the lists may hold."""
    parser.option("run", "FOLDER", "The folder of a trained run.", kind=Path)
    parser.option("output", "FILE", "Where the lists go: a .csv, .tsv, .jsonl or .parquet file.", kind=Path)
    parser.option("topk", "NUMBER", "The length of a list; 20 by default.", whole(1), 20)
    parser.option("users", "FILE", "A text file of users, one a line; all of the run by default.", kind=Path)
    parser.option(
        "sequences",
        "FILE",
        "People whom the run need not know, by their items, oldest first: a .csv or .tsv file with the columns user_id "
        'and item_id, or a .jsonl file of lines {"user_id": "ann", "items": ["a", "b"]}.',
        kind=Path,
    )
    parser.option(
        "split",
        "NAME",
        "What is known of a user: 'all' actions, which is the default, or those before the 'test' (or 'valid') item, "
        "which gives the lists that the run's metrics are made from.",
        one_of("all", "valid", "test"),
        "all",
    )
    parser.option(
        "items", "FILE", "A text file of the only items that lists may hold, one a line.", kind=Path
    )
    parser.option("exclude", "FILE", "A text file of items that lists may not hold, one a line.", kind=Path)
    parser.option(
        "exclude_seen",
        "TRUTH",
        "Whether items that a user has are left out; by default as in the run.",
        truth,
    )
    parser.flag("repeat_purchases", "Let lists hold items that a user has, where a shop sells things again.")
    parser.flag("explain", "Add the history items that weighed most, and the transitions to each item.")
    parser.option("data_path", "FOLDER", "The folder of data sets, if the run's data have moved.")
    parser.settings_help = None


def run(given: Namespace, _: Json) -> int:
    """Write the lists, and say what they are."""
    _check(given)

    from ..recommend.recommender import Recommender
    from ..recommend.writing import check_output, write_lists
    from ..training.run import read_run

    check_output(given.output)
    rec = Recommender(read_run(given.run, given.data_path), given.split)
    if given.explain:
        rec.check_explains()
    choice = rec.choice(
        False if given.repeat_purchases else given.exclude_seen,
        _known(given.items, rec.items),
        [] if given.exclude is None else _known(given.exclude, rec.items) or [],
    )
    asked = _Strangers(rec, given, choice) if given.sequences is not None else _Users(rec, given, choice)
    begun = time.perf_counter()
    rows = write_lists(given.output, asked.lists(), rec.items.tokens, given.explain)
    seconds = time.perf_counter() - begun
    speed = f"{asked.people / seconds:,.0f} a second"
    print(f"{given.output}: {rows:,} recommendations for {asked.people:,} {asked.what}, {speed}")
    asked.report(choice)
    return 0


def _check(given: Namespace) -> None:
    for name in ("run", "output"):
        if getattr(given, name) is None:
            raise UserError(f"recommend needs --{name}, as in --run=runs/shop --output=top.csv")
    if given.users is not None and given.sequences is not None:
        raise UserError("--users and --sequences both say who gets lists; give one of them")
    if given.sequences is not None and given.split != "all":
        raise UserError(f"--sequences are of people who have no {given.split} item; leave --split out")
    if given.repeat_purchases and given.exclude_seen:
        raise UserError("--repeat_purchases and --exclude_seen=True contradict each other; give one of them")


def _say(sentence: str) -> None:
    print(SPEAKER, sentence, file=sys.stderr)


def _known(file: Path | None, names: Names) -> list[str] | None:
    """The names in a file that the run knows; the others are counted.

    Raises:
        UserError: it knows none of them.
    """
    if file is None:
        return None

    from ..recommend.files import read_names

    given = read_names(file)
    places = names.places(given)
    unknown = [name for name, place in zip(given, places) if place < 1]
    if len(unknown) == len(given):
        raise UserError(
            f"{file} names no {names.what} of {names.where} (its first is '{given[0]}'); write {names.what}s as "
            "the data have them"
        )
    if unknown:
        _say(
            f"{len(unknown):,} of {len(given):,} {names.what}s in {file} are not in the run's data and are skipped, "
            f"such as '{unknown[0]}'"
        )
    return [name for name, place in zip(given, places) if place > 0]


class _Users:
    """Those of the run."""

    what = "users"

    def __init__(self, rec: Recommender, given: Namespace, choice: Choice) -> None:
        self.rec, self.given, self.choice = rec, given, choice
        self.histories = rec.histories(_known(given.users, rec.users))
        self.people = len(self.histories)

    def lists(self) -> Iterator[Lists]:
        """One for each."""
        given = self.given
        return self.rec.lists(
            self.histories, given.topk, self.choice, explain=given.explain, show_progress=sys.stderr.isatty()
        )

    def report(self, choice: Choice) -> None:
        """What repeat purchases do to the lists."""
        repeating = self.histories.repeating() if choice.exclude_seen else 0
        if repeating:
            _say(
                f"{repeating:,} of {self.people:,} users have some item more than once, but lists leave out what a "
                "user has; --repeat_purchases lets them hold it"
            )


class _Strangers:
    """Those of ``--sequences``."""

    what = "people"

    def __init__(self, rec: Recommender, given: Namespace, choice: Choice) -> None:
        rec.check_serves_strangers()
        self.rec, self.given, self.choice = rec, given, choice
        self.people = self.nobody = self.actions = self.unknown = 0

    def lists(self) -> Iterator[Lists]:
        """One for each who has a known item."""
        from ..recommend.files import read_sequences
        from ..recommend.histories import of_sequences

        everyone = read_sequences(self.given.sequences)
        while some := list(itertools.islice(everyone, PEOPLE)):
            known = {name: self.rec.items.known(items) for name, items in some}
            self.actions += sum(len(items) for _, items in some)
            self.unknown += sum(len(items) - len(known[name]) for name, items in some)
            served = {name: items for name, items in known.items() if len(items)}
            self.nobody += len(known) - len(served)
            self.people += len(served)
            histories = of_sequences(self.rec.part, list(served.values()))
            yield from self.rec.lists(
                histories, self.given.topk, self.choice, list(served), self.given.explain
            )
        if not self.people:
            raise UserError(
                f"{self.given.sequences} has nobody with an item of the run; write items as the data have them"
            )

    def report(self, _: Choice) -> None:
        """What was skipped."""
        if self.unknown:
            _say(
                f"{self.unknown:,} of {self.actions:,} actions in {self.given.sequences} are of items that the run "
                f"does not know and were skipped; {self.nobody:,} people had no other and got no list"
            )
        elif self.nobody:
            _say(f"{self.nobody:,} people in {self.given.sequences} have no item and got no list")

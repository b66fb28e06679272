"""What a trained run recommends: lists for its users or for anybody's history, similar items, and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from tqdm import tqdm

from ..data.dataset import SequenceDataset
from ..errors import UserError
from ..settings.rules import is_whole
from ..training.run import Run
from . import explanations
from .histories import Histories, knowing_all, of_samples, of_sequences, of_users
from .lists import Lists, table
from .names import Given, Names, listed
from .neighbours import item_embeddings, neighbours
from .scorer import Choice, Scorer
from .threads import side_by_side

SPLITS = ("all", "valid", "test")
"""What is known of a user: all actions, or those before the validation or the test item."""


class Recommender:
    """Recommends by a finished run, with the names of the data.

    Examples:
        >>> rec = load("runs/shop").recommender()  # doctest: +SKIP
        >>> rec.recommend(users=["ann", "bob"], k=10)  # doctest: +SKIP

    Args:
        run: a finished run of any model that this package trains.
        split: what is known of users: 'all' their actions, or what was known before the 'test' (or 'valid') item. With
            'test' the lists are those that the run's test metrics are made from.

    Raises:
        UserError: the run has no such split, or is one of RecBole's own data path.
    """

    def __init__(self, run: Run, split: str = "all") -> None:
        self.run, self.split = run, split
        if split not in SPLITS:
            raise UserError(f"split is {split!r}; it has to be one of {', '.join(SPLITS)}")
        self.loader = run.loaders[1 if split == "valid" else 2]
        self._check()
        part: SequenceDataset = self.loader._dataset
        self.part = knowing_all(part) if split == "all" else part
        # Evaluation's own numbers come only from computing as it does.
        self.scorer = Scorer(run.model, self.loader, self.part, as_evaluated=split != "all")  # type: ignore[arg-type]
        self.users = Names(self.part.ids.users, "user", run.folder)
        self.items = Names(self.part.ids.items, "item", run.folder)

    def _check(self) -> None:
        name = self.run.folder
        if not isinstance(self.loader._dataset, SequenceDataset):
            raise UserError(
                f"{name} was trained on RecBole's own data path, which keeps no histories; train it by recbole-mqsa"
            )
        if self.split != "all" and not len(self.loader._dataset):
            raise UserError(f"{name} has no {self.split} part; leave split out to recommend from all actions")
        modes = self.run.config["eval_args"]["mode"]
        if self.split != "all" and modes[self.split] != "full":
            raise UserError(
                f"{name} ranked drawn items when it was evaluated, so it has no lists of all items; leave split out to "
                "recommend from all actions"
            )

    # Lists.

    def recommend(
        self,
        users: Given | None = None,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        items: Given | None = None,
        exclude: Given = (),
    ) -> pd.DataFrame:
        """The k best items of each user.

        Args:
            users: their names; by default all, in the order of the data.
            k: how many items a list has at most.
            exclude_seen: whether what a user has already interacted with is left out; by default as in the run
                (``mask_seen``). A shop that sells things again sets it to False.
            items: the only items that may be recommended; by default all.
            exclude: items that may not.

        Returns:
            ``user_id``, ``item_id``, ``rank`` from 1, and ``score``: a row for each recommendation.

        Raises:
            UserError: an unknown name, or no whole number k.
        """
        choice = self.choice(exclude_seen, items, exclude)
        return table(self.lists(self.histories(users), k, choice), self.items.tokens)

    def recommend_sequences(
        self,
        sequences: Iterable[Given] | Mapping[str, Given],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        items: Given | None = None,
        exclude: Given = (),
    ) -> pd.DataFrame:
        """The k best items after any histories, also of people whom the run has never seen.

        Args:
            sequences: item names, oldest first, of each person; a mapping names the people, a list numbers them from
                0. Unknown items are skipped; who has no known item has no rows in the result.
            k, exclude_seen, items, exclude: see :meth:`recommend`.

        Raises:
            UserError: the model serves only users that it was trained on, or as :meth:`recommend`.
        """
        named = sequences if isinstance(sequences, Mapping) else dict(enumerate(sequences))
        self.check_serves_strangers()
        choice = self.choice(exclude_seen, items, exclude)
        known = {name: numbers for name, one in named.items() if len(numbers := self.items.known(one))}
        histories = of_sequences(self.part, list(known.values()))
        return table(self.lists(histories, k, choice, list(known)), self.items.tokens)  # type: ignore[arg-type]

    def lists(
        self,
        histories: Histories,
        k: int,
        choice: Choice,
        names: Sequence[str] | None = None,
        explain: bool = False,
        show_progress: bool = False,
    ) -> Iterator[Lists]:
        """Lists batch after batch, in constant memory.

        Args:
            histories: from :meth:`histories`, or of strangers.
            k, choice: see :meth:`recommend` and :meth:`choice`.
            names: whose the histories are; by default the users' own.
            explain: whether to add the reasons of each recommendation.
            show_progress: whether to show a bar.
        """
        if not is_whole(k, 1):
            raise UserError(f"k is {k!r}; it has to be a whole number of at least 1")
        with tqdm(total=len(histories), unit=" users", ncols=100, disable=not show_progress) as bar:
            for rows, scores, items in self._ranked(histories, k, choice):
                batch = histories.rows(rows)
                whose = self.users.tokens[batch.users] if names is None else names[rows]
                made = Lists(list(whose), items, scores, batch)
                yield self._with_reasons(made) if explain else made
                bar.update(len(batch))

    def _ranked(
        self, histories: Histories, k: int, choice: Choice
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """The rows, scores and items of each batch; batches are those of evaluation."""

        def ranked(first: int) -> tuple[slice, np.ndarray, np.ndarray]:
            rows = slice(first, first + self.scorer.step)
            scores, items = self.scorer.best(histories.rows(rows), k, choice)
            return rows, scores.cpu().numpy(), items.cpu().numpy()

        firsts = range(0, len(histories), self.scorer.step)
        with self.scorer.many():
            yield from side_by_side(ranked, firsts) if self.scorer.freely else map(ranked, firsts)

    def _with_reasons(self, lists: Lists) -> Lists:
        reasons = [
            explanations.reasons(
                self.scorer,
                self.transitions,
                lists.histories.rows(slice(row, row + 1)),
                own,
                self.items.tokens,
            )
            for row, own in enumerate(items[items > 0] for items in lists.items)
        ]
        return Lists(lists.names, lists.items, lists.scores, lists.histories, reasons)

    # Why, and what is alike.

    def explain(
        self,
        user: str | None = None,
        *,
        sequence: Given | None = None,
        items: Given | None = None,
        k: int = 10,
    ) -> pd.DataFrame:
        """Which items of a history led to each recommendation, and by how much.

        Args:
            user: whose recommendations; or
            sequence: the item names of a history, oldest first.
            items: the items to explain; by default the k best.

        Returns:
            ``item_id``; ``history_item_id``; its ``age``, 0 for the newest; ``weight``, by how much the score of the
            item falls without it; ``followed``, how often the item came right after it in the data; ``of``, how often
            anything did. A row for each pair, newest first.

        Raises:
            UserError: the model reads no history, or as :meth:`recommend`.
        """
        self.check_explains()
        if (user is None) == (sequence is None):
            raise UserError("explain takes one history: name a user, or give a sequence of item names")
        if sequence is not None:
            self.check_serves_strangers()
            history = of_sequences(self.part, [self.items.known(sequence)])
        else:
            history = self.histories([str(user)])
        if not (history.end > history.begin).all():
            raise UserError("the sequence holds no item of the run's data; give the names that the data have")
        if items is None:
            chosen = next(self.lists(history, k, self.choice(), [""])).items[0]
            chosen = chosen[chosen > 0]
        else:
            chosen = self.items.numbers(items)
        return explanations.explained(self.scorer, self.transitions, history, chosen, self.items.tokens)

    def similar_items(self, items: str | Given, k: int = 10) -> pd.DataFrame:
        """The k items most like each: by embedding, and by what came right after it in the data.

        Args:
            items: a name, or several.

        Returns:
            See :func:`.neighbours.neighbours`. A model without one embedding per item has neighbours by transition
            alone.

        Raises:
            UserError: an unknown name, or no whole number k.
        """
        if not is_whole(k, 1):
            raise UserError(f"k is {k!r}; it has to be a whole number of at least 1")
        named = [items] if isinstance(items, str) else items
        numbers = self.items.numbers(named)
        return neighbours(numbers.tolist(), k, self.embeddings, self.transitions, self.items.tokens)

    # Names, histories and choices.

    def histories(self, users: Given | None = None) -> Histories:
        """What is known of users: a row each, of several test samples each a row; by default of all.

        Raises:
            UserError: an unknown user, or one that the split does not evaluate.
        """
        wanted = None if users is None else self.users.numbers(users)
        if self.split == "all":
            everyone = np.flatnonzero(np.diff(self.part.sequences.offsets))
            return of_users(self.part, everyone if wanted is None else wanted)
        evaluated = of_samples(self.part)
        return evaluated if wanted is None else evaluated.rows(self._samples_of(wanted, evaluated))

    def _samples_of(self, wanted: np.ndarray, evaluated: Histories) -> np.ndarray:
        """The rows of users, user after user."""
        own = pd.Series(np.arange(len(evaluated))).groupby(evaluated.users).indices
        missing = [self.users.tokens[user] for user in wanted if user not in own]
        if missing:
            raise UserError(
                f"{listed(missing, 'user')} no {self.split} item; leave them out, or leave split out to recommend "
                "from all actions"
            )
        return np.concatenate([np.zeros(0, dtype=np.int64), *(own[user] for user in wanted)])

    def choice(
        self, exclude_seen: bool | None = None, items: Given | None = None, exclude: Given = ()
    ) -> Choice:
        """Which items lists may hold; arguments as for :meth:`recommend`."""
        if exclude_seen is None:
            exclude_seen = bool(self.run.config["mask_seen"])
        if items is None and not len(exclude):
            return Choice(exclude_seen)
        allowed = torch.ones(self.part.item_num, dtype=torch.bool)
        if items is not None:
            allowed[:] = False
            allowed[self.items.numbers(items)] = True
        allowed[self.items.numbers(exclude)] = False
        allowed[0] = False
        if not allowed.any():
            raise UserError("the allowed items leave nothing to recommend; allow more, or exclude fewer")
        return Choice(exclude_seen, allowed)

    # What a model can do.

    def check_serves_strangers(self) -> None:
        """Refuse a model that scores only the users that it was trained on.

        Raises:
            UserError: naming it.
        """
        model, able = self.run.config["model"], self.part.is_sequential
        if able:
            try:
                self.scorer.scores(of_sequences(self.part, [np.ones(2, dtype=np.int64)]), Choice())
            except KeyError as error:
                if error.args != (self.part.uid_field,):
                    raise
                able = False
        if not able:
            raise UserError(
                f"{model} knows only the users that it was trained on, so it has nothing for other people's sequences; "
                "name its users, or train a model that reads a history, such as MQSATED"
            )

    def check_explains(self) -> None:
        """Refuse a model that reads no history.

        Raises:
            UserError: naming it.
        """
        if not self.part.is_sequential:
            raise UserError(
                f"{self.run.config['model']} reads no history, so none of its items can weigh; explain a model that "
                "does, such as MQSATED"
            )

    @cached_property
    def transitions(self) -> sparse.csr_matrix:
        """[I + 1, I + 1] how often one item came right after another, in what is known."""
        return self.part.transition_counts()

    @cached_property
    def embeddings(self) -> torch.Tensor | None:
        """[I + 1, D] the item embeddings, if the model has one for each item."""
        return item_embeddings(self.run.model, self.part.item_num)

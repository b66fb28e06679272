"""RecBole's data set for sequential models, kept as flat arrays.

Loading, filtering, id mapping and splitting are RecBole's own, or give the same result (``fast_dataset``). The
samples are those of its ``SequentialDataset``, row for row, but a row holds only an index into the flat arrays. Its
input is read when a batch needs it.
"""

from __future__ import annotations

import functools
from typing import Any, Union

import numpy as np
import torch
from recbole.data.interaction import Interaction, cat_interactions
from recbole.utils import FeatureSource, FeatureType, ModelType
from scipy import sparse

from ..errors import UserError
from ..interfaces import Settings
from . import split
from .fast_dataset import FastDataset
from .identity import Identity, Ids, numbers_in
from .sequences import LONG_SEQUENCES, Sequences, flatten_spans, last_window
from .tokens import TokenIds
from .transition_counts import count_transitions
from .transition_memory import TransitionMemory
from .validation import check_actions, check_there

ROW_FIELD = "sequence_row"
"""Where an action is in the flat arrays."""
Index = Union[int, slice, np.ndarray, list[int]]
"""Which samples: one, or several."""
EXACT_TIME = "exact_time"
"""Its time, while actions are sorted."""
MEMORY_LONGEST = 50
"""How many items of a sequence a transition memory counts at least, the paper's T."""


class SequenceDataset(FastDataset):
    """Replaces RecBole's ``SequentialDataset``, in 16 bytes per action, and its ``Dataset``.

    General models get the same users, items and targets. They train on every training action, and their samples have
    no input list.

    Attributes:
        is_sequential: whether the model reads an input list.
        sequences: all actions of all users; the training, validation and test parts have the same.
        known_end: [users] last action of each user that a model may know when this part is predicted (for the
            training part: its own actions); -1 where there is none.
        train_end: [users] last training action of each user; -1 where there is none.
        times: [N] of each action in the order of the flat arrays, as exact as in the file.
    """

    inter_feat: Any
    sequences: Sequences
    known_end: np.ndarray
    train_end: np.ndarray
    times: np.ndarray

    def __init__(self, config: Settings, known: Ids | None = None) -> None:
        self.known = known
        self.is_sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        self.max_item_list_len = config["MAX_ITEM_LIST_LENGTH"]
        self.item_list_length_field = config["ITEM_LIST_LENGTH_FIELD"]
        self.item_id_list_field = config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]
        super().__init__(config)

    # Loading: RecBole's, with its errors turned into one sentence.

    def _load_inter_feat(self, token: str, dataset_path: str) -> None:
        check_there(dataset_path, token)
        super()._load_inter_feat(token, dataset_path)
        check_actions(dataset_path, token, self.inter_feat)

    def _data_filtering(self) -> None:
        super()._data_filtering()
        # What RecBole makes of a time has 24 bits: it is scaled, perhaps, and then a float32.
        times = self.inter_feat[self.time_field]
        self.times, self.inter_feat[self.time_field] = times.to_numpy(), times.astype("float64")
        if self.times.dtype == object:  # numbers of Python's, of which the order is all that is needed
            _, self.times = np.unique(self.times, return_inverse=True)

    @property
    def ids(self) -> Ids:
        """The token of each number."""
        return Ids(self.field2id_token[self.uid_field], self.field2id_token[self.iid_field])

    def identity(self) -> Identity:
        """Which data these are, before they are split."""
        return Identity.of(self.ids, self.sequences)

    def _remap(self, remap_list: list[Any]) -> None:
        super()._remap(remap_list)
        if self.known is not None and remap_list:
            known = {self.uid_field: self.known.users, self.iid_field: self.known.items}
            self._renumber([(table, field) for table, field, _ in remap_list if field in known], known)

    def _renumber(self, columns: list[tuple[Any, str]], known: dict[str, Any]) -> None:
        """Give users and items the numbers that they had when a run began; a stranger keeps the whole as it is."""
        for table, field in columns:
            numbers = numbers_in(known[field], self.field2id_token[field])
            if numbers is not None:
                table[field] = numbers[table[field].to_numpy()]
        for field in {field for _, field in columns}:
            if numbers_in(known[field], self.field2id_token[field]) is not None:
                self.field2id_token[field], self.field2token_id[field] = known[field], TokenIds(known[field])

    # From RecBole's table of actions to flat arrays.

    def _change_feat_format(self) -> None:
        super()._change_feat_format()
        self._sort_by_time()
        users = self.inter_feat[self.uid_field].numpy()
        items = self.inter_feat[self.iid_field].numpy()
        self.sequences = Sequences.from_sorted(users, items, self.user_num)
        if np.diff(self.sequences.offsets).max() < 3:
            raise UserError(
                f"no user in data set '{self.dataset_name}' has three actions, and leave-one-out needs a user "
                "with one to train on, one as input and one to test; use more data or looser filters"
            )

        # A user's first action has no input, so it is never a target; each other action is a sample.
        first = np.zeros(len(items), dtype=bool)
        first[self.sequences.offsets[:-1][np.diff(self.sequences.offsets) > 0]] = True
        actions = self.inter_feat
        self.inter_feat = actions[torch.from_numpy(~first)]
        if not self.is_sequential:
            self._first_actions = actions[torch.from_numpy(first)]
        for field, source_type, width in (
            (self.item_id_list_field, FeatureType.TOKEN_SEQ, self.max_item_list_len),
            (self.item_list_length_field, FeatureType.TOKEN, 1),
        ):
            self.set_field_property(field, source_type, FeatureSource.INTERACTION, width)

    def _sort_by_time(self) -> None:
        """Put the actions in the order of users, each one's by time; equal times stay in the order of the file."""
        times = self.times
        if self.config["time_order"] == "recbole":  # among numerical_features it has two columns
            times = self.inter_feat[self.time_field].numpy().reshape(len(times), -1)[:, 0]
        rows = np.lexsort((times, self.inter_feat[self.uid_field].numpy()))  # stable
        self.inter_feat._reindex(torch.from_numpy(rows))
        self.times = self.times[rows]
        self.inter_feat.update(Interaction({ROW_FIELD: torch.arange(len(rows))}))

    def sort(self, by: Any, ascending: Any = True) -> None:
        """RecBole's method of this name; by time it compares the times of the file (``time_order``)."""
        fields = [by] if isinstance(by, str) else list(by)
        if self.time_field not in fields or self.config["time_order"] == "recbole":
            super().sort(by, ascending)
            return
        self.inter_feat.update(Interaction({EXACT_TIME: torch.from_numpy(self.times[self.rows])}))
        super().sort([EXACT_TIME if field == self.time_field else field for field in fields], ascending)
        del self.inter_feat.interaction[EXACT_TIME]

    def time_based_split(self, ratios: list[float], group_by: str) -> list[FastDataset]:
        """RecBole's split 'TS': the newest share of all samples tests, of each user's others the newest validate."""
        if self.config["time_order"] == "recbole":
            return super().time_based_split(ratios, group_by)
        shares = [ratio / sum(ratios) for ratio in ratios]
        times = self.times[self.rows]
        early = times <= np.percentile(times, 100 * (1 - shares[-1]), method="lower")
        users = self.inter_feat[group_by].numpy()
        cut = functools.partial(_cut_at, ratio=shares[0] / (1 - shares[2]))
        (grouped,) = split.by_ratio(users, 1, lambda _: [])  # user after user
        known, late = grouped[early[grouped]], grouped[~early[grouped]]
        train, valid = (known[part] for part in split.by_ratio(users[known], 2, cut))
        return self._parts([train, valid, late])

    def build(self) -> list[SequenceDataset]:
        """The training, validation and test parts, split as RecBole does (``eval_args``).

        Raises:
            UserError: the training part does not hold the oldest actions of each user, so it is not a
                sequence.
        """
        if self.config["eval_args"]["order"] != "TO":
            raise UserError("eval_args: order must be TO (by time) for a sequential model")
        parts = super().build()
        known = np.full(self.user_num, -1)
        for part in parts:
            part.known_end = known
            latest = np.full(self.user_num, -1)
            np.maximum.at(latest, part.inter_feat[self.uid_field].numpy(), part.rows)
            known = np.maximum(known, latest)
        train = parts[0]
        train.known_end = parts[1].known_end
        for part in parts:
            part.train_end = train.known_end
        begin, end = train._spans(train.train_end)
        if (end - begin).sum() != len(train):
            raise UserError(
                f"eval_args {self.config['eval_args']} trains on newer actions than some that it tests on, so a user's "
                "training actions are not a sequence; use split LS, or RS with order TO"
            )
        train.inter_feat = train._examples()
        return parts

    def _examples(self) -> Interaction:
        """The examples that RecBole's training loader takes from this part, one per row."""
        if not self.is_sequential:  # a user's first action is an example, too
            trained = self.train_end[self._first_actions[self.uid_field].numpy()] >= 0
            first = self._first_actions[torch.from_numpy(trained)]
            kept = Interaction({field: first[field] for field in self.inter_feat.columns})
            return cat_interactions([kept, self.inter_feat])
        if self.config["prefixes"] == "longest":
            users = self.inter_feat[self.uid_field].numpy()
            return self.inter_feat[torch.from_numpy(self.rows == self.train_end[users])]
        return self.inter_feat

    # For loaders.

    @property
    def rows(self) -> np.ndarray:
        """[samples] the flat index of each sample's target."""
        return self.inter_feat[ROW_FIELD].numpy()

    def history(self, index: Index) -> tuple[np.ndarray, np.ndarray]:
        """begin, end [B]: all actions before the target of each sample, however long."""
        rows = self.rows[index]
        return self.sequences.offsets[self.inter_feat[self.uid_field].numpy()[index]], rows

    def repeat_targets(self) -> int:
        """How many samples have a target that the user has had before."""
        items, offsets = self.sequences.items, self.sequences.offsets
        pairs = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * self.item_num + items
        again = np.ones(len(items), dtype=bool)
        again[np.unique(pairs, return_index=True)[1]] = False
        return int(again[self.rows].sum())

    def __getitem__(self, index: Index, join: bool = True) -> Interaction:
        index = np.asarray(index) if not isinstance(index, (slice, int)) else index
        samples = self.inter_feat[index]
        if self.is_sequential and ROW_FIELD in samples:
            begin, end = self.history(index)
            inputs, lengths = self.sequences.padded(
                np.atleast_1d(begin), np.atleast_1d(end), self.max_item_list_len
            )
            samples.update(
                Interaction(
                    {
                        self.item_id_list_field: torch.from_numpy(inputs),
                        self.item_list_length_field: torch.from_numpy(lengths),
                    }
                )
            )
        return self.join(samples) if join else samples

    # For training and counting.

    def _spans(self, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last action of each user up to ``last``, without users who have none."""
        users = np.flatnonzero(last >= 0)
        return self.sequences.offsets[users], last[users]

    def training_sequences(self) -> tuple[np.ndarray, np.ndarray]:
        """begin, end [S] of the training sequences: one span per user, or windows (``long_sequences``).

        The input of a sequence is ``items[begin:end]``, its targets ``items[begin + 1:end + 1]``.
        """
        begin, end = self._spans(self.train_end)
        return LONG_SEQUENCES[self.config["long_sequences"] or "last"](begin, end, self.max_item_list_len - 1)

    def transition_counts(
        self,
        time_span: int = 1,
        longest: int | None = None,
        time_decay: float = 1.0,
        backward_weight: float = 0.0,
    ) -> sparse.csr_matrix:
        """[I + 1, I + 1] counts over what is known before this part is predicted.

        As in training, only the last items of a training sequence count, unless ``long_sequences`` is 'windows'.
        Validation actions are added when testing.

        Args:
            time_span: k; pairs at distances 1 to k count.
            longest: how many items of a training sequence count; by default T, as many as the model reads.
            time_decay, backward_weight: see :func:`count_transitions`.
        """
        begin, end = self._counted_spans(longest)
        weights = time_decay, backward_weight
        return count_transitions(self.sequences.items, begin, end, self.item_num, time_span, *weights)

    def _counted_spans(self, longest: int | None) -> tuple[np.ndarray, np.ndarray]:
        """First and last action of each user that count, as :meth:`transition_counts` says."""
        begin, end = self._spans(self.known_end)
        if self.config["long_sequences"] != "windows":
            train_end = self.train_end[self.known_end >= 0]
            longest = longest or self.max_item_list_len
            begin, _ = last_window(begin, np.where(train_end >= 0, train_end, end), longest - 1)
        return begin, end

    def transition_memory(self, time_span: int, time_decay: float) -> TransitionMemory:
        """What follows what in what is known before this part is predicted, without each user's own actions.

        The same for all models: of a sequence at least the last 50 actions count, however few a model reads.
        """
        known = np.flatnonzero(self.known_end >= 0)
        begin, end = np.zeros(self.user_num, dtype=np.int64), np.full(self.user_num, -1)
        begin[known], end[known] = self._counted_spans(max(self.max_item_list_len, MEMORY_LONGEST))
        return TransitionMemory(self.sequences.items, begin, end, self.item_num, time_span, time_decay)

    def histories_of(self, samples: Interaction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """begin, end and user [B] of samples of any part: the flat indices of all actions before their targets."""
        users = samples[self.uid_field].numpy()
        return self.sequences.offsets[users], samples[ROW_FIELD].numpy(), users

    def item_counts(self) -> np.ndarray:
        """[I + 1] how often each item occurs among the actions known before this part is predicted."""
        begin, end = self._spans(self.known_end)
        known, _ = flatten_spans(begin, end + 1)
        return np.bincount(self.sequences.items[known], minlength=self.item_num)


def _cut_at(size: int, ratio: float) -> list[int]:
    return [int(size * ratio)]

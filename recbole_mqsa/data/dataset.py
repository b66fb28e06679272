"""RecBole's data set for sequential models, kept as flat arrays.

Loading, filtering, id mapping and splitting are RecBole's own, or equal to them (``fast_dataset``). The
samples are those of its ``SequentialDataset``, row for row, but a row holds only an index into the flat
arrays: its input is read when a batch asks for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction, cat_interactions
from recbole.utils import FeatureSource, FeatureType, ModelType
from scipy import sparse

from ..errors import UserError
from .fast_dataset import FastDataset
from .sequences import LONG_SEQUENCES, Sequences, flatten_spans, last_window
from .transition_counts import count_transitions
from .transition_memory import TransitionMemory
from .validation import check_actions, check_files, check_loaded

ROW_FIELD = "sequence_row"
MEMORY_LONGEST = 50
"""Actions of a sequence that a transition memory counts at least, the paper's T."""


class SequenceDataset(FastDataset):
    """Drop-in for RecBole's ``SequentialDataset``, in 16 bytes an action, and for its ``Dataset``.

    General models get the same users, items and targets; they train on every training action, and
    their samples have no input list.

    Attributes:
        is_sequential: whether the model reads an input list.
        sequences: all actions of all users; shared by the training, validation and test parts.
        known_end: [users] last action of each user that a model may know when this part is
            predicted (training: its own actions); -1 where there is none.
        train_end: [users] last training action of each user; -1 where there is none.
    """

    inter_feat: Any
    sequences: Sequences
    known_end: np.ndarray
    train_end: np.ndarray

    def __init__(self, config: Any) -> None:
        self.is_sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        self.max_item_list_len = config["MAX_ITEM_LIST_LENGTH"]
        self.item_list_length_field = config["ITEM_LIST_LENGTH_FIELD"]
        self.item_id_list_field = config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]
        super().__init__(config)

    # Loading: RecBole's, with its failures told in one sentence.

    def _load_inter_feat(self, token: str, dataset_path: str) -> None:
        with check_loaded(self.config, dataset_path, token):
            self.plain_file = check_files(self.config, dataset_path, token)
            super()._load_inter_feat(token, dataset_path)
        check_actions(self.config, dataset_path, token, self.inter_feat)

    def _data_filtering(self) -> None:
        try:
            super()._data_filtering()
        except ValueError as problem:  # RecBole: "Some feat is empty, please check the filtering settings."
            raise UserError(f"{self._filter_culprit()} ({problem})") from problem
        if len(self.inter_feat) == 0:
            raise UserError(self._filter_culprit())

    def _filter_culprit(self) -> str:
        return (
            f"data set '{self.dataset_name}' has no action left after filtering; loosen "
            f"user_inter_num_interval ({self.config['user_inter_num_interval']}), item_inter_num_interval "
            f"({self.config['item_inter_num_interval']}) or val_interval ({self.config['val_interval']})"
        )

    # From RecBole's table of actions to flat arrays.

    def _change_feat_format(self) -> None:
        super()._change_feat_format()
        self.sort(by=[self.uid_field, self.time_field])
        users = self.inter_feat[self.uid_field].numpy()
        items = self.inter_feat[self.iid_field].numpy()
        self.sequences = Sequences.from_sorted(users, items, self.user_num)
        if np.diff(self.sequences.offsets).max() < 3:
            raise UserError(
                f"nobody in data set '{self.dataset_name}' has three actions, and leave-one-out needs a user "
                "with one to train on, one as input and one to test; use more data or looser filters"
            )

        # A user's first action has no input, so nobody is asked to predict it; the others are a sample each.
        first = np.zeros(len(items), dtype=bool)
        first[self.sequences.offsets[:-1][np.diff(self.sequences.offsets) > 0]] = True
        actions = Interaction({**self.inter_feat.interaction, ROW_FIELD: torch.arange(len(items))})
        self.inter_feat = actions[torch.from_numpy(~first)]
        if not self.is_sequential:
            self._first_actions = actions[torch.from_numpy(first)]
        for field, source_type, width in (
            (self.item_id_list_field, FeatureType.TOKEN_SEQ, self.max_item_list_len),
            (self.item_list_length_field, FeatureType.TOKEN, 1),
        ):
            self.set_field_property(field, source_type, FeatureSource.INTERACTION, width)

    def build(self) -> list[SequenceDataset]:
        """The training, validation and test parts by RecBole's own splitting (``eval_args``).

        Raises:
            UserError: the training part does not hold the oldest actions of each user, so that it
                is not a sequence.
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
                f"eval_args {self.config['eval_args']} trains on actions newer than some it tests on, so the "
                "training actions of a user are no sequence; use split LS, or RS with order TO"
            )
        train.inter_feat = train._examples()
        return parts

    def _examples(self) -> Interaction:
        """What RecBole's training loader takes of this part, a row an example."""
        if not self.is_sequential:  # a user's first action is one, too
            trained = self.train_end[self._first_actions[self.uid_field].numpy()] >= 0
            first = self._first_actions[torch.from_numpy(trained)]
            kept = Interaction({field: first[field] for field in self.inter_feat.columns})
            return cat_interactions([kept, self.inter_feat])
        if self.config["prefixes"] == "longest":
            users = self.inter_feat[self.uid_field].numpy()
            return self.inter_feat[torch.from_numpy(self.rows == self.train_end[users])]
        return self.inter_feat

    # What loaders read.

    @property
    def rows(self) -> np.ndarray:
        """[samples] the flat index of each sample's target."""
        return self.inter_feat[ROW_FIELD].numpy()

    def history(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        """begin, end [B]: all actions before the target of each sample, however long."""
        rows = self.rows[index]
        return self.sequences.offsets[self.inter_feat[self.uid_field].numpy()[index]], rows

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
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

    # What training and counting read.

    def _spans(self, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last action of each user up to ``last``; users without any are left out."""
        users = np.flatnonzero(last >= 0)
        return self.sequences.offsets[users], last[users]

    def training_sequences(self) -> tuple[np.ndarray, np.ndarray]:
        """begin, end [S] of what training sees: one span a user, or windows (``long_sequences``).

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

        The training part of a sequence is cut to its last items first, as training itself is,
        unless ``long_sequences`` is 'windows'; validation actions are added when testing.

        Args:
            time_span: k; pairs count at distances 1 to k.
            longest: items of a sequence that count; by default T, as many as the model reads.
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
        """[I + 1] how often each item occurs in what is known before this part is predicted."""
        begin, end = self._spans(self.known_end)
        known, _ = flatten_spans(begin, end + 1)
        return np.bincount(self.sequences.items[known], minlength=self.item_num)

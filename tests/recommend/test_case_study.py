"""Recommendations by RecBole's own functions: the best items that are not seen, against scores of all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.utils.case_study import full_sort_topk

from recbole_mqsa.training.build import build_dataset, build_loaders, build_model


def random_users(n_users=40):
    """Users of 1 to 9 actions among 15 items, repeats included."""
    rng = np.random.default_rng(0)
    return {
        f"u{user}": " ".join(f"i{item}" for item in rng.integers(0, 15, size=rng.integers(1, 10)))
        for user in range(n_users)
    }


def built(config):
    """A model in evaluation and the loader of its test."""
    train, _, test = build_loaders(config, build_dataset(config))
    return build_model(config, train._dataset).eval(), test


def test_case_study_of_a_general_model(toy):
    """RecBole asks its own loader for histories, which ours does not keep."""
    model, test = built(toy(random_users(), "LightGCN"))
    users = test._dataset.inter_feat["user_id"].tolist()[5:15][::-1]
    _, items = full_sort_topk(users, model, test, k=4)
    offsets, flat = test._dataset.sequences.offsets, test._dataset.sequences.items
    for user, listed in zip(users, items):
        seen = set(flat[offsets[user] : offsets[user + 1] - 1].tolist())
        scores = model.full_sort_predict({"user_id": torch.tensor([user])}).detach().flatten()
        expected = sorted(set(range(1, len(scores))) - seen, key=lambda item: -scores[item])
        assert listed.tolist() == expected[:4]


@pytest.mark.parametrize("mask_seen", [True, False])
def test_case_study(toy, mask_seen):
    model, test = built(toy(random_users(), mask_seen=mask_seen))
    samples = test._dataset[np.arange(len(test._dataset))]
    users = samples["user_id"].tolist()[5:15][::-1]
    scores, items = full_sort_topk(users, model, test, k=6)
    offsets, flat = test._dataset.sequences.offsets, test._dataset.sequences.items
    for user, row_scores, row_items in zip(users, scores, items):
        history = flat[offsets[user] : offsets[user + 1] - 1]
        expected = model.full_sort_predict(
            {"item_id_list": torch.from_numpy(history[None])}  # all that the user did before the last action
        )[0].detach()
        expected[0] = -np.inf
        if mask_seen:
            expected[np.unique(history)] = -np.inf
            assert not set(row_items[row_scores > -np.inf].tolist()) & set(history.tolist())
        best = expected.topk(6)
        torch.testing.assert_close(row_scores, best.values)
        finite = best.values > -np.inf
        assert torch.equal(row_items[finite], best.indices[finite])

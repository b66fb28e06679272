"""One layer and stacks of them against one sequence, one position, one head at a time."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.sequences import LENGTHS, D, packed_states, rows_of, valid_mask

from recbole_mqsa.model.layers import MultiQueryEncoder, WindowAttentionLayer, mixing_weights
from recbole_mqsa.model.ragged import Ragged

# One layer, as the paper authors' program has it (shared/golden/README.md).


def norm(x, layer):
    centred = x - x.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


def affine(x, layer):
    return layer.weight @ x + layer.bias


def slow_layer(layer, row, window, n_heads):
    """[t, D] to [t, D], dropout 0: pooled and normed query, plain keys and values, query as residual."""
    size = D // n_heads
    out = []
    for t in range(len(row)):
        query = norm(row[max(0, t + 1 - window) : t + 1].mean(0), layer.query_norm)
        projected = affine(query, layer.query)
        heads = []
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            scores = [
                projected[part] @ affine(row[s], layer.key)[part] / math.sqrt(size) for s in range(t + 1)
            ]
            weights = torch.stack(scores).softmax(0)
            heads.append(sum(weights[s] * affine(row[s], layer.value)[part] for s in range(t + 1)))
        state = norm(torch.cat(heads) + query, layer.output_norm)
        inner = affine(state, layer.feedforward[0]).clamp(min=0)
        out.append(affine(inner, layer.feedforward[1]) + state)
    return torch.stack(out)


def randomise(module):
    """Norms and biases start at 1 and 0, where a mistake in them would not be seen."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return module.double()


LAYER = {
    "hidden_size": D, "inner_size": 5, "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0,
    "layer_norm_eps": 1e-24,
}  # fmt: skip


@pytest.mark.parametrize("lengths", [[1], [3, 0, 6, 1]])
@pytest.mark.parametrize("n_heads", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_layer_against_loops(window, n_heads, lengths):
    layer = randomise(WindowAttentionLayer(n_heads=n_heads, window_weights=torch.ones(window), **LAYER))
    states = packed_states(lengths).requires_grad_()
    ours = layer(states, Ragged(valid_mask(lengths, "left"), groups=2))
    slow = [slow_layer(layer, row, window, n_heads) for row in rows_of(states, lengths) if len(row)]
    assert_same_with_gradients(ours, torch.cat(slow), [states, *layer.parameters()])


def assert_same_with_gradients(ours, theirs, inputs, **tolerance):
    upstream = torch.randn(ours.shape, generator=torch.Generator().manual_seed(4), dtype=ours.dtype)
    torch.testing.assert_close(ours, theirs, **tolerance)
    for our, their in zip(
        torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream)
    ):
        torch.testing.assert_close(our, their, rtol=1e-6, atol=1e-9)


# Stacks together.


def encoder(query_windows, alpha, n_layers=1, n_heads=2, **other):
    made = MultiQueryEncoder(query_windows, alpha, n_layers=n_layers, n_heads=n_heads, **{**LAYER, **other})
    return randomise(made)


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize(
    ("windows", "alpha"),
    [([3], 0.5), ([1, 3], 0.3), ([1, 3], [0.3, 0.7]), ([2, 1, 4], [0.2, 0.5, 0.3]), ([1, 2, 3], "learned")],
)
def test_encoder_against_loops(windows, alpha, n_layers):
    lengths = [4, 1, 0, 6]
    ours = encoder(windows, alpha, n_layers)
    states = packed_states(lengths).requires_grad_()
    shares = {1: [1.0], 2: [0.3, 0.7], 3: [0.2, 0.5, 0.3]}[len(windows)]
    if alpha == "learned":
        exponents = ours.mix_logits.exp()
        shares = exponents / exponents.sum()
    rows = []
    for row in (row for row in rows_of(states, lengths) if len(row)):
        total = 0
        for window, share, stack in zip(windows, shares, ours.stacks):
            state = row
            for layer in stack.layers:
                state = slow_layer(layer, state, window, n_heads=2)
            total = total + share * torch.stack([norm(x, stack.final_norm) for x in state])
        rows.append(total)
    layout = Ragged(valid_mask(lengths, "right"), groups=3)
    assert_same_with_gradients(ours(states, layout), torch.cat(rows), [states, *ours.parameters()])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_heads", [1, 3])
def test_the_newest_positions_alone(n_heads, n_layers, lengths):
    """What ranking asks for, against all states, which training asks for."""
    made, states = encoder([1, 3], 0.4, n_layers, n_heads), packed_states(lengths).requires_grad_()
    layout = Ragged(valid_mask(lengths, "left"), groups=2)
    there = layout.lengths > 0
    ours, theirs = made(states, layout, newest=True), layout.last(made(states, layout))
    assert ours.shape == (len(lengths), D)
    assert_same_with_gradients(ours[there], theirs[there], [states, *made.parameters()])


def test_learned_weights_start_equal():
    made = MultiQueryEncoder([1, 2, 3], "learned", n_layers=1, n_heads=1, **LAYER)
    assert made.mix_logits.softmax(0).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("alpha", "n_windows", "weights"),
    [(0.25, 2, [0.25, 0.75]), ([0.2, 0.3, 0.5], 3, [0.2, 0.3, 0.5]), (0.25, 1, [1.0]), ("learned", 1, [1.0])],
)
def test_mixing_weights(alpha, n_windows, weights):
    assert mixing_weights(alpha, n_windows) == weights


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("groups", [2, 3, 6])
def test_any_number_of_groups_is_the_same(groups, lengths):
    made, states = encoder([1, 3], 0.4, n_layers=2), packed_states(lengths).requires_grad_()
    outputs = [made(states, Ragged(valid_mask(lengths, "left"), number)) for number in (groups, 1)]
    assert_same_with_gradients(*outputs, [states, *made.parameters()], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 4])
def test_the_future_changes_nothing_before_it(groups):
    lengths, made = [5, 3], encoder([1, 3], 0.5, n_layers=2)
    layout, states = Ragged(valid_mask(lengths, "left"), groups), packed_states(lengths)
    before = made(states, layout)
    for changed in range(5):
        other = states.clone()
        other[changed] += 1
        difference = (made(other, layout) - before).abs().amax(1)
        assert difference[:changed].max() == 0 if changed else True
        assert difference[changed:5].min() > 1e-6  # it and everything after it
        assert difference[5:].max() == 0  # the other sequence


@pytest.mark.parametrize(("alpha", "skipped"), [(1.0, 1), (0.0, 0), ([0.0, 1.0], 0)])
def test_a_stack_of_weight_0_is_not_computed(alpha, skipped):
    made, lengths = encoder([1, 3], alpha), [4, 2]

    def refuse(*_):
        raise AssertionError("computed")

    made.stacks[skipped].forward = refuse
    states, layout = packed_states(lengths), Ragged(valid_mask(lengths, "left"))
    output = made(states, layout)
    assert torch.equal(output, made.stacks[1 - skipped](states, layout))
    output.sum().backward()
    assert all(parameter.grad is None for parameter in made.stacks[skipped].parameters())
    assert (
        len(list(made.stacks[skipped].parameters())) == len(list(made.stacks[1 - skipped].parameters())) > 0
    )


def test_dropout_only_in_training():
    made = encoder([1, 3], 0.5, hidden_dropout_prob=0.5, attn_dropout_prob=0.5)
    states, layout = packed_states([4, 2]), Ragged(valid_mask([4, 2], "left"))
    assert torch.equal(made.eval()(states, layout), made(states, layout))
    assert not torch.equal(made.train()(states, layout), made(states, layout))
    quiet = encoder([1, 3], 0.5).train()
    assert torch.equal(quiet(states, layout), made.eval()(states, layout))


@pytest.mark.parametrize("window", [3, 50])
def test_a_further_window_costs_five_square_matrices_and_some_vectors(window):
    """Query, key, value and both feed-forward matrices with biases, and three norms; whatever the window."""

    def size(windows):
        settings = {"n_layers": 1, "n_heads": 1, "hidden_size": 64, "inner_size": 64, "layer_norm_eps": 1e-12}
        encoder = MultiQueryEncoder(windows, 0.5, hidden_dropout_prob=0.0, attn_dropout_prob=0.0, **settings)
        return sum(parameter.numel() for parameter in encoder.parameters())

    assert size([1, window]) - size([1]) == 5 * 64 * 64 + 11 * 64

# SPDX-License-Identifier: Apache-2.0
"""The update rule at its boundaries, where a comparison that is wrong by a rounding shows."""

import math

import pytest
import torch

from adafocal.losses import AdaFocalLoss, update_gammas

DTYPES = [torch.float32, torch.float64]
SWITCH_POINTS = [0.1, 0.2, 0.3, 0.35, 0.45, 0.7, 0.9, 1.1]


@pytest.mark.parametrize("gap_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("switch_point", SWITCH_POINTS)
def test_a_gamma_on_the_switch_point_stays_without_a_gap(dtype, gap_dtype, switch_point):
    gamma = torch.tensor([switch_point, -switch_point], dtype=dtype)

    assert torch.equal(update_gammas(gamma, torch.zeros(2, dtype=gap_dtype), switch_point=switch_point), gamma)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("switch_point", SWITCH_POINTS)
def test_a_gamma_that_arrives_at_the_switch_point_has_not_crossed_it(dtype, switch_point):
    # Without a step, yet with a gap: rate 0 leaves every gamma where it is, and the comparison alone decides.
    on = torch.tensor([switch_point, -switch_point], dtype=dtype)
    gap = torch.tensor([0.5, -0.5])

    assert torch.equal(update_gammas(on, gap, rate=0.0, switch_point=switch_point), on)
    below = torch.nextafter(on, torch.zeros_like(on))
    assert torch.equal(update_gammas(below, gap, rate=0.0, switch_point=switch_point), -on)
    above = torch.nextafter(on, torch.full_like(on, math.inf).copysign(on))
    assert torch.equal(update_gammas(above, gap, rate=0.0, switch_point=switch_point), above)


@pytest.mark.parametrize("gamma", [0.0, 0.1, -0.1, 0.199, -0.199, 1.0, -1.0, 20.0, -2.0])
@pytest.mark.parametrize("gap_dtype", DTYPES)
def test_without_a_gap_every_gamma_stays(gamma, gap_dtype):
    start = torch.tensor([gamma])

    assert torch.equal(update_gammas(start, torch.zeros(1, dtype=gap_dtype)), start)


# gamma, gap, and what becomes of it with rate 1, switch point 0.2 and bounds -2 and 20
TABLE = {
    "a focal gamma rises with over-confidence": (1.0, 0.5, math.exp(0.5)),
    "and falls with under-confidence": (1.0, -0.5, math.exp(-0.5)),
    "an inverse gamma shrinks with over-confidence": (-1.0, 0.5, -math.exp(-0.5)),
    "and grows with under-confidence": (-1.0, -0.5, -math.exp(0.5)),
    "below the switch point focal becomes inverse focal": (0.25, -0.5, -0.2),
    "and inverse focal becomes focal": (-0.25, 0.5, 0.2),
    "a gamma of 0 counts as inverse focal": (0.0, 0.5, 0.2),
    "a small positive gamma that moves turns": (0.1, 0.5, -0.2),
    "a small negative gamma that moves turns": (-0.1, 0.5, 0.2),
    "the largest gamma is the upper bound": (19.0, 0.5, 20.0),
    "the smallest gamma is the lower bound": (-1.9, -0.5, -2.0),
    "a step that ends within the bounds is not clipped": (19.0, 0.05, 19.0 * math.exp(0.05)),
}


@pytest.mark.parametrize("case", TABLE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rule_at_its_boundaries(case, dtype):
    gamma, gap, expected = TABLE[case]
    moved = update_gammas(torch.tensor([gamma], dtype=dtype), torch.tensor([gap], dtype=dtype))

    torch.testing.assert_close(moved, torch.tensor([expected], dtype=dtype))


def test_bounds_hold_in_the_dtype_of_the_gammas():
    gamma = torch.tensor([0.65, -0.65])
    moved = update_gammas(gamma, torch.tensor([1.0, -1.0], dtype=torch.float64), gamma_max=0.7, gamma_min=-0.7)

    assert torch.equal(moved, torch.tensor([0.7, -0.7]))
    assert torch.equal(update_gammas(moved, torch.tensor([1.0, -1.0]), gamma_max=0.7, gamma_min=-0.7), moved)


@pytest.mark.parametrize("switch_point", SWITCH_POINTS)
@pytest.mark.parametrize("streaming", [False, True])
def test_empty_bins_keep_their_gamma_through_many_updates(switch_point, streaming):
    criterion = AdaFocalLoss(n_bins=6, switch_point=switch_point, gamma_init=-switch_point, streaming=streaming)
    logits, labels = torch.tensor([[9.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    start = criterion.gamma.clone()
    for _ in range(3):
        criterion.observe(logits, labels)
        stats = criterion.adapt()

    empty = stats.count == 0
    assert empty.sum() == 4
    assert torch.equal(criterion.gamma[empty], start[empty])
    assert not torch.equal(criterion.gamma[~empty], start[~empty])


def test_what_is_no_gap_or_no_gamma_is_refused(rejects):
    one = torch.ones(2)
    with rejects(ValueError, "`gap` must lie in [-1, 1], got nan in bin 1."):
        update_gammas(one, torch.tensor([0.1, math.nan]))
    with rejects(ValueError, "`gap` must lie in [-1, 1], got 35.0 in bin 0."):
        update_gammas(one, torch.tensor([35.0, 0.0]))
    with rejects(ValueError, "`gamma` must be finite, got inf in bin 1."):
        update_gammas(torch.tensor([1.0, math.inf]), torch.zeros(2))
    with rejects(TypeError, "`gamma` must be a floating-point tensor, got ndarray: make it one by torch.as_tensor."):
        update_gammas(one.numpy(), torch.zeros(2))
    with rejects(TypeError, "`gap` must be a floating-point tensor, got dtype torch.int64."):
        update_gammas(one, torch.zeros(2).long())

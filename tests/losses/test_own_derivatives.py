# SPDX-License-Identifier: Apache-2.0
"""Losses with a derivative of their own give the numbers of their plain formula, once and twice differentiated."""

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import brier_loss, make_loss
from adafocal.losses.dual_focal import _gap_below_label
from adafocal.losses.logit_norm import normalised, normalised_formula
from adafocal.losses.margin import margin_penalty, penalty_formula

SHAPES = [(5,), (40, 7), (6, 4, 3, 2), (3, 2)]


def logits_of(shape, *, masked=False, scale=3.0):
    """Normal logits of few digits, so that some are equal; each row keeps a class that is not masked."""
    values = (scale * torch.randn(shape, dtype=torch.float64)).round()
    if masked:
        axis = min(1, len(shape) - 1)
        out = torch.rand(shape) < 0.3
        out &= torch.arange(shape[axis]).view(-1, *[1] * (len(shape) - axis - 1)) > 0
        values = values.masked_fill(out, -torch.inf)
    return values.requires_grad_()


def brier_formula(logits, labels):
    axis = min(1, logits.ndim - 1)
    target = F.one_hot(labels, logits.shape[axis]).movedim(-1, axis)
    return (logits.softmax(axis) - target).square().sum(axis)


def both(one, other, logits):
    """Differentiate two functions of the logits with the same weights of their results."""
    found = []
    for function in (one, other):
        value = function(logits)
        grad = (
            torch.ones_like(value) if value.ndim == 0 else torch.linspace(0.5, 2, value.numel()).view_as(value).double()
        )
        value = value.masked_fill(value.isinf(), 0.0)
        found.append((value.detach(), torch.autograd.grad(value, logits, grad)[0]))
    return found


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["brier", "logit_norm", "mbls"])
def test_value_and_slope_are_those_of_the_formula(name, shape, masked):
    logits, axis = logits_of(shape, masked=masked), min(1, len(shape) - 1)
    labels = torch.zeros(shape[:axis] + shape[axis + 1 :], dtype=torch.int64)
    own, plain = {
        "brier": (lambda z: brier_loss(z, labels), lambda z: brier_formula(z, labels)),
        "logit_norm": (lambda z: normalised(z, temperature=0.4), lambda z: normalised_formula(z, 0.4)),
        "mbls": (lambda z: margin_penalty(z, margin=2.0), lambda z: penalty_formula(z, 2.0, axis)),
    }[name]
    (value, slope), (value_too, slope_too) = both(own, plain, logits)

    assert slope.abs().amax() > 0
    torch.testing.assert_close(value, value_too, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(slope, slope_too, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["brier", "logit_norm", "mbls", "dual_focal"])
def test_slopes_have_slopes(name):
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    labels, criterion = torch.tensor([0, 1, 4, 2]), make_loss(name)

    assert torch.autograd.gradgradcheck(lambda z: criterion(z, labels), logits)


def test_the_brier_score_is_exact_where_the_truth_is_nearly_certain():
    logits = torch.tensor([[40.0, 0.0, 0.0]], requires_grad=True)
    loss = make_loss("brier")(logits, torch.tensor([0]))
    loss.backward()

    small = torch.tensor(40.0, dtype=torch.float64).neg().exp()
    assert loss.item() == pytest.approx((6 * small**2).item(), rel=1e-5)
    assert logits.grad[0, 0].item() == pytest.approx((-12 * small**2).item(), rel=1e-5)


def test_the_gap_of_the_dual_loss_is_to_the_largest_logit_strictly_below():
    logits = torch.tensor([[3.0, 1.0, 3.0, -1.0], [0.0, -torch.inf, 5.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    gaps = [_gap_below_label(logits, torch.full((3,), place)).tolist() for place in range(4)]

    inf = float("inf")
    assert gaps == [[2.0, inf, inf], [2.0, inf, inf], [2.0, 5.0, inf], [inf, inf, inf]]

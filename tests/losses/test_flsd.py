# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from adafocal.losses import FLSDLoss, FocalLoss, ScheduledFocalLoss, focal_loss, gamma_for_target
from adafocal.losses.flsd import flsd_gamma


@pytest.mark.parametrize(("epoch", "gamma"), [(0, 5.0), (99, 5.0), (100, 3.0), (249, 3.0), (250, 1.0), (349, 1.0)])
def test_scheduled_gamma_is_that_of_the_epoch(epoch, gamma):
    criterion = ScheduledFocalLoss(reduction="none")
    criterion.set_epoch(epoch)
    logits, labels = torch.randn(5, 3), torch.randint(3, (5,))
    torch.testing.assert_close(criterion(logits, labels), focal_loss(logits, labels, gamma=gamma))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.25, 0.3, 0.7])
def test_a_threshold_belongs_to_the_range_above_it(dtype, threshold):
    at = torch.tensor(threshold, dtype=dtype)
    p = torch.stack([torch.nextafter(at, at.new_zeros(())), at, torch.nextafter(at, at.new_ones(()))])

    assert flsd_gamma(p, thresholds=(threshold,), gammas=(5.0, 3.0)).tolist() == [5.0, 3.0, 3.0]
    assert flsd_gamma(p, thresholds=(0.05, threshold, 0.9), gammas=(1.0, 2.0, 3.0, 4.0)).tolist() == [2.0, 3.0, 3.0]


def test_the_default_is_gamma_5_below_a_fifth_and_3_from_there_on():
    p = torch.tensor([0.0, 0.1, 0.19999, 0.2, 0.20001, 0.9, 1.0])

    assert FLSDLoss().gamma_of(p).tolist() == [5.0, 5.0, 5.0, 3.0, 3.0, 3.0, 3.0]
    logits, label = torch.tensor([[0.19999, 0.80001], [0.20001, 0.79999]]).log(), torch.tensor([0, 0])
    expected = [focal_loss(logits[:1], label[:1], gamma=5.0), focal_loss(logits[1:], label[1:], gamma=3.0)]
    torch.testing.assert_close(FLSDLoss(reduction="none")(logits, label), torch.cat(expected))


def test_scheduled_gamma_travels_with_the_state_dict():
    criterion, restored = ScheduledFocalLoss(), ScheduledFocalLoss()
    criterion.set_epoch(120)
    restored.load_state_dict(criterion.state_dict())
    assert restored.gamma.item() == 3.0


@pytest.mark.parametrize("p", [0.01, 0.1, 0.2, 0.25, 0.4, 0.49])
def test_gamma_for_a_target_gives_the_gradient_of_cross_entropy_there(p):
    gamma = gamma_for_target(p)
    ratio = (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * math.log(p)
    assert ratio == pytest.approx(1.0, abs=1e-10)
    assert gamma > 0


@pytest.mark.parametrize("p", [0.1, 0.2, 0.25, 0.4])
def test_gamma_for_a_target_equals_the_lambert_w_formula_of_the_paper(p):
    special = pytest.importorskip("scipy.special")
    a, log_term = 1 - p, p * np.log(p)
    argument = a ** (1 - a / log_term) / log_term * np.log(a)
    expected = np.real(a / log_term + special.lambertw(-argument + 1e-12, k=-1) / np.log(a))
    assert gamma_for_target(p) == pytest.approx(expected, rel=1e-6)


def test_beyond_the_target_focal_gradients_are_weaker_than_those_of_cross_entropy():
    criterion = FocalLoss(gamma=gamma_for_target(0.3), reduction="sum")
    p = torch.tensor([0.2, 0.4], dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1).requires_grad_()
    criterion(logits, torch.tensor([0, 0])).backward()
    below, above = (logits.grad[:, 0].abs() / (1 - p)).tolist()  # over the gradient of cross-entropy
    assert below > 1 > above


def test_gamma_may_differ_per_class():
    criterion = FocalLoss(gamma=(0.0, 2.0, -1.0), reduction="none")
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = focal_loss(logits, labels, gamma=torch.tensor([0.0, 2.0, -1.0, -1.0, 2.0, 0.0]))
    torch.testing.assert_close(criterion(logits, labels), expected)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 3, 4)], ids=str)
def test_gamma_per_class_holds_for_each_class_of_a_soft_target(shape):
    gammas, axis = (0.0, 2.0, -1.0), min(1, len(shape) - 1)
    logits, target = torch.randn(shape), torch.randn(shape).softmax(axis)
    losses = FocalLoss(gamma=gammas, reduction="none")(logits, target)
    label_shape = losses.shape
    each = [target.select(axis, c) * focal_loss(logits, torch.full(label_shape, c), gamma=gammas[c]) for c in range(3)]
    torch.testing.assert_close(losses, sum(each))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: gamma_for_target(0.5), ValueError, "`p` must be a number > 0 and < 0.5, got 0.5."),
        (
            lambda: FocalLoss(gamma=(1.0, 2.0))(torch.zeros(1, 3), torch.tensor([0])),
            ValueError,
            "`gamma` must hold one number per class, 3, got 2.",
        ),
        (lambda: FocalLoss(gamma=("a",)), TypeError, "`gamma` must be a finite number, got 'a'."),
        (
            lambda: ScheduledFocalLoss(gammas=(1.0, 2.0), milestones=(5, 7)),
            ValueError,
            "`gammas` must hold one number more than `milestones`, 3, got 2.",
        ),
        (
            lambda: ScheduledFocalLoss(milestones=(0, 7)),
            ValueError,
            "`milestones` must be an integer >= 1, got 0.",
        ),
        (lambda: ScheduledFocalLoss().set_epoch(-1), ValueError, "`epoch` must be an integer >= 0, got -1."),
    ],
)
def test_bad_setting_is_refused(rejects, call, error, sentence):
    with rejects(error, sentence):
        call()

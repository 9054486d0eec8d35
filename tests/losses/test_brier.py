# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import BrierWeightedLoss, brier_loss, brier_weighted_loss


def test_brier_is_the_squared_distance_to_the_target():
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    expected = (logits.softmax(1) - F.one_hot(labels, 4)).square().sum(1)
    torch.testing.assert_close(brier_loss(logits, labels), expected)


def test_brier_of_a_soft_target_that_is_predicted_exactly_is_zero():
    target = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(brier_loss(target.log(), target), torch.zeros(1, dtype=torch.float64))


def test_brier_keeps_its_digits_close_to_certainty():
    logits, labels = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([0])
    exact = brier_loss(logits.double(), labels)
    torch.testing.assert_close(brier_loss(logits, labels).double(), exact, rtol=1e-3, atol=0)


def test_exponent_zero_is_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    expected = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(brier_weighted_loss(logits, labels, gamma=0.0, norm=2.0), expected)


@pytest.mark.parametrize(("gamma", "norm"), [(2.0, 2.0), (1.0, 1.0), (3.0, 1.5)])
def test_weight_is_the_norm_of_the_residual_and_scales_the_gradient_of_cross_entropy(gamma, norm):
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(4, (6,))
    residual = logits.detach().softmax(1) - F.one_hot(labels, 4)
    weight = residual.norm(p=norm, dim=1) ** gamma
    losses = brier_weighted_loss(logits, labels, gamma=gamma, norm=norm)
    torch.testing.assert_close(losses, weight * F.cross_entropy(logits, labels, reduction="none"))
    (grad,) = torch.autograd.grad(losses.sum(), logits)
    torch.testing.assert_close(grad, weight[:, None] * residual)


def test_default_weight_is_the_brier_score():
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    expected = brier_loss(logits, labels) * F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(BrierWeightedLoss(reduction="none")(logits, labels), expected)


def test_norm_below_one_is_refused(rejects):
    with rejects(ValueError, "`norm` must be a finite number >= 1, got 0.5."):
        BrierWeightedLoss(norm=0.5)


@pytest.mark.parametrize(
    "loss", [brier_loss, lambda *given, **o: brier_weighted_loss(*given, gamma=2.0, norm=2.0, **o)]
)
@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
def test_a_smoothed_label_is_the_target_that_it_stands_for(loss, smoothing):
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.randint(4, (6,))
    target = (1 - smoothing) * F.one_hot(labels, 4) + smoothing / 4

    torch.testing.assert_close(loss(logits, labels, label_smoothing=smoothing), loss(logits, target))
    torch.testing.assert_close(brier_loss(logits, target), (logits.softmax(1) - target).square().sum(1))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.5000001, 0.7, 1.0])
def test_brier_of_class_probabilities_is_the_squared_distance(share):
    logits, target = torch.randn(6, 2, dtype=torch.float64), torch.tensor([[share, 1 - share]] * 6, dtype=torch.float64)

    torch.testing.assert_close(brier_loss(logits, target), (logits.softmax(1) - target).square().sum(1))


def test_brier_takes_ignored_samples_out_and_weighs_the_others():
    logits, labels = torch.randn(3, 4, dtype=torch.float64), torch.tensor([2, 1, 3])
    losses = brier_loss(logits, labels, weight=torch.tensor([1.0, 2.0, 3.0, 4.0]), ignore_index=1)
    alone = (logits.softmax(1) - F.one_hot(labels, 4)).square().sum(1)

    torch.testing.assert_close(losses, alone * torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64))

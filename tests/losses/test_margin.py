# SPDX-License-Identifier: Apache-2.0
import math

import torch
import torch.nn.functional as F

from adafocal.losses import LogitNormLoss, MarginSmoothingLoss


def test_margin_penalty_is_the_mean_excess_below_the_largest_logit():
    logits, labels = torch.tensor([[5.0, 3.0, 0.0]]), torch.tensor([1])
    expected = F.cross_entropy(logits, labels) + 0.5 * (0 + 0 + 2.0) / 3
    torch.testing.assert_close(MarginSmoothingLoss(margin=3.0, penalty_weight=0.5)(logits, labels), expected)


def test_margin_wider_than_the_logits_is_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    torch.testing.assert_close(MarginSmoothingLoss(margin=100.0)(logits, labels), F.cross_entropy(logits, labels))


def test_masked_class_adds_no_margin_penalty():
    masked, labels = torch.tensor([[5.0, 3.0, -math.inf]]), torch.tensor([1])
    expected = F.cross_entropy(masked, labels) + 0.5 * (2.0 - 1.0) / 3
    torch.testing.assert_close(MarginSmoothingLoss(margin=1.0, penalty_weight=0.5)(masked, labels), expected)


def test_logit_norm_is_cross_entropy_of_logits_of_fixed_length():
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.randint(4, (6,))
    expected = F.cross_entropy(F.normalize(logits, dim=1) / 0.04, labels)
    torch.testing.assert_close(LogitNormLoss()(logits, labels), expected, rtol=1e-5, atol=0)


def test_longer_logits_do_not_lower_the_normalised_loss():
    logits, labels = 10 * torch.randn(6, 4, dtype=torch.float64), torch.randint(4, (6,))
    torch.testing.assert_close(
        LogitNormLoss()(100 * logits, labels), LogitNormLoss()(logits, labels), rtol=1e-5, atol=0
    )


def test_bad_settings_are_refused(rejects):
    with rejects(ValueError, "`margin` must be a finite number >= 0, got -1.0."):
        MarginSmoothingLoss(margin=-1.0)
    with rejects(ValueError, "`temperature` must be a finite number > 0, got 0.0."):
        LogitNormLoss(temperature=0.0)

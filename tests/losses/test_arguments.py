# SPDX-License-Identifier: Apache-2.0
"""What the functions among the losses refuse, in the sentences that a user sees."""

import math

import pytest
import torch

from adafocal.errors import AdafocalError
from adafocal.losses import (
    AdaFocalLoss,
    FLSDLoss,
    FocalLoss,
    MMCELoss,
    ScheduledFocalLoss,
    brier_weighted_loss,
    confidence_score,
    dual_focal_loss,
    focal_loss,
    inverse_focal_loss,
    linear_cross_entropy,
    make_loss,
    mmce_penalty,
    soft_rank,
    topology_loss,
)

Z, Y = torch.randn(3, 4), torch.tensor([0, 1, 2])
ADA = AdaFocalLoss()
HALF = torch.full((1, 1, 3), 0.5)
REFUSED = [
    (lambda: focal_loss(Z, Y, gamma=math.nan), "`gamma` must be a finite number, got nan."),
    (lambda: focal_loss(Z, Y, gamma="x"), "`gamma` must be a finite number, got 'x'."),
    (lambda: FocalLoss(gamma=10**5000), "`gamma` must be a finite number, got a int too long to show."),
    (lambda: FocalLoss(gamma=2**63), f"`gamma` must be a float where it takes more than 64 bits, got {2**63}."),
    (
        lambda: focal_loss(Z, Y, gamma=torch.ones(3, 1)),
        "`gamma` must be a number or have one per sample, (3,), got (3, 1).",
    ),
    (lambda: focal_loss(Z, Y, gamma=torch.ones(2)), "`gamma` must be a number or have one per sample, (3,), got (2,)."),
    (lambda: inverse_focal_loss(Z, Y, gamma=-1.0), "`gamma` must be a finite number >= 0, got -1.0."),
    (lambda: dual_focal_loss(Z, Y, gamma=math.nan), "`gamma` must be a finite number, got nan."),
    (lambda: brier_weighted_loss(Z, Y, gamma=-1.0, norm=2.0), "`gamma` must be a finite number >= 0, got -1.0."),
    (lambda: brier_weighted_loss(Z, Y, gamma=1.0, norm=0.0), "`norm` must be a finite number >= 1, got 0.0."),
    (lambda: focal_loss(Z, Y, gamma=1.0, weight=[1.0] * 4), "`weight` must be a floating-point tensor, got list."),
    (lambda: focal_loss(Z, Y, gamma=1.0, ignore_index=None), "`ignore_index` must be an integer, got None."),
    (
        lambda: mmce_penalty(Z, torch.tensor([0, 1, 9])),
        "`labels` must be class indices in [0, 4) or -100 (ignored), got 9 at position 2.",
    ),
    (
        lambda: mmce_penalty(torch.randn(2, 3, 4), torch.zeros(2, 4).long()),
        "`logits` must have shape (N, C), got (2, 3, 4).",
    ),
    (
        lambda: confidence_score(torch.tensor(1.0)),
        "`logits` must have shape (C,), (N, C) or (N, C, d1, …), got a scalar.",
    ),
    (lambda: soft_rank(Z, temperature=1.0), "`values` must have shape (N,), got (3, 4)."),
    (lambda: soft_rank(Y, temperature=1.0), "`values` must be a floating-point tensor, got dtype torch.int64."),
    (
        lambda: linear_cross_entropy(Z, torch.ones(5, 4), torch.tensor([0, 1, 5])),
        "`labels` must be class indices in [0, 5) or -100 (ignored), got 5 at position 2.",
    ),
    (
        lambda: linear_cross_entropy(Z, torch.ones(1, 4), Y * 0),
        "`weight` must have at least 2 classes, got shape (1, 4).",
    ),
    (
        lambda: ADA.from_cross_entropy(torch.tensor([-1.0, 0.5]), Y[:2]),
        "`ce` must hold cross-entropies -log p, >= 0, got -1.",
    ),
    (
        lambda: ADA.from_cross_entropy(torch.ones(2), torch.ones(2)),
        "`labels` must be class indices for `from_cross_entropy`, got probabilities.",
    ),
    (
        lambda: AdaFocalLoss(ignore_predicted=4).observe(Z, Y),
        "`ignore_predicted` must be a class index in [0, 4), got 4.",
    ),
    (lambda: topology_loss(HALF * 3, HALF), "`probs` must lie in [0, 1], got 1.5."),
    (lambda: topology_loss(HALF, HALF - 1), "`target` must lie in [0, 1], got -0.5."),
    (lambda: make_loss("focal", [1.0]), "`loss_args` must be names and values, got [1.0]."),
    (
        lambda: make_loss("cross_entropy", {"reduction": "average"}),
        "`reduction` must be one of 'none', 'mean', 'sum', got 'average'.",
    ),
    (lambda: make_loss("cross_entropy", {"weight": [1.0]}), "`weight` must be a floating-point tensor, got list."),
    (lambda: FocalLoss(gamma=[]), "`gamma` must be a finite number, got []."),
    (lambda: FLSDLoss(gammas=3.0), "`gammas` must be a sequence of numbers, got 3.0."),
    (lambda: ScheduledFocalLoss(milestones=3), "`milestones` must be a sequence of numbers, got 3."),
    (lambda: MMCELoss(weighted="yes"), "`weighted` must be True or False, got 'yes'."),
    (lambda: AdaFocalLoss(streaming="no"), "`streaming` must be True or False, got 'no'."),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_wrong_argument_gets_its_sentence(call, sentence, rejects):
    with rejects(AdafocalError, sentence):
        call()


def test_gammas_of_a_tensor_are_one_per_sample_or_per_sample_and_class():
    target = Z.softmax(1)
    per_sample = torch.tensor([0.0, 1.0, 2.0])
    alone = [focal_loss(Z[i], target[i], gamma=float(per_sample[i])) for i in range(3)]

    torch.testing.assert_close(focal_loss(Z, target, gamma=per_sample), torch.stack(alone))
    torch.testing.assert_close(focal_loss(Z, target, gamma=per_sample[:, None].expand(3, 4)), torch.stack(alone))


def test_a_kernel_that_misses_zero_by_a_rounding_is_taken():
    ce = torch.tensor([-1e-7, 0.5])

    torch.testing.assert_close(ADA.from_cross_entropy(ce, Y[:2]), ADA.from_cross_entropy(ce.clamp_min(0), Y[:2]))

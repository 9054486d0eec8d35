# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import AdaFocalLoss, DualFocalLoss, dual_focal_loss, focal_loss


@pytest.mark.parametrize("file", ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"])
@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.0])
def test_sum_and_gradient_equal_those_of_the_authors_code(reference, file, gamma):
    arrays = reference(file)
    logits = torch.from_numpy(arrays["logits"]).requires_grad_()
    loss = DualFocalLoss(gamma=gamma, reduction="sum")(logits, torch.from_numpy(arrays["labels"]))
    loss.backward()
    expected = torch.as_tensor(arrays[f"dual_focal_{gamma:g}_sum"])
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(
        logits.grad, torch.from_numpy(arrays[f"dual_focal_{gamma:g}_grad"]), rtol=1e-5, atol=1e-9
    )


def test_gamma_zero_is_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.randint(4, (6,))
    torch.testing.assert_close(
        dual_focal_loss(logits, labels, gamma=0.0), F.cross_entropy(logits, labels, reduction="none")
    )


def test_label_with_the_lowest_probability_gives_focal_loss():
    logits, labels = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([2])
    torch.testing.assert_close(dual_focal_loss(logits, labels, gamma=3.0), focal_loss(logits, labels, gamma=3.0))


def test_classes_tied_with_the_label_are_passed_over():
    logits, labels = torch.tensor([[1.0, 1.0, 0.0, -2.0]], dtype=torch.float64), torch.tensor([0])
    p = logits.softmax(1)[0]
    expected = -((1 - p[0] + p[2]) ** 2) * p[0].log()
    torch.testing.assert_close(dual_focal_loss(logits, labels, gamma=2.0), expected[None])


def test_negative_gamma_is_the_inverse_form():
    logits, labels = torch.tensor([[1.0, 0.5, -2.0]], dtype=torch.float64), torch.tensor([0])
    p = logits.softmax(1)[0]
    expected = -((1 + p[0] - p[1]) ** 2) * p[0].log()
    torch.testing.assert_close(dual_focal_loss(logits, labels, gamma=-2.0), expected[None])


def test_soft_targets_are_summed_class_by_class():
    logits, target = torch.randn(5, 4, dtype=torch.float64), torch.rand(5, 4, dtype=torch.float64).softmax(1)
    each = [dual_focal_loss(logits, torch.full((5,), c), gamma=2.0) for c in range(4)]
    expected = (target * torch.stack(each, dim=1)).sum(1)
    torch.testing.assert_close(dual_focal_loss(logits, target, gamma=2.0), expected)


@pytest.mark.parametrize("gamma", [-20.0, -0.5, 0.2, 0.5, 20.0])
def test_loss_and_gradient_are_finite_at_extreme_logits(gamma):
    rows = [[v, 0.0, -1.0] for v in (0.0, 1e-6, 30.0, 1e4, -30.0, -1e4)] + [[0.0, 30.0, -math.inf]]
    logits = torch.tensor(rows, requires_grad=True)
    losses = dual_focal_loss(logits, torch.zeros(len(rows), dtype=torch.int64), gamma=gamma)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert logits.grad.isfinite().all()


def test_adafocal_on_the_dual_base_bins_by_the_margin_to_the_next_lower_class():
    criterion = AdaFocalLoss(n_bins=3, base="dual", reduction="none")
    criterion.gamma.copy_(torch.tensor([-1.5, 0.5, 4.0]))
    criterion.edges.copy_(torch.tensor([0.2, 0.6]))
    p = torch.tensor([[0.45, 0.35, 0.2], [0.6, 0.3, 0.1], [0.9, 0.06, 0.04]], dtype=torch.float64)  # margin .1 .3 .84
    labels = torch.zeros(3, dtype=torch.int64)
    gammas = [-1.5, 0.5, 4.0]
    expected = [dual_focal_loss(p.log()[i], labels[i], gamma=gammas[i]) for i in range(3)]
    torch.testing.assert_close(criterion(p.log(), labels), torch.stack(expected))


def test_adafocal_on_the_dual_base_adapts_by_confidence_as_ever():
    logits, labels = torch.randn(50, 4), torch.randint(4, (50,))
    dual, plain = AdaFocalLoss(base="dual", n_bins=4), AdaFocalLoss(n_bins=4)
    for criterion in (dual, plain):
        criterion.observe(logits, labels)
        criterion.adapt()
    assert torch.equal(plain.gamma, dual.gamma)
    assert torch.equal(plain.edges, dual.edges)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: DualFocalLoss(gamma=-1.0), "`gamma` must be a finite number >= 0, got -1.0."),
        (
            lambda: AdaFocalLoss(base="double"),
            "`base` must be one of 'focal', 'dual', got 'double': did you mean 'dual'?",
        ),
    ],
)
def test_bad_setting_is_refused(rejects, build, sentence):
    with rejects(ValueError, sentence):
        build()

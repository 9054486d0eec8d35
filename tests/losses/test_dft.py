# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import LOSSES, DFTLoss, FLSDLoss, FocalLoss, InverseFocalLoss, dft_loss, make_loss


def batch(*shape):
    logits = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(shape[1], shape[:1] + shape[2:])


def test_loss_of_one_sample_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)

    assert dft_loss(logits, torch.tensor([0])).item() == pytest.approx(-0.75 * math.log(0.75))
    assert dft_loss(logits, torch.tensor([1])).item() == pytest.approx(-0.25 * math.log(0.25))


@pytest.mark.parametrize("shape", [(7, 4), (3, 4, 5), (2, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_are_those_of_cross_entropy_times_p(shape, reduction, weighted):
    logits, labels = batch(*shape)
    labels[0] = -100
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64) if weighted else None
    criterion = DFTLoss(weight, reduction=reduction)
    p = torch.exp(-F.cross_entropy(logits.detach(), labels, reduction="none"))
    ce = F.cross_entropy(logits, labels, weight, reduction="none")
    counted = labels[labels >= 0]
    total = len(counted) if weight is None else weight[counted].sum()
    expected = (p * ce).sum() / (total if reduction == "mean" else 1)
    loss = criterion(logits, labels)

    torch.testing.assert_close(loss.sum(), expected)
    torch.testing.assert_close(*(torch.autograd.grad(value.sum(), logits) for value in (loss, expected)))


def test_gradient_is_that_of_the_probability_itself():
    logits, labels = batch(9, 5)
    loss = DFTLoss(reduction="sum")(logits, labels)
    probability = -logits.softmax(1).gather(1, labels[:, None]).sum()

    torch.testing.assert_close(torch.autograd.grad(loss, logits), torch.autograd.grad(probability, logits))


def test_soft_targets_are_summed_over_classes():
    logits, target = batch(3, 4)[0], torch.rand(3, 4, dtype=torch.float64).softmax(1)
    log_p = logits.log_softmax(1)
    expected = -(target * log_p.exp().detach() * log_p).sum(1)

    torch.testing.assert_close(dft_loss(logits, target), expected)
    smoothed = DFTLoss(label_smoothing=0.2)(logits, torch.tensor([0, 1, 2]))
    target = 0.8 * F.one_hot(torch.tensor([0, 1, 2]), 4).double() + 0.05
    torch.testing.assert_close(smoothed, -(target * log_p.exp().detach() * log_p).sum(1).mean())


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_the_weight_is_constant_to_the_second_derivative_too(reduction):
    logits, labels = batch(5, 4)
    direction = torch.randn(5, 4, dtype=torch.float64)
    p = logits.detach().softmax(1).gather(1, labels[:, None])[:, 0]

    def curvature(loss):
        (grad,) = torch.autograd.grad(loss(logits).sum(), logits, create_graph=True)
        return torch.autograd.grad((grad * direction).sum(), logits)[0]

    expected = curvature(lambda z: p * F.cross_entropy(z, labels, reduction="none"))
    torch.testing.assert_close(curvature(lambda z: DFTLoss(reduction=reduction)(z, labels)), expected)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_truth_without_probability_has_neither_loss_nor_gradient(reduction):
    logits = torch.tensor([[-math.inf, 0.0, 1.0], [-1e4, 0.0, 1.0], [1e4, 0.0, -math.inf]], requires_grad=True)
    loss = DFTLoss(reduction=reduction)(logits, torch.tensor([0, 0, 0]))

    assert torch.equal(loss, torch.zeros_like(loss))
    assert torch.equal(torch.autograd.grad(loss.sum(), logits)[0], torch.zeros(3, 3))
    soft = torch.tensor([[0.5, 0.5, 0.0]] * 3)
    assert dft_loss(logits, soft)[:2].isfinite().all()


def test_the_family_on_one_line():
    """Weights of the cross-entropy of p = 0.75: (1 - p)^gamma, 1, (1 + p)^gamma, p; others are of no such form."""
    p = 0.75
    logits, labels = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64), torch.tensor([0])
    family = [FocalLoss(gamma=2.0), make_loss("cross_entropy"), InverseFocalLoss(gamma=2.0), DFTLoss()]

    weights = [float(criterion(logits, labels)) / -math.log(p) for criterion in family]
    assert weights == pytest.approx([(1 - p) ** 2, 1.0, (1 + p) ** 2, p])


FAMILY = ["focal", "inverse_focal", "flsd53", "flsc531", "dft", "adafocal"]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropies_of_any_kernel_serve_the_whole_family(name, reduction, weighted):
    logits, labels = torch.randn(40, 6, requires_grad=True), torch.randint(6, (40,))
    labels[:5] = -7
    criterion = make_loss(name, {"reduction": reduction, "ignore_index": -7})
    if weighted:
        criterion.weight = torch.rand(6)
    ce = F.cross_entropy(logits, labels, reduction="none", ignore_index=-7)
    ce = ce.masked_fill(labels == -7, torch.nan)
    loss, expected = criterion.from_cross_entropy(ce, labels), criterion(logits, labels)

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value.sum(), logits) for value in (loss, expected)))
    single = criterion.per_sample_from_cross_entropy(ce, labels)
    assert torch.equal(criterion.reduced(single, labels), loss)


def test_gammas_per_class_need_no_logits():
    logits, labels = torch.randn(40, 3), torch.randint(3, (40,))
    labels[:5] = -100
    criterion = FocalLoss(gamma=(0.5, 2.0, -1.0))
    ce = F.cross_entropy(logits, labels, reduction="none")

    torch.testing.assert_close(criterion.from_cross_entropy(ce, labels), criterion(logits, labels))


@pytest.mark.parametrize("criterion", [DFTLoss, FocalLoss, InverseFocalLoss, FLSDLoss])
def test_what_cannot_come_from_cross_entropies_is_refused(criterion, rejects):
    ce, labels = torch.ones(3), torch.zeros(3, dtype=torch.long)
    with rejects(ValueError, "`from_cross_entropy` needs `label_smoothing` 0 and `sigmoid` False, got 0.1 and False."):
        criterion(label_smoothing=0.1).from_cross_entropy(ce, labels)
    with rejects(ValueError, "`from_cross_entropy` needs `label_smoothing` 0 and `sigmoid` False, got 0.0 and True."):
        criterion(sigmoid=True).from_cross_entropy(ce, labels)
    with rejects(TypeError, "`labels` must be class indices for `from_cross_entropy`, got probabilities."):
        criterion().from_cross_entropy(ce, ce)
    with rejects(ValueError, "`ce` must hold cross-entropies -log p, >= 0, got -1."):
        criterion().from_cross_entropy(-ce, labels)


def test_an_answer_of_a_sigmoid_is_one_of_two_classes():
    logits, answers = torch.randn(6, 3, dtype=torch.float64, requires_grad=True), torch.randint(2, (6, 3))
    both = torch.stack([torch.zeros_like(logits), logits], dim=1)
    loss, expected = DFTLoss(sigmoid=True)(logits, answers), DFTLoss()(both, answers)

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits) for value in (loss, expected)))


def test_it_is_entered_as_it_is():
    spec = LOSSES["dft"]

    assert (spec.cls, spec.detached, spec.soft_labels, spec.pointwise) == (DFTLoss, True, True, True)
    assert isinstance(make_loss("dft"), DFTLoss)

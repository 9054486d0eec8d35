# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import FLSDLoss, FocalLoss, InverseFocalLoss, focal_loss, inverse_focal_loss

REFERENCES = ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"]
GAMMAS = [-20.0, -5.0, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 5.0, 20.0]
LOGITS = [0.0, 1e-6, 1.0, 30.0, 100.0, 1e4, -math.inf]
SHAPES = [(4,), (6, 4), (2, 4, 3), (2, 4, 3, 2)]


def labels_for(shape, n_classes=4):
    return torch.randint(n_classes, () if len(shape) == 1 else shape[:1] + shape[2:])


def with_grad(loss, logits):
    logits = logits.clone().requires_grad_()
    value = loss(logits)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize("file", REFERENCES)
@pytest.mark.parametrize(
    ("name", "criterion"),
    [(f"focal_{gamma:g}", FocalLoss(gamma=gamma, reduction="sum")) for gamma in (0.5, 1.0, 2.0, 3.0, 5.0)]
    + [(f"inverse_focal_{gamma:g}", InverseFocalLoss(gamma=gamma, reduction="sum")) for gamma in (1.0, 2.0, 3.0)]
    + [("flsd53", FLSDLoss(reduction="sum"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sum_and_gradient_equal_those_of_the_authors_code(reference, file, name, criterion):
    arrays = reference(file)
    labels = torch.from_numpy(arrays["labels"])
    loss, grad = with_grad(lambda logits: criterion(logits, labels), torch.from_numpy(arrays["logits"]))
    torch.testing.assert_close(loss, torch.as_tensor(arrays[f"{name}_sum"]), rtol=1e-5, atol=0)
    torch.testing.assert_close(grad, torch.from_numpy(arrays[f"{name}_grad"]), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_gamma_zero_is_cross_entropy(shape, reduction, label_smoothing, weighted, soft):
    logits = torch.randn(shape, dtype=torch.float64)
    labels = torch.randn(shape, dtype=torch.float64).softmax(min(1, len(shape) - 1)) if soft else labels_for(shape)
    if not soft and labels.ndim > 0:
        labels[0] = 2
        labels.view(-1)[-1] = -7
    options = {
        "weight": torch.rand(4, dtype=torch.float64) + 0.5 if weighted else None,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    if not soft:
        options["ignore_index"] = -7
    expected = with_grad(lambda z: F.cross_entropy(z, labels, **options).sum(), logits)
    actual = with_grad(lambda z: FocalLoss(gamma=0.0, **options)(z, labels).sum(), logits)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_soft_targets_that_are_one_hot_equal_class_indices(gamma):
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 1])
    one_hot = F.one_hot(labels, 4).float()
    torch.testing.assert_close(focal_loss(logits, one_hot, gamma=gamma), focal_loss(logits, labels, gamma=gamma))


def test_soft_targets_are_summed_over_classes():
    logits, target = torch.randn(3, 4), torch.rand(3, 4).softmax(1)
    p = logits.softmax(1)
    expected = (target * (1 - p) ** 2 * -p.log()).sum(1)
    torch.testing.assert_close(focal_loss(logits, target, gamma=2.0), expected)


def test_inverse_focal_is_focal_of_the_negative_gamma():
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 1])
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    expected = -((1 + p) ** 1.5) * p.log()
    torch.testing.assert_close(inverse_focal_loss(logits, labels, gamma=1.5), expected)
    torch.testing.assert_close(focal_loss(logits, labels, gamma=-1.5), expected)


def test_gamma_may_differ_per_sample():
    logits, labels = torch.randn(4, 3, 2), torch.randint(3, (4, 2))
    gamma = torch.tensor([[-2.0, 0.0], [0.5, 1.0], [3.0, -1.0], [20.0, 0.2]])
    together = focal_loss(logits, labels, gamma=gamma)
    for sample in range(4):
        for pixel in range(2):
            alone = focal_loss(logits[sample, :, pixel], labels[sample, pixel], gamma=gamma[sample, pixel].item())
            torch.testing.assert_close(together[sample, pixel], alone)


def test_gamma_per_sample_holds_for_every_class_of_a_soft_target():
    logits, target = torch.randn(2, 3), torch.rand(2, 3).softmax(1)
    together = focal_loss(logits, target, gamma=torch.tensor([2.0, -1.0]))
    torch.testing.assert_close(together[0], focal_loss(logits[:1], target[:1], gamma=2.0)[0])
    torch.testing.assert_close(together[1], focal_loss(logits[1:], target[1:], gamma=-1.0)[0])


def test_gamma_gets_no_gradient():
    gamma = torch.tensor([2.0], requires_grad=True)
    logits = torch.randn(1, 3, requires_grad=True)
    focal_loss(logits, torch.tensor([1]), gamma=gamma).sum().backward()
    assert gamma.grad is None
    assert logits.grad is not None


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "autocast"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_loss_and_gradient_are_finite_for_every_logit_and_gamma(gamma, kind, per_sample):
    rows = [[value, 0.0, -1.0] for value in LOGITS[:-1]] + [[-value, 0.0, 1.0] for value in LOGITS[:-1]]
    rows += [[value, -math.inf, -math.inf] for value in LOGITS[:-1]] + [[0.0, value, -math.inf] for value in LOGITS]
    logits = torch.tensor(rows, dtype=torch.bfloat16 if kind == "autocast" else getattr(torch, kind))
    labels = torch.zeros(len(rows), dtype=torch.int64)
    gammas = torch.full((len(rows),), gamma) if per_sample else gamma
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast"):
        losses = None

        def mean(z):
            nonlocal losses
            losses = focal_loss(z, labels, gamma=gammas)
            return losses.float().mean()

        loss, grad = with_grad(mean, logits)
    assert losses.dtype == (torch.float32 if kind == "autocast" else logits.dtype)
    assert losses.isfinite().all()
    assert loss.isfinite()
    assert grad.isfinite().all()
    assert (losses >= 0).all()


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradient_and_its_gradient_agree_with_finite_differences(gamma):
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 1])
    per_sample = torch.full((4,), gamma, dtype=torch.float64)
    for value in (gamma, per_sample):
        assert torch.autograd.gradcheck(lambda z, g=value: focal_loss(z, labels, gamma=g), logits)
        assert torch.autograd.gradgradcheck(lambda z, g=value: focal_loss(z, labels, gamma=g), logits)


def test_half_precision_is_computed_in_float32():
    logits = torch.tensor([[8.0, 0.0, 0.0]], dtype=torch.float16)
    exact = focal_loss(logits.double(), torch.tensor([0]), gamma=1.0)
    torch.testing.assert_close(focal_loss(logits, torch.tensor([0]), gamma=1.0), exact.half(), rtol=2e-3, atol=1e-7)


def test_small_distance_to_certainty_is_not_lost():
    logits, labels = torch.tensor([[14.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 0])
    ce = F.cross_entropy(logits, labels, reduction="none").double()
    expected = (-torch.expm1(-ce) * ce).float()  # 1 - exp(-ce) in float32 would keep one digit
    torch.testing.assert_close(focal_loss(logits, labels, gamma=1.0), expected, rtol=1e-6, atol=0)


def test_flsd_takes_the_gamma_of_the_range_above_a_threshold():
    criterion = FLSDLoss(thresholds=(0.25, 0.5), gammas=(5.0, 3.0, 1.0), reduction="none")
    p = torch.tensor([0.1, 0.25, 0.3, 0.5, 0.9], dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    gamma = torch.tensor([5.0, 3.0, 3.0, 1.0, 1.0])
    labels = torch.zeros(5, dtype=torch.int64)
    torch.testing.assert_close(criterion(logits, labels), -((1 - p) ** gamma) * p.log())


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: FocalLoss(gamma="2"), TypeError, "`gamma` must be a finite number, got '2'."),
        (lambda: FocalLoss(gamma=math.nan), ValueError, "`gamma` must be a finite number, got nan."),
        (lambda: InverseFocalLoss(gamma=-1.0), ValueError, "`gamma` must be a finite number >= 0, got -1.0."),
        (
            lambda: FLSDLoss(thresholds=(0.5, 0.2), gammas=(1.0, 2.0, 3.0)),
            ValueError,
            "`thresholds` must be strictly ascending, got (0.5, 0.2).",
        ),
        (
            lambda: FLSDLoss(gammas=(1.0,)),
            ValueError,
            "`gammas` must hold one number more than `thresholds`, 2, got 1.",
        ),
        (
            lambda: FLSDLoss(thresholds=(1.0,)),
            ValueError,
            "`thresholds` must be a number > 0 and < 1, got 1.0.",
        ),
    ],
)
def test_bad_setting_is_refused(rejects, build, error, sentence):
    with rejects(error, sentence):
        build()

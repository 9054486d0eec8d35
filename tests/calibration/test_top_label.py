# SPDX-License-Identifier: Apache-2.0
"""The event of top-label calibration."""

import pytest
import torch

from adafocal.calibration import top_label_from_logits, top_label_from_probs
from adafocal.calibration.top_label import class_rows, probs_top_label, softmax_top_label


def test_confidence_is_the_largest_probability_and_correct_says_whether_its_class_is_the_label():
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    confidence, correct = top_label_from_probs(probs, torch.tensor([0, 1]))

    torch.testing.assert_close(confidence, torch.tensor([0.7, 0.6]))
    assert correct.tolist() == [True, False]


@pytest.mark.parametrize(("shape", "label_shape"), [((5,), ()), ((7, 5), (7,)), ((2, 5, 3, 4), (2, 3, 4))])
def test_logits_give_what_their_softmax_gives(shape, label_shape):
    logits, labels = torch.randn(shape) * 4, torch.randint(5, label_shape)
    confidence, correct = top_label_from_logits(logits, labels)
    expected_confidence, expected_correct = top_label_from_probs(logits.softmax(min(1, logits.ndim - 1)), labels)

    torch.testing.assert_close(confidence, expected_confidence)
    assert torch.equal(correct, expected_correct)
    assert confidence.shape == label_shape


def test_the_lowest_class_wins_ties():
    confidence, correct = top_label_from_logits(torch.zeros(2, 4), torch.tensor([0, 1]))

    assert confidence.tolist() == [0.25, 0.25]
    assert correct.tolist() == [True, False]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_confidence_never_leaves_zero_and_one(scale):
    confidence, _ = top_label_from_logits(torch.randn(1000, 3) * scale, torch.zeros(1000, dtype=torch.int64))

    assert confidence.max() <= 1
    assert confidence.min() >= 1 / 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    logits, labels = torch.randn(50, 10).to(dtype), torch.randint(10, (50,))
    confidence, _ = top_label_from_logits(logits, labels)

    assert confidence.dtype == torch.float32
    torch.testing.assert_close(confidence, logits.float().softmax(1).amax(1))


def test_a_masked_class_is_never_the_top_label():
    confidence, correct = top_label_from_logits(torch.tensor([[-torch.inf, 0.0]]), torch.tensor([1]))

    assert confidence.item() == 1.0
    assert correct.item() is True


def test_bad_inputs_are_rejected(rejects):
    with rejects(TypeError, "`probs` must be a floating-point tensor, got dtype torch.int64."):
        top_label_from_probs(torch.ones(2, 3, dtype=torch.int64), torch.tensor([0, 1]))
    with rejects(ValueError, "`labels` must have shape (2,) for `logits` of shape (2, 3), got (3,)."):
        top_label_from_logits(torch.ones(2, 3), torch.tensor([0, 1, 2]))


def top_label_of_probs(values, labels, axis):
    return probs_top_label(class_rows(values, axis), labels, axis)


@pytest.mark.parametrize("shape", [(3,), (500, 3), (500, 31), (500, 32), (500, 200), (40, 4, 5, 6), (0, 3), (0, 30)])
@pytest.mark.parametrize("kind", ["distinct", "tied", "nan"])
@pytest.mark.parametrize("top_label", [top_label_of_probs, softmax_top_label])
def test_top_label_is_that_of_a_search_whatever_the_number_of_classes(shape, kind, top_label):
    values = torch.rand(shape)
    if kind == "tied":
        values = values.mul(4).round().div(4)
    if kind == "nan" and values.numel():
        values.view(-1)[1] = torch.nan
    axis = min(1, len(shape) - 1)
    labels = torch.randint(-1, shape[axis] + 1, (*shape[:axis], *shape[axis + 1 :]))
    largest, predicted = values.max(dim=axis)
    confidence, correct = top_label(values, labels, axis)
    if top_label is softmax_top_label:
        largest = values.double().softmax(dim=axis).amax(dim=axis).float()
    rounding = 4 * torch.finfo(torch.float32).eps if top_label is softmax_top_label else 0
    torch.testing.assert_close(confidence, largest, rtol=rounding, atol=0, equal_nan=True)
    assert correct.tolist() == (predicted == labels).tolist()
    transposed = values.t().contiguous().t() if values.ndim == 2 else values
    assert top_label(transposed, labels, axis)[1].tolist() == correct.tolist()


@pytest.mark.parametrize("n_classes", [3, 40])
def test_extreme_logits_have_the_confidence_that_they_have(n_classes):
    logits = torch.full((4, n_classes), -torch.inf)
    logits[:, 0], logits[0, 1], logits[1, 1] = 1e4, 1e4, -1e4
    logits[3] = -torch.inf
    confidence, correct = softmax_top_label(logits, torch.zeros(4, dtype=torch.int64), 1)
    assert confidence[:3].tolist() == [0.5, 1, 1]
    assert confidence[3].isnan()
    assert correct[:3].all()


def test_top_label_has_a_gradient():
    logits = torch.rand(5, 3, requires_grad=True)
    top_label_from_logits(logits, torch.zeros(5, dtype=torch.int64))[0].sum().backward()
    assert bool((logits.grad.abs().sum(dim=1) > 0).all())

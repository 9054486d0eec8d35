# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from adafocal.calibration import top_label_from_features, top_label_from_logits
from adafocal.losses import AdaFocalLoss, linear_cross_entropy
from adafocal.losses.linear import recomputed_cross_entropy

N, CLASSES, WIDTH = 60, 200, 16


def head(dtype=torch.float32):
    features = torch.randn(5, 12, WIDTH, dtype=dtype, requires_grad=True)
    weight, bias = torch.randn(CLASSES, WIDTH, dtype=dtype), torch.randn(CLASSES, dtype=dtype)
    labels = torch.randint(CLASSES, (5, 12))
    labels[0, :4] = -100
    return features, weight.requires_grad_(), bias.requires_grad_(), labels


def adapted(**options):
    criterion = AdaFocalLoss(n_bins=3, **options)
    criterion.gamma.copy_(torch.tensor([-1.0, 0.5, 3.0]))
    criterion.edges.copy_(torch.tensor([0.002, 0.01]))
    return criterion


class Largest(TorchDispatchMode):
    """Note the size of the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, torch.Tensor):
                self.numel = max(self.numel, value.numel())
        return result


@pytest.mark.parametrize("size", [1, 7, 60, None])
@pytest.mark.parametrize("with_bias", [False, True])
def test_chunks_give_the_loss_and_gradients_of_all_logits_at_once(size, with_bias):
    features, weight, bias, labels = head()
    bias = bias if with_bias else None
    leaves = [leaf for leaf in (features, weight, bias) if leaf is not None]
    logits = F.linear(features, weight, bias).movedim(-1, 1)
    ce = linear_cross_entropy(features, weight, labels, bias=bias, chunk_size=size)
    plain, chunked = adapted()(logits, labels), adapted().from_cross_entropy(ce, labels)

    torch.testing.assert_close(ce, F.cross_entropy(logits, labels, reduction="none"))
    torch.testing.assert_close(chunked, plain)
    torch.testing.assert_close(torch.autograd.grad(chunked, leaves), torch.autograd.grad(plain, leaves))


def test_an_older_torch_gives_the_same_and_never_holds_all_logits():
    features, weight, bias, labels = head(torch.float64)
    rows, flat = features.reshape(N, WIDTH), labels.flatten()
    with Largest() as seen:
        ce = recomputed_cross_entropy(rows, weight, flat, bias, -100, 7)
        grads = torch.autograd.grad(ce.sum(), (features, weight, bias))
    expected = F.cross_entropy(F.linear(rows, weight, bias), flat, reduction="none")

    torch.testing.assert_close(ce, expected)
    torch.testing.assert_close(grads, torch.autograd.grad(expected.sum(), (features, weight, bias)))
    assert seen.numel == max(7 * CLASSES, CLASSES * WIDTH) < N * CLASSES


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_float32_of_its_logits(dtype):
    features, weight, bias, labels = head(dtype)
    ce = linear_cross_entropy(features, weight, labels, bias=bias, chunk_size=7)
    logits = F.linear(features, weight, bias).float().movedim(-1, 1)

    assert ce.dtype == torch.float32
    torch.testing.assert_close(ce, F.cross_entropy(logits, labels, reduction="none"), rtol=1e-2, atol=1e-2)


def test_autocast_reaches_the_head():
    features, weight, bias, labels = head()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ce = linear_cross_entropy(features, weight, labels, bias=bias, chunk_size=7)
        logits = F.linear(features, weight, bias)

    assert logits.dtype == torch.bfloat16
    expected = F.cross_entropy(logits.float().movedim(-1, 1), labels, reduction="none")
    torch.testing.assert_close(ce, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropies_of_any_kernel_take_the_options_of_the_loss(reduction):
    logits, labels = torch.randn(40, 6), torch.randint(6, (40,))
    labels[:5] = -100
    criterion = adapted(weight=torch.rand(6), reduction=reduction)
    ce = F.cross_entropy(logits, labels, reduction="none").masked_fill(labels == -100, torch.nan)

    torch.testing.assert_close(criterion.from_cross_entropy(ce, labels), criterion(logits, labels))


def test_what_needs_all_probabilities_cannot_come_from_cross_entropies(rejects):
    ce, labels = torch.ones(3), torch.zeros(3, dtype=torch.long)
    sentence = "`from_cross_entropy` needs `base` 'focal', `label_smoothing` 0 and `sigmoid` False, got {}."
    with rejects(ValueError, sentence.format("'dual', 0.0 and False")):
        AdaFocalLoss(base="dual").from_cross_entropy(ce, labels)
    with rejects(ValueError, sentence.format("'focal', 0.1 and False")):
        AdaFocalLoss(label_smoothing=0.1).from_cross_entropy(ce, labels)
    with rejects(ValueError, "`labels` must have the shape of `ce`, (3,), got (2,)."):
        AdaFocalLoss().from_cross_entropy(ce, labels[:2])


@pytest.mark.parametrize("streaming", [False, True])
def test_observing_top_labels_is_observing_logits(streaming):
    features, weight, bias, labels = head()
    with torch.no_grad():
        logits = F.linear(features, weight, bias)
    whole, top = AdaFocalLoss(n_bins=4, streaming=streaming), AdaFocalLoss(n_bins=4, streaming=streaming)
    whole.observe(logits.movedim(-1, 1), labels)
    confidence, correct = top_label_from_features(features, weight, labels, bias=bias, chunk_size=7)
    counted = labels != -100
    top.observe_top_label(confidence[counted], correct[counted])
    top.observe_top_label(confidence[:0], correct[:0])

    torch.testing.assert_close(confidence, top_label_from_logits(logits.movedim(-1, 1), labels)[0])
    assert confidence.shape == labels.shape
    assert not correct.requires_grad
    whole.adapt()
    top.adapt()
    torch.testing.assert_close(top.gamma, whole.gamma)
    torch.testing.assert_close(top.edges, whole.edges)


def test_top_labels_never_need_all_logits():
    features, weight, _, labels = head()
    with Largest() as seen:
        top_label_from_features(features, weight, labels, chunk_size=7)

    assert seen.numel == max(7 * CLASSES, CLASSES * WIDTH)


def test_wrong_top_labels_are_told_in_one_sentence(rejects):
    criterion, right = AdaFocalLoss(), torch.tensor([True, False])
    with rejects(ValueError, "`confidence` must be in [0, 1], got 1.5 in sample 1."):
        criterion.observe_top_label(torch.tensor([0.5, 1.5]), right)
    with rejects(ValueError, "`confidence` must be in [0, 1], got nan in sample 0."):
        criterion.observe_top_label(torch.tensor([torch.nan, 0.5]), right)
    with rejects(TypeError, "`correct` must be a boolean tensor, got dtype torch.int64."):
        criterion.observe_top_label(torch.rand(2), right.long())
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (3,), got (2,)."):
        criterion.observe_top_label(torch.rand(3), right)
    with rejects(ValueError, "`adapt` needs at least one observed validation sample, got 0: call `observe` first."):
        criterion.adapt()


@pytest.mark.parametrize("function", [linear_cross_entropy, top_label_from_features])
def test_heads_that_do_not_fit_are_told_in_one_sentence(function, rejects):
    features, weight, labels = torch.randn(4, 3), torch.randn(9, 3), torch.zeros(4, dtype=torch.long)
    sentence = "`weight` must have shape (C, D) for `features` of shape (…, D), got (9, 2) for (4, 3)."
    with rejects(ValueError, sentence):
        function(features, weight[:, :2], labels)
    with rejects(ValueError, "`labels` must have the leading shape of `features`, (4,), got (3,)."):
        function(features, weight, labels[:3])
    with rejects(TypeError, "`labels` must be integer class indices, got dtype torch.float32."):
        function(features, weight, labels.float())
    with rejects(ValueError, "`bias` must have shape (9,), one per class, got (3,)."):
        function(features, weight, labels, bias=torch.zeros(3))
    with rejects(ValueError, "`chunk_size` must be an integer >= 1, got 0."):
        function(features, weight, labels, chunk_size=0)

# SPDX-License-Identifier: Apache-2.0
"""What losses share that add a penalty to any other loss."""

import copy
import pickle

import pytest
import torch
from torch import nn

from adafocal.losses import LOSSES, AdaFocalLoss, FocalLoss, L1ACELoss, NACLLoss, make_loss
from adafocal.losses.penalised import PenalisedLoss, innermost

KINDS = [L1ACELoss, NACLLoss]
SHAPES = [(2, 3, 8), (2, 3, 4, 5), (2, 3, 4, 3, 2)]
BASES = [name for name in LOSSES if not issubclass(LOSSES[name].cls, PenalisedLoss) and not LOSSES[name].dense]
every_kind = pytest.mark.parametrize("kind", KINDS)


def batch(shape=(2, 3, 4, 5), dtype=torch.float64):
    return torch.randn(shape, dtype=dtype), torch.randint(shape[1], shape[:1] + shape[2:])


def value_and_grad(criterion, logits, labels):
    logits = logits.detach().clone().requires_grad_()
    loss = criterion(logits, labels)
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


@every_kind
@pytest.mark.parametrize("base", BASES)
def test_any_loss_of_the_catalogue_is_a_base(kind, base):
    logits, labels = batch()
    labels[0, 0] = -100
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    alone = make_loss(base, {"weight": weight, "reduction": "mean"})
    without = kind(weight, base=base, penalty_weight=0.0).eval()
    both = kind(weight, base=base, penalty_weight=2.0).eval()
    penalty = kind(weight, base=nn.Identity(), penalty_weight=2.0)
    penalty.base = Zero()

    torch.testing.assert_close(without(logits, labels), alone.eval()(logits, labels))
    torch.testing.assert_close(both(logits, labels), without(logits, labels) + penalty(logits, labels))


class Zero(nn.Module):
    def forward(self, logits, labels):
        return torch.zeros_like(labels, dtype=logits.dtype)


class Overlap(nn.Module):
    """A Dice loss of class 1: one number for a batch."""

    def forward(self, logits, labels):
        p, y = logits.softmax(1)[:, 1], (labels == 1).to(logits)
        return 1 - 2 * (p * y).sum() / (p + y).sum()


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_a_module_that_reduces_by_itself_is_part_of_the_mean_once(kind, weighted):
    logits, labels = batch()
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64) if weighted else None
    only = kind(weight, base=Zero())(logits, labels)

    torch.testing.assert_close(kind(weight, base=Overlap())(logits, labels), Overlap()(logits, labels) + only)


@every_kind
def test_label_smoothing_that_is_asked_for_reaches_a_base_with_a_share_of_its_own(kind):
    logits, labels = batch()
    for asked, share in ((0.0, 0.05), (0.3, 0.3)):
        criterion = kind(base="label_smoothing", label_smoothing=asked, penalty_weight=0.0)
        torch.testing.assert_close(
            criterion(logits, labels), nn.CrossEntropyLoss(label_smoothing=share)(logits, labels)
        )


@every_kind
def test_penalties_are_added_to_each_other(kind):
    logits, labels = batch()
    other = KINDS[1 - KINDS.index(kind)]
    found = kind(base=other(reduction="none"))(logits, labels)
    plain = nn.CrossEntropyLoss()(logits, labels)

    torch.testing.assert_close(found - plain, sum(one()(logits, labels) - plain for one in KINDS))


@every_kind
def test_an_adaptive_base_is_found_and_adapts_while_it_trains(kind):
    criterion = kind(base="adafocal", base_args={"streaming": True, "ignore_predicted": 0, "n_bins": 4})
    inner = innermost(kind(base=criterion))

    assert isinstance(inner, AdaFocalLoss)
    logits, labels = batch((4, 3, 6, 6))
    before = criterion(logits, labels)
    inner.observe(5 * logits, labels)
    inner.adapt()
    assert float(inner.gamma.max()) > 1.0
    assert float(criterion(logits, labels)) != float(before)


@every_kind
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions_are_those_of_cross_entropy(kind, shape, weighted):
    logits, labels = batch(shape)
    labels[0, 0] = -100
    weight = torch.rand(3, dtype=torch.float64) if weighted else None
    none, total, mean = (kind(weight, reduction=name)(logits, labels) for name in ("none", "sum", "mean"))
    counted = labels[labels != -100]
    divisor = len(counted) if weight is None else weight[counted].sum()

    assert none.shape == labels.shape
    assert bool((none[labels == -100] == 0).all())
    torch.testing.assert_close(none.sum(), total)
    torch.testing.assert_close(total / divisor, mean)


@every_kind
@pytest.mark.parametrize("kind_of_labels", ["empty", "all ignored"])
def test_a_batch_of_nothing_behaves_like_cross_entropy(kind, kind_of_labels):
    shape = (0, 3, 4) if kind_of_labels == "empty" else (2, 3, 4)
    logits, labels = torch.randn(shape), torch.full((shape[0], 4), -100)
    for reduction in ("none", "mean", "sum"):
        loss, grad = value_and_grad(kind(reduction=reduction), logits, labels)
        torch.testing.assert_close(loss, nn.CrossEntropyLoss(reduction=reduction)(logits, labels), equal_nan=True)
        assert bool((grad == 0).all())


@every_kind
@pytest.mark.parametrize("how", ["float32", "float16", "bfloat16", "autocast"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
def test_loss_and_gradient_are_finite_at_extreme_logits(kind, how, scale):
    dtype = torch.bfloat16 if how == "autocast" else getattr(torch, how)
    logits, labels = batch(dtype=torch.float32)
    logits = (scale * logits.sign()).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how == "autocast"):
        loss, grad = value_and_grad(kind(), logits, labels)

    assert loss.dtype == (torch.float32 if how == "autocast" else dtype)
    assert bool(loss.isfinite())
    assert bool(grad.isfinite().all())


@every_kind
def test_float32_agrees_with_float64(kind):
    logits, labels = batch((2, 3, 6, 6))
    wide, narrow = (value_and_grad(kind(), values, labels) for values in (logits, logits.float()))

    torch.testing.assert_close(narrow[0].double(), wide[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(narrow[1].double(), wide[1], rtol=1e-4, atol=1e-6)


@every_kind
def test_the_compiler_captures_the_whole_graph(kind, unchecked_shapes):
    logits, labels = batch(dtype=torch.float32)
    compiled = torch.compile(kind(), fullgraph=True, backend="eager")

    for found, expected in zip(
        value_and_grad(compiled, logits, labels), value_and_grad(kind(), logits, labels), strict=True
    ):
        torch.testing.assert_close(found, expected)


@every_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_gives_the_same_loss_and_settings_show(kind, copied):
    criterion = kind(base="focal", base_args={"gamma": 2.0}, penalty_weight=0.3)
    logits, labels = batch()

    assert torch.equal(copied(criterion)(logits, labels), criterion(logits, labels))
    assert "penalty_weight=0.3" in repr(criterion)
    assert "gamma=2.0" in repr(criterion)
    assert isinstance(criterion.base, FocalLoss)


@every_kind
def test_bad_input_gets_one_sentence(kind, rejects):
    logits, labels = batch((1, 3, 4))
    with rejects(ValueError, "`base_args` must be left out where `base` is a module, got {'gamma': 1}."):
        kind(base=FocalLoss(), base_args={"gamma": 1})
    with rejects(TypeError, "`base_args` must be names and values, got 2.0."):
        kind(base="focal", base_args=2.0)
    with rejects(TypeError, "`logits` must be a floating-point tensor, got list."):
        kind()([[0.0]], labels)
    with rejects(TypeError, "`base` must be a name of a loss or a module, got 3."):
        kind(base=3)
    with rejects(ValueError, "`base_args` must hold no option that both losses share, got ignore_index."):
        kind(base="focal", base_args={"ignore_index": 0})
    with rejects(ValueError, "`penalty_weight` must be a finite number >= 0, got -1."):
        kind(penalty_weight=-1)
    with rejects(
        ValueError,
        "`logits` must have shape (N, C, d1), (N, C, d1, d2) or (N, C, d1, d2, d3) with at least one voxel, "
        "got (4, 3).",
    ):
        kind()(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64))
    for weight in (0.0, 1.0):
        with rejects(ValueError, "`labels` must be class indices in [0, 3) or -100 (ignored), got 3 at position 0."):
            kind(penalty_weight=weight)(logits, torch.full_like(labels, 3))

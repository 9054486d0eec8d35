# SPDX-License-Identifier: Apache-2.0
"""Losses where a comparison, a side or the size of a group decides."""

import math

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import (
    FocalLoss,
    LogitNormLoss,
    ScheduledFocalLoss,
    SelectiveAULoss,
    TopologyAwareFocalLoss,
    confidence_score,
    dual_focal_loss,
    focal_loss,
    linear_cross_entropy,
    update_gammas,
)
from adafocal.losses.cross_entropy import modulated_cross_entropy
from adafocal.losses.mmce import mmce_penalty
from adafocal.losses.modulate import at_least_zero, modulate
from adafocal.losses.selective_au import selective_weights
from adafocal.topology.persistence import PersistenceDiagram, persistence_diagram


@pytest.mark.parametrize("gap", [1.0000001, -1.0000001, 1.5, -2.0])
def test_a_gap_beyond_1_is_refused_and_1_is_taken(gap):
    with pytest.raises(ValueError, match=r"^`gap` must lie in \[-1, 1\], got "):
        update_gammas(torch.ones(2), torch.tensor([0.0, gap]))

    assert update_gammas(torch.ones(2), torch.tensor([1.0, -1.0])).tolist() == pytest.approx([math.e, 1 / math.e])


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_a_flat_prediction_has_unit_confidence_0_and_a_certain_one_1(n_classes):
    flat, certain = torch.zeros(1, n_classes), torch.eye(n_classes)[:1] * 1000
    for score in ("neg_entropy", "margin"):
        assert confidence_score(flat, score=score, unit=True).item() == pytest.approx(0, abs=1e-6)
        assert confidence_score(certain, score=score, unit=True).item() == pytest.approx(1)
    assert confidence_score(flat, score="neg_gini", unit=True).item() == pytest.approx(1 / n_classes)
    assert confidence_score(flat, score="l2_norm", unit=True).item() == pytest.approx(n_classes**-0.5)


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 5)])
def test_dual_focal_of_dense_targets_is_that_of_their_samples(shape):
    logits, target = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64).softmax(1)
    rows, target_rows = (part.movedim(1, -1).reshape(-1, 3) for part in (logits, target))

    dense = dual_focal_loss(logits, target, gamma=2.0)
    torch.testing.assert_close(dense.flatten(), dual_focal_loss(rows, target_rows, gamma=2.0))


def test_dual_focal_over_classes_is_that_of_each_label_also_where_the_rival_is_masked():
    logits = torch.tensor([[2.0, -math.inf, 1.0], [0.5, 0.5, -math.inf]], dtype=torch.float64)
    target = torch.tensor([[0.25, 0.0, 0.75], [0.5, 0.5, 0.0]], dtype=torch.float64)
    # Class 2 of the first row and both of the second have no rival but the masked one.
    each = [
        sum(t * dual_focal_loss(row[None], torch.tensor([c]), gamma=2.0) for c, t in enumerate(of_row) if t > 0)
        for row, of_row in zip(logits, target, strict=True)
    ]

    torch.testing.assert_close(dual_focal_loss(logits, target, gamma=2.0), torch.cat(each))


def test_a_masked_class_does_not_lengthen_the_logits():
    logits, masked = torch.randn(4, 3), torch.full((4, 1), -math.inf)
    labels, criterion = torch.randint(3, (4,)), LogitNormLoss(reduction="none")

    torch.testing.assert_close(criterion(torch.cat([logits, masked], 1), labels), criterion(logits, labels))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("labels", [[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 1], [0, -100, 1], [1, -100, -100]])
def test_the_penalty_is_the_sum_over_all_pairs_also_with_groups_of_one_or_none(labels, weighted):
    logits, labels = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.3, 0.0]], dtype=torch.float64), torch.tensor(labels)
    confidence, counted = logits.softmax(1).amax(1), labels != -100
    right, wrong = counted & (labels == 0), counted & (labels == 1)
    if weighted:
        pull = right * (1 - confidence) / max(1, int(right.sum())) - wrong * confidence / max(1, int(wrong.sum()))
    else:
        pull = counted * (right.double() - confidence) / int(counted.sum())
    kernel = torch.exp(-(confidence[:, None] - confidence).abs() / 0.4)
    penalty = mmce_penalty(logits, labels, weighted=weighted, width=0.4)

    assert penalty.item() == pytest.approx((pull @ kernel @ pull).sqrt().item(), abs=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_a_certain_and_right_sample_has_no_gradient(gamma):
    ce = torch.zeros(1, requires_grad=True)
    modulate(ce, gamma).backward()

    assert ce.grad.item() == 0


def test_a_class_may_weigh_nothing():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    loss = FocalLoss(weight=torch.tensor([0.0, 1.0, 1.0]), reduction="none")(logits, labels)

    assert loss[[0, 3]].tolist() == [0, 0]
    torch.testing.assert_close(loss[1:3], focal_loss(logits[1:3], labels[1:3], gamma=2.0))


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, 1.5])
def test_a_smoothing_outside_0_and_1_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"^`label_smoothing` must be "):
        focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma=1.0, label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_a_smoothed_label_is_the_target_that_it_stands_for(smoothing):
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.randint(4, (6,))
    target = (1 - smoothing) * F.one_hot(labels, 4) + smoothing / 4

    smoothed = focal_loss(logits, labels, gamma=2.0, label_smoothing=smoothing)
    torch.testing.assert_close(smoothed, focal_loss(logits, target, gamma=2.0))


def test_the_first_epoch_is_0(rejects):
    criterion = SelectiveAULoss()
    criterion.set_epoch(0)

    with rejects(ValueError, "`epoch` must be an integer >= 0, got -1."):
        criterion.set_epoch(-1)


def test_evaluation_weighs_with_the_histogram_and_the_batch_together():
    criterion, logits, labels = SelectiveAULoss(n_bins=4, reduction="none"), torch.randn(9, 3), torch.randint(3, (9,))
    criterion(2 * logits, labels)
    confidence = confidence_score(logits, score="neg_entropy", unit=True)
    batch = torch.bincount((confidence * 4).ceil().long() - 1, minlength=4)
    alpha = selective_weights(
        confidence, torch.ones(9, dtype=torch.bool), criterion.count + batch, quantile=0.5, smoothing=0.05
    )
    expected = alpha * F.cross_entropy(logits, labels, reduction="none")

    torch.testing.assert_close(criterion.eval()(logits, labels), expected)


@pytest.mark.parametrize("rising", [True, False])
def test_a_class_lives_from_its_birth_on_and_not_at_its_death(rising):
    none = torch.zeros(2, dtype=torch.int64)
    early, late = torch.tensor([0.25, 0.5]), torch.tensor([0.75, 0.5])
    birth, death = (early, late) if rising else (late, early)
    diagram = PersistenceDiagram(torch.tensor([0, 1]), birth, death, none, none)
    alive = {level: diagram.betti(level)[0] for level in (0.2, 0.25, 0.5, 0.75, 0.8)}

    at_birth, at_death = (0.25, 0.75) if rising else (0.75, 0.25)
    assert alive == {0.2: 0, 0.5: 1, 0.8: 0, at_birth: 1, at_death: 0}
    assert diagram.betti(0.6)[1] == 0


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.99, 1.0, 1.5])
def test_dual_focal_weighs_with_one_minus_the_margin_for_every_gamma_from_0_on(gamma):
    logits, labels = torch.randn(9, 4, dtype=torch.float64), torch.randint(4, (9,))
    p = logits.softmax(1)
    of_label = p.gather(1, labels[:, None])
    rival = torch.where(p < of_label, p, 0.0).amax(1)
    margin = of_label[:, 0] - rival
    expected = (1 - margin) ** gamma * F.cross_entropy(logits, labels, reduction="none")

    torch.testing.assert_close(dual_focal_loss(logits, labels, gamma=gamma), expected)


@pytest.mark.parametrize("kind", [list, tuple])
def test_gammas_per_class_may_come_in_any_sequence(kind):
    logits, labels = torch.randn(2, 3), torch.tensor([0, 2])
    each = [focal_loss(logits[:1], labels[:1], gamma=1.0), focal_loss(logits[1:], labels[1:], gamma=3.0)]

    torch.testing.assert_close(
        FocalLoss(gamma=kind([1.0, 2.0, 3.0]), reduction="none")(logits, labels), torch.cat(each)
    )


def test_a_head_of_two_classes_is_one_and_of_one_is_none():
    features, weight, labels = torch.randn(3, 4), torch.randn(2, 4), torch.tensor([0, 1, 1])
    ce = F.cross_entropy(features @ weight.T, labels, reduction="none")

    torch.testing.assert_close(linear_cross_entropy(features, weight, labels), ce)
    with pytest.raises(ValueError, match=r"^`weight` must have at least 2 classes, got shape \(1, 4\)\.$"):
        linear_cross_entropy(features, weight[:1], torch.zeros(3).long())


def test_a_score_without_bounds_has_no_unit():
    logits = torch.tensor([[2.0, 0.0]])

    assert confidence_score(logits, score="max_logit").item() == 2
    with pytest.raises(ValueError, match=r"^`score` must be "):
        confidence_score(logits, score="max_logit", unit=True)


def test_a_gamma_of_any_dtype_is_a_constant_in_that_of_the_logits():
    logits, labels = torch.randn(3, 4, requires_grad=True), torch.tensor([0, 1, 2])
    gamma = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    loss = focal_loss(logits, labels, gamma=gamma)

    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert gamma.grad is None
    torch.testing.assert_close(loss, focal_loss(logits, labels, gamma=2.0))


def test_options_end_where_they_should(rejects):
    with pytest.raises(ValueError, match=r"^`label_smoothing` must be "):
        FocalLoss(label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"^`ignore_index` must "):
        FocalLoss(ignore_index=2**63)
    with pytest.raises(ValueError, match=r"^`ignore_index` must "):
        FocalLoss(ignore_index=-(2**63))
    assert FocalLoss(ignore_index=-(2**63) + 1).ignore_index == -(2**63) + 1


def test_what_no_transform_may_read_becomes_nan_or_stays():
    negative = torch.func.vmap(at_least_zero)(torch.tensor([-1.0, -1e-4, 0.0, 0.5]))
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.5, 0.4]])
    logits = torch.randn(3, 2)
    losses = torch.func.vmap(lambda z, y: focal_loss(z, y, gamma=1.0))(logits, target)

    assert negative[0].isnan()
    assert negative[1:].tolist() == [0.0, 0.0, 0.5]
    torch.testing.assert_close(losses[:2], focal_loss(logits[:2], target[:2], gamma=1.0))
    assert losses[2].isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_class_probabilities_may_miss_1_by_their_rounding_alone(dtype):
    logits = torch.zeros(1, 3, dtype=dtype)

    assert focal_loss(logits, torch.full((1, 3), 1 / 3, dtype=dtype), gamma=0.0).isfinite().all()
    with pytest.raises(ValueError, match=r"^`labels` given as class probabilities must be at least 0 and sum to 1 "):
        focal_loss(logits, torch.tensor([[0.5, 0.3, 0.1]], dtype=dtype), gamma=0.0)


def test_a_component_may_die_at_the_first_voxel():
    pytest.importorskip("cripser")
    diagram = persistence_diagram(torch.tensor([[0.5, 0.9], [0.8, 0.0]]), dims=[0], essential_death=0.25)
    points = {round(b, 4): round(d, 4) for b, d in diagram.points(0).tolist()}
    places = dict(zip(diagram.birth_index.tolist(), diagram.death_index.tolist(), strict=True))

    # Both bright voxels meet at the first one, where the lesser dies; the brightest never does.
    assert points == {0.9: 0.25, 0.8: 0.5}
    assert places == {1: -1, 2: 0}


def test_one_point_and_one_iteration_are_enough_to_ask_for():
    pytest.importorskip("cripser")

    assert TopologyAwareFocalLoss(max_points=1).max_points == 1


@pytest.mark.parametrize("gamma", [torch.tensor([True, False]), torch.tensor([1j, 0])], ids=["boolean", "complex"])
def test_gammas_that_are_no_real_numbers_are_refused(gamma):
    with pytest.raises(TypeError, match=r"^`gamma` must hold real numbers, got dtype "):
        modulate(torch.ones(2), gamma)


@pytest.mark.parametrize("shape", [(3,), (1, 2), (2, 2)])
def test_gammas_that_do_not_broadcast_are_refused(shape):
    with pytest.raises(ValueError, match=r"^`gamma` must broadcast to \(2,\), got shape "):
        modulate(torch.ones(2), torch.ones(shape))


def test_the_scheduled_gamma_starts_with_the_first():
    assert ScheduledFocalLoss(gammas=(7.0, 3.0), milestones=(2,)).gamma.item() == 7.0


def test_the_settings_of_the_selective_loss_end_where_they_should(rejects):
    assert SelectiveAULoss(n_bins=1).n_bins == 1
    with rejects(ValueError, "`smoothing` must be a finite number > 0, got 0.0."):
        SelectiveAULoss(smoothing=0.0)


@pytest.mark.parametrize("off", [0.002, -0.002, 0.009])
def test_class_probabilities_in_float32_may_miss_1_by_a_thousandth_and_no_more(off):
    with pytest.raises(ValueError, match=r"^`labels` given as class probabilities must be at least 0 and sum to 1 "):
        focal_loss(torch.zeros(1, 2), torch.tensor([[0.5, 0.5 + off]]), gamma=1.0)

    assert focal_loss(torch.zeros(1, 2), torch.tensor([[0.5, 0.5 + off / 10]]), gamma=1.0).isfinite().all()


@pytest.mark.parametrize("dims", [1, "01"])
def test_dimensions_are_a_sequence_of_numbers(dims, unchecked_shapes):
    with pytest.raises(TypeError, match=r"^`dims` must be a "):
        persistence_diagram(torch.rand(3, 3), dims=dims)


def test_a_gamma_is_a_constant_also_under_a_transform():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 1, 2])
    slope = torch.func.grad(lambda gamma: focal_loss(logits, labels, gamma=gamma).sum())(torch.tensor(2.0))

    assert slope.item() == 0


def test_without_options_the_modulated_cross_entropy_is_that_of_torch():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, -100, 1])

    torch.testing.assert_close(
        modulated_cross_entropy(lambda ce: ce, logits, labels), F.cross_entropy(logits, labels, reduction="none")
    )

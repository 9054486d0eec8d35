# SPDX-License-Identifier: Apache-2.0
"""Calibration of one class, every class, and several labels per sample."""

import pytest
import torch

from adafocal.calibration import (
    classwise_calibration_error,
    expected_calibration_error,
    multilabel_calibration_error,
    one_class_from_probs,
)


@pytest.mark.parametrize("name", ["metrics_n1000_c10", "metrics_n777_c2"])
def test_the_classwise_error_is_that_of_the_published_code(reference, name):
    stored = reference(name)
    probs = torch.from_numpy(stored["logits"]).softmax(1)
    error = classwise_calibration_error(probs, torch.from_numpy(stored["labels"]))

    assert error.item() == pytest.approx(stored["classwise_ece_15"].item(), abs=1e-6)


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
@pytest.mark.parametrize("debias", [False, True])
def test_it_is_the_mean_of_the_binary_errors_of_the_classes(binning, debias):
    probs, labels = torch.randn(300, 4, dtype=torch.float64).softmax(1), torch.randint(4, (300,))
    options = {"n_bins": 6, "binning": binning, "debias": debias}
    by_hand = [expected_calibration_error(probs[:, c].contiguous(), labels == c, **options).item() for c in range(4)]

    assert classwise_calibration_error(probs, labels, **options).item() == pytest.approx(sum(by_hand) / 4, abs=1e-12)


def test_classes_may_be_renamed():
    probs, labels = torch.randn(200, 5, dtype=torch.float64).softmax(1), torch.randint(5, (200,))
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = order.argsort()[labels]

    torch.testing.assert_close(
        classwise_calibration_error(probs, labels), classwise_calibration_error(probs[:, order], renamed)
    )


def test_small_probabilities_below_the_threshold_count_nothing():
    probs = torch.tensor([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1])

    # Class 0 keeps both, gaps 0.1 and 0.6; class 1 keeps 0.4, gap 0.6; class 2 keeps none.
    error = classwise_calibration_error(probs, labels, threshold=0.2)
    assert error.item() == pytest.approx(((0.1 + 0.6) / 2 + 0.6) / 2, abs=1e-12)


def test_a_threshold_that_leaves_nothing_leaves_no_error():
    assert classwise_calibration_error(torch.full((2, 2), 0.5), torch.tensor([0, 1]), threshold=0.9).isnan()


def test_the_event_of_a_binary_classifier_is_the_positive_class():
    probs = torch.tensor([[0.7, 0.3], [0.1, 0.9]])
    confidence, happened = one_class_from_probs(probs, torch.tensor([1, 1]))

    torch.testing.assert_close(confidence, torch.tensor([0.3, 0.9]))
    assert happened.tolist() == [True, True]


def test_both_classes_of_two_have_the_same_error_without_values_on_an_edge():
    probs = torch.rand(500, 1, dtype=torch.float64)
    probs, labels = torch.cat([probs, 1 - probs], dim=1), torch.randint(2, (500,))
    errors = [expected_calibration_error(*one_class_from_probs(probs, labels, positive_class=c)).item() for c in (0, 1)]

    assert errors[0] == pytest.approx(errors[1], abs=1e-12)


def test_multilabel_errors_are_the_binary_errors_of_the_columns():
    probs, labels = torch.rand(200, 3, dtype=torch.float64), torch.rand(200, 3) > 0.5
    each = torch.stack([expected_calibration_error(probs[:, i].contiguous(), labels[:, i]) for i in range(3)])

    torch.testing.assert_close(multilabel_calibration_error(probs, labels, average="none"), each)
    torch.testing.assert_close(multilabel_calibration_error(probs, labels), each.mean())
    torch.testing.assert_close(
        multilabel_calibration_error(probs, labels, average="pooled"),
        expected_calibration_error(probs.flatten(), labels.flatten()),
    )


def test_pooling_lets_gaps_of_different_labels_cancel():
    probs, labels = torch.full((10, 2), 0.5), torch.tensor([[1, 0]]).expand(10, 2)

    assert multilabel_calibration_error(probs, labels).item() == 0.5
    assert multilabel_calibration_error(probs, labels, average="pooled").item() == 0.0


def test_bad_arguments_are_rejected(rejects):
    probs, labels = torch.full((2, 2), 0.5), torch.tensor([0, 1])
    with rejects(ValueError, "`threshold` must be a number >= 0 and <= 1, got 2."):
        classwise_calibration_error(probs, labels, threshold=2)
    with rejects(ValueError, "`positive_class` must be a class index in [0, 2), got 2."):
        one_class_from_probs(probs, labels, positive_class=2)
    with rejects(ValueError, "`average` must be one of 'label', 'pooled', 'none', got 'macro'."):
        multilabel_calibration_error(probs, torch.zeros(2, 2), average="macro")
    with rejects(ValueError, "`labels` must have the shape of `probs`, (2, 2), got (2,)."):
        multilabel_calibration_error(probs, labels)
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        classwise_calibration_error(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))


def test_a_class_without_counted_samples_does_not_end_the_mean():
    probs = torch.tensor([[0.0, 0.9, 0.1], [0.0, 0.4, 0.6]], dtype=torch.float64)
    error = classwise_calibration_error(probs, torch.tensor([1, 1]), threshold=0.2)

    # Class 1 keeps both, gaps 0.1 and 0.6; class 2 keeps 0.6, gap 0.6; class 0, the first, keeps none.
    assert error.item() == pytest.approx(((0.1 + 0.6) / 2 + 0.6) / 2, abs=1e-12)


def test_a_probability_on_the_threshold_counts():
    probs, labels = torch.tensor([[0.75, 0.25]], dtype=torch.float64), torch.tensor([0])

    assert classwise_calibration_error(probs, labels, threshold=0.25).item() == 0.25
    assert classwise_calibration_error(probs, labels, threshold=0.75).item() == 0.25
    assert classwise_calibration_error(probs, labels, threshold=0.7501).isnan()


@pytest.mark.parametrize(("norm", "debias"), [("l1", False), ("l1", True), ("l2", False), ("l2", True), ("max", False)])
@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_every_option_reaches_the_error_of_each_label(norm, debias, binning):
    probs, labels = torch.rand(60, 3, dtype=torch.float64), torch.rand(60, 3) < 0.5
    options = {"n_bins": 7, "binning": binning, "norm": norm, "debias": debias}
    by_hand = [expected_calibration_error(probs[:, c].contiguous(), labels[:, c], **options).item() for c in range(3)]
    pooled = expected_calibration_error(probs.flatten(), labels.flatten(), **options).item()

    assert multilabel_calibration_error(probs, labels, average="none", **options).tolist() == pytest.approx(by_hand)
    assert multilabel_calibration_error(probs, labels, **options).item() == pytest.approx(sum(by_hand) / 3)
    assert multilabel_calibration_error(probs, labels, average="pooled", **options).item() == pytest.approx(pooled)


@pytest.mark.parametrize("positive_class", [True, False, -1, 2, 1.0, None])
def test_what_is_no_index_of_a_class_is_refused(rejects, positive_class):
    with rejects(ValueError, f"`positive_class` must be a class index in [0, 2), got {positive_class}."):
        one_class_from_probs(torch.tensor([[0.7, 0.3]]), torch.tensor([0]), positive_class=positive_class)


def test_a_single_label_is_one_and_none_is_refused(rejects):
    probs, labels = torch.tensor([[0.75], [0.75]]), torch.tensor([[1], [0]])

    assert multilabel_calibration_error(probs, labels).item() == 0.25
    with rejects(ValueError, "`probs` must have shape (N, L) with L >= 1, got (2, 0)."):
        multilabel_calibration_error(probs[:, :0], labels[:, :0])


def test_a_probability_that_rounding_takes_above_1_counts_as_1():
    above = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    confidence, happened = one_class_from_probs(torch.stack([-above + 1, above])[None].clamp_min(0), torch.tensor([1]))

    assert confidence.tolist() == [1.0]
    assert happened.tolist() == [True]

# SPDX-License-Identifier: Apache-2.0
"""Scores and rates of out-of-distribution samples where a side or a rounding decides."""

import pytest
import torch

from adafocal import Predictions
from adafocal.ood import compare_scores, fit_mahalanobis, fit_nearest_neighbour, fit_vim, fpr_at_tpr, roc_curve


@pytest.mark.parametrize("percent", [1, 7, 14, 28, 29, 55, 56, 57, 58, 95, 100])
def test_the_rate_that_is_reached_is_not_missed_by_a_rounding(percent):
    # 0.07 * 100 is 7.000000000000001: still seven of a hundred samples reach it.
    ood = torch.arange(100, dtype=torch.float64)
    beside = torch.arange(100, dtype=torch.float64) - 0.5  # below the k-th highest lie all but k - 1 of them

    assert fpr_at_tpr(beside, ood, tpr=percent / 100).item() == pytest.approx((percent - 1) / 100)


def test_the_curve_ends_at_the_lowest_score_of_either_kind():
    curve = roc_curve(torch.tensor([0.2, 0.6]), torch.tensor([0.1, 0.5, 0.9]))

    assert curve.true_positive_rate.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert curve.false_positive_rate.tolist() == pytest.approx([0, 0, 0.5, 0.5, 1, 1])


def linear(features, n_classes=3, shift=5.0):
    weight = torch.randn(n_classes, features.shape[1], generator=torch.Generator().manual_seed(1)).double()
    return Predictions(
        logits=features @ weight.T + shift, labels=torch.arange(len(features)) % n_classes, features=features
    )


@pytest.mark.parametrize(("d", "dimension"), [(7, 3), (8, 4), (767, 383), (768, 512), (770, 512)])
def test_the_principal_space_of_vim_has_half_the_features_or_the_authors_512(d, dimension):
    fitted = fit_vim(linear(torch.randn(d + 5, d, dtype=torch.float64)))

    assert fitted.residual.shape == (d, d - dimension)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "dimension"), [(2047, 512), (2048, 1000)])
def test_the_principal_space_of_vim_has_1000_features_from_2048_on(d, dimension):
    assert fit_vim(linear(torch.randn(d + 5, d, dtype=torch.float64))).residual.shape == (d, d - dimension)


@pytest.mark.parametrize("mean", [0.5, 0.0, -1.0])
def test_the_virtual_logit_needs_largest_logits_above_0_on_average(rejects, mean):
    features = torch.randn(40, 4, dtype=torch.float64)
    predictions = linear(features)
    largest = predictions.logits.amax(dim=1).mean()
    moved = Predictions(logits=predictions.logits - largest + mean, labels=predictions.labels, features=features)
    if mean > 0:
        assert fit_vim(moved, dimension=2).score(moved).isfinite().all()
    elif mean < 0:
        with pytest.raises(ValueError, match=r"^`train` must have largest logits with a mean > 0, got "):
            fit_vim(moved, dimension=2)


def test_two_training_samples_are_enough_and_one_is_not(rejects):
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    two = Predictions(logits=features, labels=torch.tensor([0, 0]), features=features)

    assert fit_mahalanobis(two).score(two).tolist() == pytest.approx([1.0, 1.0])
    assert fit_nearest_neighbour(two, k=2).score(two).tolist() == pytest.approx([2**0.5, 2**0.5])
    with rejects(ValueError, "`train` must hold at least 2 samples, got 1."):
        fit_mahalanobis(Predictions(logits=features[:1], labels=torch.tensor([0]), features=features[:1]))


def test_a_direction_without_spread_beyond_rounding_is_left_out():
    # The third feature varies by 1e-9 of the features' size: kept; the fourth by 1e-17: rounding.
    features = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features[:, 2] *= 1e-6
    features[:, 3] = 1.0
    train = Predictions(logits=features[:, :2], labels=torch.zeros(200).long(), features=features)
    score = fit_mahalanobis(train).score(train)

    # The mean of the squared distance to the mean is the number of directions that are kept.
    assert score.mean().item() == pytest.approx(3, abs=1e-6)


def test_scores_that_need_logits_are_left_out_where_the_training_predictions_have_none():
    features = torch.randn(12, 3, dtype=torch.float64)
    probs = features.softmax(1)
    labels = torch.arange(12) % 3
    with_logits = Predictions(logits=features, labels=labels, features=features)
    without = Predictions(probs=probs, labels=labels, features=features)
    rows = compare_scores(with_logits, {"other": with_logits}, train=without, k=2, n_resamples=10)
    whole = compare_scores(with_logits, {"other": with_logits}, train=with_logits, k=2, n_resamples=10)

    assert "vim" not in {row.score_name for row in rows}
    assert {"energy", "mahalanobis", "knn", "vim"} <= {row.score_name for row in whole}


def test_each_feature_score_is_its_own():
    features = torch.randn(30, 3, dtype=torch.float64)
    train = Predictions(logits=features + 3, labels=torch.arange(30) % 3, features=features)
    rows = compare_scores(train, {"other": train}, train=train, scores=["knn", "mahalanobis"], k=4, n_resamples=10)

    torch.testing.assert_close(rows[0].id_scores, fit_nearest_neighbour(train, k=4).score(train))
    torch.testing.assert_close(rows[1].id_scores, fit_mahalanobis(train).score(train))

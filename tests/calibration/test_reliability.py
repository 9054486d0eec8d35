# SPDX-License-Identifier: Apache-2.0
"""The data of the reliability diagram."""

import pytest
import torch

from adafocal.calibration import bin_stats, reliability_data, reliability_from_bins, wilson_interval


def test_only_bins_with_samples_are_listed_with_their_edges():
    data = reliability_data(
        torch.tensor([0.1, 0.2, 0.9]).double(), torch.tensor([True, False, True]), n_bins=4, binning="equal_width"
    )

    assert data.lower.tolist() == [0.0, 0.75]
    assert data.upper.tolist() == [0.25, 1.0]
    assert data.count.tolist() == [2, 1]
    torch.testing.assert_close(data.confidence, torch.tensor([0.15, 0.9]).double())
    assert data.accuracy.tolist() == [0.5, 1.0]


def test_the_diagram_of_bins_is_the_diagram_of_the_samples():
    confidence, correct = torch.rand(200), torch.rand(200) > 0.4
    direct = reliability_data(confidence, correct, n_bins=1)
    from_bins = reliability_from_bins(bin_stats(confidence, correct, torch.zeros(0)))

    assert torch.equal(direct.accuracy_low, from_bins.accuracy_low)
    assert torch.equal(direct.confidence, from_bins.confidence)


def test_wilson_interval_is_that_of_the_textbook():
    # Newcombe, Statistics in Medicine 1998, table I: 81/263, 15/148, 0/20, 1/29, method 3 (score).
    share = torch.tensor([81 / 263, 15 / 148, 0.0, 1 / 29], dtype=torch.float64)
    low, high = wilson_interval(share, torch.tensor([263, 148, 20, 29]), level=0.95)

    torch.testing.assert_close(low, torch.tensor([0.2553, 0.0624, 0.0000, 0.0061]).double(), rtol=0, atol=5e-5)
    torch.testing.assert_close(high, torch.tensor([0.3662, 0.1605, 0.1611, 0.1718]).double(), rtol=0, atol=5e-5)


def test_no_trial_says_nothing():
    low, high = wilson_interval(torch.tensor([0.0]), torch.tensor([0]), level=0.95)

    assert (low.item(), high.item()) == (0.0, 1.0)


def test_the_interval_covers_the_true_accuracy_at_its_level():
    count = torch.full((4000,), 60)
    share = torch.binomial(count.double(), torch.full((4000,), 0.8, dtype=torch.float64)) / 60
    low, high = wilson_interval(share, count, level=0.9)
    coverage = ((low <= 0.8) & (high >= 0.8)).double().mean().item()

    assert 0.87 <= coverage <= 0.93


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_outside_zero_and_one_is_rejected(rejects, level):
    with rejects(ValueError, f"`level` must be a number > 0 and < 1, got {level}."):
        reliability_data(torch.tensor([0.5]), torch.tensor([True]), level=level)


def test_no_sample_is_rejected(rejects):
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        reliability_data(torch.zeros(0), torch.zeros(0))

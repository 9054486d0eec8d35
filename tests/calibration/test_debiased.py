# SPDX-License-Identifier: Apache-2.0
"""Calibration errors less their expected noise.

`peers_n1500.npz` holds confidences, outcomes (seeded, rounded to 6 digits) and what other packages gave for them on
2026-11-23: uncertainty-calibration 0.1.4 in 15 bins of equal rank (plugin_ce, unbiased_l2_ce, and normal_debiased_ce
with 200,000 draws), netcal 1.4.0 (ECE and MCE, 15 bins) and relplot 1.0.3 (smECE).
"""

import pytest
import torch

from adafocal.calibration import bin_stats, binned_error, expected_calibration_error


@pytest.fixture
def peers(reference):
    stored = reference("peers_n1500")
    return torch.from_numpy(stored["confidence"]), torch.from_numpy(stored["correct"]), stored


@pytest.mark.parametrize(
    ("name", "norm", "debias", "tolerance"),
    [
        ("kumar_l1_plugin", "l1", False, 1e-12),
        ("kumar_l2_plugin", "l2", False, 1e-12),
        ("kumar_l2_debiased", "l2", True, 1e-12),
        ("kumar_l1_debiased", "l1", True, 5e-5),  # theirs is the mean of random draws
    ],
)
def test_equal_mass_errors_are_those_of_the_authors_package(peers, name, norm, debias, tolerance):
    confidence, correct, stored = peers
    error = expected_calibration_error(confidence, correct, binning="equal_mass", norm=norm, debias=debias)

    assert error.item() == pytest.approx(stored[name].item(), abs=tolerance)


@pytest.mark.parametrize(("name", "norm"), [("netcal_ece_15", "l1"), ("netcal_mce_15", "max")])
def test_without_values_on_an_edge_equal_width_errors_are_those_of_netcal(peers, name, norm):
    confidence, correct, stored = peers

    assert expected_calibration_error(confidence, correct, norm=norm).item() == pytest.approx(
        stored[name].item(), abs=1e-12
    )


def test_the_debiased_square_is_unbiased_for_a_model_of_known_error():
    # 4 bins with true gaps 0.05: the mean of the estimated square over many data sets is 0.0025.
    n, repeats, gap = 100, 3000, 0.05
    confidence = torch.tensor([0.6, 0.7, 0.8, 0.9], dtype=torch.float64).repeat_interleave(n)
    happened = torch.rand(repeats, 4 * n, dtype=torch.float64) < confidence - gap
    accuracy = happened.view(repeats, 4, n).double().mean(dim=2)
    squares = (confidence.view(4, n)[:, 0] - accuracy).square() - accuracy * (1 - accuracy) / (n - 1)
    ours = torch.stack(
        [
            expected_calibration_error(confidence, row, n_bins=10, norm="l2", debias=True).square()
            for row in happened[:100]
        ]
    )

    # The library's value is the clipped mean over bins of these squares, whose own mean is the true square.
    torch.testing.assert_close(ours, squares.mean(dim=1)[:100].clamp_min(0), rtol=0, atol=1e-12)
    standard_error = squares.mean(dim=1).std() / repeats**0.5
    assert abs(squares.mean() - gap**2) < 4 * standard_error


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_debiasing_a_calibrated_model_takes_most_of_the_error_away(norm):
    errors = []
    for _ in range(60):
        confidence = torch.rand(500, dtype=torch.float64)
        correct = torch.rand(500, dtype=torch.float64) < confidence
        errors.append(
            [
                expected_calibration_error(confidence, correct, norm=norm, debias=debias).item()
                for debias in (False, True)
            ]
        )
    plug_in, debiased = torch.tensor(errors).mean(dim=0).tolist()

    assert debiased < 0.6 * plug_in


def test_a_bin_of_one_sample_counts_nothing_in_the_debiased_square():
    confidence, correct = torch.tensor([0.1, 0.9, 0.9], dtype=torch.float64), torch.tensor([True, True, True])
    error = expected_calibration_error(confidence, correct, n_bins=2, norm="l2", debias=True)

    assert error.item() == pytest.approx((2 / 3 * 0.1**2) ** 0.5, abs=1e-12)


def test_bins_without_noise_need_no_correction():
    stats = bin_stats(
        torch.tensor([0.7, 0.7], dtype=torch.float64),
        torch.tensor([True, True]),
        torch.tensor([0.5], dtype=torch.float64),
    )

    assert binned_error(stats, debias=True).item() == pytest.approx(0.3, abs=1e-12)


def test_the_maximum_cannot_be_debiased(rejects):
    with rejects(ValueError, "`debias` must be False for norm 'max', got True."):
        expected_calibration_error(torch.tensor([0.5]), torch.tensor([True]), norm="max", debias=True)


def test_a_bin_of_two_loses_the_variance_of_a_mean_of_two():
    # One bin, accuracy 1/2: the variance of the mean is estimated as 1/4 / (2 - 1), more than the squared gap.
    confidence = torch.full((2,), 0.9, dtype=torch.float64)
    correct = torch.tensor([1, 0])
    options = {"n_bins": 1, "norm": "l2", "debias": True}

    assert expected_calibration_error(confidence, correct, **options).item() == 0
    three = expected_calibration_error(torch.full((3,), 0.9, dtype=torch.float64), torch.tensor([1, 0, 0]), **options)
    assert three.item() == pytest.approx(((0.9 - 1 / 3) ** 2 - 2 / 9 / 2) ** 0.5)
    two = expected_calibration_error(torch.full((2,), 1.0, dtype=torch.float64), torch.tensor([0, 0]), **options)
    assert two.item() == 1.0
    mixed = torch.tensor([0.05, 0.05, 0.9, 0.9, 0.9], dtype=torch.float64)
    error = expected_calibration_error(mixed, torch.tensor([1, 0, 0, 0, 0]), **{**options, "n_bins": 2})
    assert error.item() == pytest.approx((2 / 5 * (0.45**2 - 0.25) + 3 / 5 * 0.81) ** 0.5)

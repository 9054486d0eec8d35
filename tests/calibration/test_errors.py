# SPDX-License-Identifier: Apache-2.0
"""Binned calibration errors: values, properties, reference numbers, and known differences to other libraries."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from adafocal.calibration import (
    bin_stats,
    binned_error,
    equal_mass_edges,
    equal_width_edges,
    expected_calibration_error,
    top_label_from_logits,
)
from calibration.strategies import BINNING, N_BINS, quick, samples

NORM = st.sampled_from(["l1", "l2", "max"])
REFERENCES = ["metrics_n1000_c10", "metrics_n777_c2"]


@pytest.mark.parametrize(
    ("norm", "expected"),
    [("l1", 0.5 * 0.2 + 0.5 * 0.4), ("l2", (0.5 * 0.2**2 + 0.5 * 0.4**2) ** 0.5), ("max", 0.4)],
)
def test_each_norm_is_its_formula(norm, expected):
    confidence = torch.tensor([0.3, 0.3, 0.9, 0.9], dtype=torch.float64)
    correct = torch.tensor([True, False, True, False])
    error = expected_calibration_error(confidence, correct, n_bins=2, norm=norm)

    assert error.item() == pytest.approx(expected, abs=1e-12)
    assert error.dtype == torch.float64


@pytest.mark.parametrize("confidence", [0.0, 1.0])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_a_single_certain_sample_errs_by_all_or_nothing(confidence, correct, binning, norm):
    error = expected_calibration_error(
        torch.tensor([confidence]), torch.tensor([correct]), n_bins=10, binning=binning, norm=norm
    )

    assert error.item() == abs(confidence - correct)


def test_empty_bins_count_nothing():
    confidence, correct = torch.full((8,), 0.75, dtype=torch.float64), torch.arange(8) < 6

    assert expected_calibration_error(confidence, correct, n_bins=100).item() == 0


def test_an_error_of_nothing_is_undefined():
    assert binned_error(bin_stats(torch.zeros(0), torch.zeros(0), torch.tensor([0.5]))).isnan()


@quick
@given(data=samples(), n_bins=N_BINS, binning=BINNING)
def test_errors_are_fractions_and_ordered_by_norm(data, n_bins, binning):
    l1, l2, largest = (
        expected_calibration_error(*data, n_bins=n_bins, binning=binning, norm=norm).item()
        for norm in ("l1", "l2", "max")
    )

    assert 0 <= l1 <= l2 + 1e-12
    assert l2 <= largest + 1e-12
    assert largest <= 1


@quick
@given(data=samples(), n_bins=N_BINS, binning=BINNING, norm=NORM, seed=st.integers(0, 100))
def test_the_order_of_the_samples_does_not_matter(data, n_bins, binning, norm, seed):
    confidence, correct = data
    order = torch.randperm(len(confidence), generator=torch.Generator().manual_seed(seed))
    options = {"n_bins": n_bins, "binning": binning, "norm": norm}
    error = expected_calibration_error(confidence, correct, **options)
    shuffled = expected_calibration_error(confidence[order], correct[order], **options)

    torch.testing.assert_close(error, shuffled, rtol=0, atol=1e-12)


@quick
@given(data=samples(), n_bins=N_BINS, norm=NORM)
def test_repeating_every_sample_changes_no_equal_width_error(data, n_bins, norm):
    confidence, correct = data
    once = expected_calibration_error(confidence, correct, n_bins=n_bins, norm=norm)
    twice = expected_calibration_error(confidence.repeat(2), correct.repeat(2), n_bins=n_bins, norm=norm)

    torch.testing.assert_close(once, twice, rtol=0, atol=1e-12)


@quick
@given(data=samples(), n_bins=st.integers(1, 8), norm=NORM)
def test_refining_the_bins_never_lowers_the_error(data, n_bins, norm):
    confidence, correct = data
    fine = equal_width_edges(3 * n_bins)
    errors = [binned_error(bin_stats(confidence, correct, edges), norm=norm).item() for edges in (fine[2::3], fine)]

    assert errors[0] <= errors[1] + 1e-12


@quick
@given(data=samples(), binning=BINNING, norm=NORM)
def test_one_bin_leaves_the_difference_of_the_means(data, binning, norm):
    confidence, correct = data
    error = expected_calibration_error(confidence, correct, n_bins=1, binning=binning, norm=norm)

    assert error.item() == pytest.approx(abs(confidence.mean() - correct.double().mean()).item(), abs=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
def test_equal_width_errors_are_those_of_the_published_code(reference, name):
    stored = reference(name)
    event = top_label_from_logits(torch.from_numpy(stored["logits"]), torch.from_numpy(stored["labels"]))

    assert expected_calibration_error(*event).item() == pytest.approx(stored["ece_15"].item(), abs=1e-6)
    assert expected_calibration_error(*event, norm="max").item() == pytest.approx(stored["mce_15"].item(), abs=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_the_equal_mass_error_differs_from_the_published_code_only_by_its_interpolated_edges(reference, name):
    stored = reference(name)
    event = top_label_from_logits(torch.from_numpy(stored["logits"]), torch.from_numpy(stored["labels"]))
    error = expected_calibration_error(*event, binning="equal_mass").item()

    assert error == pytest.approx(stored["adaptive_ece_15"].item(), abs=2 / len(stored["labels"]) + 1e-4)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("n_bins", [1, 10, 15])
def test_without_values_on_an_edge_the_error_is_that_of_torchmetrics(norm, n_bins):
    confidence = torch.rand(2000, dtype=torch.float64)
    correct = torch.rand(2000, dtype=torch.float64) < confidence.square()
    ours = expected_calibration_error(confidence, correct, n_bins=n_bins, norm=norm)
    theirs = binary_calibration_error(confidence, correct.long(), n_bins=n_bins, norm=norm)

    torch.testing.assert_close(ours, theirs.double(), rtol=0, atol=1e-6)


def test_torchmetrics_puts_a_value_on_an_edge_in_the_bin_above_and_we_in_the_bin_below():
    confidence = torch.tensor([0.5, 0.25], dtype=torch.float64)
    correct = torch.tensor([True, False])

    # Ours: both in (0, 0.5], gap 0.75 / 2 - 0.5. Theirs: 0.25 in [0, 0.5), 0.5 in [0.5, 1).
    assert expected_calibration_error(confidence, correct, n_bins=2).item() == pytest.approx(0.125)
    assert binary_calibration_error(confidence, correct.long(), n_bins=2).item() == pytest.approx(0.375)


def test_torchmetrics_gives_confidence_exactly_one_a_bin_of_its_own_and_we_the_last():
    confidence = torch.tensor([1.0, 0.95], dtype=torch.float64)
    correct = torch.tensor([False, True])

    # Ours: one bin, |0.975 - 0.5|. Theirs: two bins, (1 + 0.05) / 2.
    assert expected_calibration_error(confidence, correct, n_bins=10).item() == pytest.approx(0.475)
    assert binary_calibration_error(confidence, correct.long(), n_bins=10).item() == pytest.approx(0.525)


def test_a_calibrated_model_has_a_positive_plug_in_error():
    confidence = torch.rand(500, dtype=torch.float64)
    correct = torch.rand(500, dtype=torch.float64) < confidence

    assert 0.02 < expected_calibration_error(confidence, correct).item() < 0.12


def test_equal_mass_edges_of_the_data_are_the_equal_mass_error():
    confidence, correct = torch.rand(100), torch.rand(100) > 0.5
    by_hand = binned_error(bin_stats(confidence, correct, equal_mass_edges(confidence, 7)), norm="l2")

    assert torch.equal(
        by_hand, expected_calibration_error(confidence, correct, n_bins=7, binning="equal_mass", norm="l2")
    )


def test_bad_arguments_are_rejected(rejects):
    confidence, correct = torch.tensor([0.5]), torch.tensor([True])
    with rejects(ValueError, "`norm` must be one of 'l1', 'l2', 'max', got 'l3'."):
        expected_calibration_error(confidence, correct, norm="l3")
    with rejects(
        ValueError, "`binning` must be one of 'equal_width', 'equal_mass', got 'equal': did you mean 'equal_mass'?"
    ):
        expected_calibration_error(confidence, correct, binning="equal")
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        expected_calibration_error(torch.zeros(0), torch.zeros(0))
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        expected_calibration_error(confidence, correct, n_bins=0)
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (1,), got (2,)."):
        expected_calibration_error(confidence, torch.tensor([True, False]))

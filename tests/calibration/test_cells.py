# SPDX-License-Identifier: Apache-2.0
"""Cells of one distinct confidence each, and what is joined from them."""

import pytest
import torch
from hypothesis import given

from adafocal.calibration import (
    bin_stats,
    calibration_test,
    equal_mass_edges,
    join_cells,
    joined_equal_mass,
    joined_sweep,
    ks_calibration_error,
    smooth_calibration_error,
    smooth_reliability,
    sweep_edges,
)
from adafocal.calibration.cells import distinct_cells, single_cells, sum_binned
from adafocal.calibration.consistency import cells_test
from adafocal.calibration.kolmogorov_smirnov import largest_drift
from adafocal.calibration.smooth import smoothed_gap
from adafocal.calibration.smooth_curve import smooth_reliability_from_bins
from calibration.strategies import N_BINS, quick, samples

EQUAL = {"rtol": 0, "atol": 1e-12}


@quick
@given(data=samples())
def test_each_cell_holds_the_samples_of_one_confidence(data):
    confidence, correct = data
    cells = distinct_cells(confidence, correct)

    assert cells.edges.tolist() == sorted(set(confidence.tolist()))
    assert int(cells.count[-1]) == 0
    for place, value in enumerate(cells.edges):
        same = confidence == value
        assert int(cells.count[place]) == int(same.sum())
        assert cells.correct_sum[place] == correct[same].sum()
        assert cells.confidence[place].item() == pytest.approx(value.item(), abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 500])
def test_the_quick_way_of_sorting_gives_the_same_cells(dtype, n):
    confidence = torch.cat([torch.tensor([0.0, -0.0, 1.0]), (torch.rand(n) * 20).round() / 20]).to(dtype)
    correct = torch.rand(n + 3) < 0.5
    cells, others = distinct_cells(confidence, correct), distinct_cells(confidence, correct.double())
    tracked = distinct_cells(confidence.clone().requires_grad_(), correct)

    assert cells.edges.dtype == dtype
    for other in (others, tracked):
        assert torch.equal(other.edges, cells.edges)
        assert torch.equal(other.count, cells.count)
        assert torch.equal(other.correct_sum, cells.correct_sum)
        torch.testing.assert_close(other.confidence_sum.detach(), cells.confidence_sum, **EQUAL)


@quick
@given(data=samples(), n_bins=N_BINS)
def test_bins_joined_from_distinct_cells_are_those_of_the_samples(data, n_bins):
    confidence, correct = data
    joined = joined_equal_mass(distinct_cells(confidence, correct), n_bins)
    direct = bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins))

    assert torch.equal(joined.edges, direct.edges)
    assert torch.equal(joined.count, direct.count)
    assert torch.equal(joined.correct_sum, direct.correct_sum)
    torch.testing.assert_close(joined.confidence_sum, direct.confidence_sum, **EQUAL)


@quick
@given(data=samples())
def test_an_estimator_gives_of_cells_what_it_gives_of_their_samples(data):
    confidence, correct = data
    cells = distinct_cells(confidence, correct)
    pairs = [
        (largest_drift(cells), ks_calibration_error(confidence, correct)),
        (smoothed_gap(cells), smooth_calibration_error(confidence, correct)),
        (cells_test(cells, 3), calibration_test(confidence, correct, n_bins=3)),
        (
            smooth_reliability_from_bins(cells, min_support=1.0).accuracy,
            smooth_reliability(confidence, correct, min_support=1.0).accuracy,
        ),
    ]

    for of_cells, of_samples in pairs:
        torch.testing.assert_close(of_cells, of_samples, rtol=0, atol=1e-9)


def test_the_sweep_of_cells_that_hold_one_sample_each_is_that_of_the_samples():
    confidence = torch.rand(300, dtype=torch.float64)
    correct = torch.rand(300, dtype=torch.float64) < confidence.square()

    assert torch.equal(joined_sweep(distinct_cells(confidence, correct)).edges, sweep_edges(confidence, correct))


def test_edges_of_0_and_1_join_cells_without_leaving_any_out():
    cells = distinct_cells(torch.tensor([0.0, 0.3, 1.0, 1.0]), torch.tensor([1, 0, 1, 1]))

    assert join_cells(cells, torch.tensor([0.0, 0.3, 1.0])).count.tolist() == [1, 1, 2, 0]
    assert join_cells(cells, torch.tensor([0.0, 0.0, 0.5])).count.tolist() == [1, 0, 1, 2]
    assert join_cells(cells, torch.tensor([])).correct_sum.tolist() == [3]


def test_single_cells_keep_the_order_of_the_samples():
    cells = single_cells(torch.tensor([0.9, 0.25]), torch.tensor([True, False]))

    assert cells.count.tolist() == [1, 1]
    assert cells.confidence_sum[1] == 0.25
    assert cells.correct_sum.tolist() == [1, 0]


def test_nothing_has_no_cells(rejects):
    for make in (distinct_cells, lambda c, k: sum_binned(c, k, n_bins=3, binning="equal_width")):
        with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
            make(torch.zeros(0), torch.zeros(0))

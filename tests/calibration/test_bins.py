# SPDX-License-Identifier: Apache-2.0
"""Sums per bin: exact, mergeable, independent of order."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adafocal.calibration import BinStats, bin_stats, equal_mass_edges, equal_width_edges, merge
from adafocal.calibration.bins import check_stats
from calibration.strategies import BINNING, N_BINS, quick, samples


def test_sums_are_those_of_the_samples_in_each_bin():
    stats = bin_stats(
        torch.tensor([0.1, 0.5, 0.6, 0.9, 1.0]),
        torch.tensor([False, True, True, False, True]),
        torch.tensor([0.5, 0.8]),
    )

    assert stats.count.tolist() == [2, 1, 2]
    assert stats.correct_sum.tolist() == [1.0, 1.0, 1.0]
    torch.testing.assert_close(stats.confidence_sum, torch.tensor([0.6, 0.6, 1.9]).double(), rtol=0, atol=1e-7)
    torch.testing.assert_close(stats.confidence, torch.tensor([0.3, 0.6, 0.95]).double(), rtol=0, atol=1e-7)
    torch.testing.assert_close(stats.accuracy, torch.tensor([0.5, 1.0, 0.5]).double())
    torch.testing.assert_close(stats.gap, torch.tensor([-0.2, -0.4, 0.45]).double(), rtol=0, atol=1e-7)
    torch.testing.assert_close(stats.weight, torch.tensor([0.4, 0.2, 0.4], dtype=torch.float64), rtol=0, atol=1e-15)
    assert stats.n_bins == 3


def test_an_empty_bin_has_gap_and_weight_zero():
    stats = bin_stats(torch.tensor([0.9]), torch.tensor([False]), torch.tensor([0.5]))

    assert stats.gap[0] == 0
    assert stats.weight.tolist() == [0.0, 1.0]
    assert stats.confidence[0] == 0
    assert stats.accuracy[0] == 0


def test_no_samples_give_zero_sums():
    stats = bin_stats(torch.zeros(0), torch.zeros(0, dtype=torch.bool), torch.tensor([0.5]))

    assert stats.count.tolist() == [0, 0]
    assert stats.weight.tolist() == [0.0, 0.0]


def test_confidence_exactly_zero_is_in_the_first_bin_and_one_in_the_last():
    stats = bin_stats(torch.tensor([0.0, 1.0]), torch.tensor([True, True]), equal_width_edges(15, dtype=torch.float32))

    assert stats.count.nonzero().flatten().tolist() == [0, 14]


def test_sums_are_wide_whatever_the_dtype_of_the_confidences():
    stats = bin_stats(torch.full((1000,), 0.1), torch.ones(1000, dtype=torch.uint8), torch.tensor([0.5]))

    assert stats.count.dtype == torch.int64
    assert stats.confidence_sum.dtype == torch.float64
    assert abs(stats.confidence_sum[0].item() - 1000 * float(torch.tensor(0.1))) < 1e-9


def test_fractional_correctness_is_summed():
    stats = bin_stats(torch.tensor([0.3, 0.4]), torch.tensor([0.25, 0.5]), torch.tensor([0.5]))

    assert stats.correct_sum.tolist() == [0.75, 0.0]


@quick
@given(data=samples(min_size=0), n_bins=N_BINS)
def test_every_sample_is_in_exactly_one_bin(data, n_bins):
    confidence, correct = data
    edges = equal_width_edges(n_bins)
    stats = bin_stats(confidence, correct, edges)
    lower = torch.cat([torch.tensor([-1.0]), edges])
    upper = torch.cat([edges, torch.tensor([1.0])])
    inside = (confidence[:, None] > lower) & (confidence[:, None] <= upper)

    assert torch.equal(inside.sum(dim=1), torch.ones(len(confidence), dtype=torch.int64))
    assert torch.equal(stats.count, inside.sum(dim=0))
    torch.testing.assert_close(stats.correct_sum, (inside & correct[:, None]).sum(dim=0).double())


@quick
@given(data=samples(), n_bins=N_BINS, seed=st.integers(0, 100))
def test_the_order_of_the_samples_does_not_matter(data, n_bins, seed):
    confidence, correct = data
    order = torch.randperm(len(confidence), generator=torch.Generator().manual_seed(seed))
    edges = equal_mass_edges(confidence, n_bins)
    stats, shuffled = bin_stats(confidence, correct, edges), bin_stats(confidence[order], correct[order], edges)

    assert torch.equal(stats.count, shuffled.count)
    assert torch.equal(stats.correct_sum, shuffled.correct_sum)
    torch.testing.assert_close(stats.confidence_sum, shuffled.confidence_sum, rtol=0, atol=1e-12)


@quick
@given(data=samples(min_size=0), n_bins=N_BINS, cut=st.integers(0, 60))
def test_merging_parts_is_summing_the_whole(data, n_bins, cut):
    confidence, correct = data
    edges = equal_width_edges(n_bins)
    whole = bin_stats(confidence, correct, edges)
    first, second = (bin_stats(confidence[p], correct[p], edges) for p in (slice(None, cut), slice(cut, None)))
    merged, swapped = merge(first, second), merge(second, first)

    assert torch.equal(whole.count, merged.count)
    assert torch.equal(whole.correct_sum, merged.correct_sum)
    torch.testing.assert_close(whole.confidence_sum, merged.confidence_sum, rtol=0, atol=1e-12)
    assert torch.equal(merged.confidence_sum, swapped.confidence_sum)


@quick
@given(data=samples(), n_bins=st.integers(1, 10), binning=BINNING)
def test_the_bins_of_a_refinement_add_up_to_the_coarse_bins(data, n_bins, binning):
    confidence, correct = data
    if binning == "equal_mass":
        coarse, fine = equal_mass_edges(confidence, n_bins), equal_mass_edges(confidence, 3 * n_bins)
    else:
        fine = equal_width_edges(3 * n_bins)
        coarse = fine[2::3]
    few, many = bin_stats(confidence, correct, coarse), bin_stats(confidence, correct, fine)
    if binning == "equal_width":  # tied equal-mass cuts leave empty bins in places that differ
        assert torch.equal(few.count, many.count.view(-1, 3).sum(dim=1))
    assert (few.weight * few.gap.abs()).sum() <= (many.weight * many.gap.abs()).sum() + 1e-12


def test_moving_keeps_every_sum():
    stats = bin_stats(torch.rand(20), torch.rand(20) > 0.5, torch.tensor([0.5]))
    moved = stats.to("cpu")

    assert isinstance(moved, BinStats)
    for name in ("edges", "count", "confidence_sum", "correct_sum"):
        assert torch.equal(getattr(stats, name), getattr(moved, name))


def test_merging_rejects_different_edges(rejects):
    one = bin_stats(torch.tensor([0.5]), torch.tensor([True]), torch.tensor([0.5]))
    other = bin_stats(torch.tensor([0.5]), torch.tensor([True]), torch.tensor([0.6]))
    with rejects(ValueError, "`second.edges` must equal `first.edges`: sums over different bins cannot be added."):
        merge(one, other)


def test_bad_shapes_and_dtypes_are_rejected(rejects):
    edges = torch.tensor([0.5])
    with rejects(ValueError, "`confidence` must have shape (N,), got (2, 2)."):
        bin_stats(torch.zeros(2, 2), torch.zeros(2, 2), edges)
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (2,), got (3,)."):
        bin_stats(torch.zeros(2), torch.zeros(3), edges)
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
        bin_stats(torch.tensor([1]), torch.tensor([True]), edges)
    with rejects(TypeError, "`edges` must be a floating-point tensor, got dtype torch.int64."):
        bin_stats(torch.tensor([0.5]), torch.tensor([True]), torch.tensor([1]))


@pytest.mark.parametrize(
    ("count", "confidence_sum", "correct_sum"),
    [(-1, 0.0, 0.0), (2, -0.1, 1.0), (2, 2.01, 1.0), (2, 1.0, -1.0), (2, 1.0, 3.0), (0, 0.5, 0.0), (2, math.nan, 1.0)],
)
def test_sums_that_no_samples_have_are_refused(count, confidence_sum, correct_sum):
    sums = [torch.tensor([1, count]), torch.tensor([0.5, confidence_sum]), torch.tensor([1.0, correct_sum])]
    with pytest.raises(ValueError, match=r"must hold sums between 0 and the count in each bin, .* in bin 1\.$"):
        check_stats(BinStats(torch.tensor([0.5]), *sums))


def test_sums_on_their_bounds_and_a_rounding_above_are_taken():
    count, edges = torch.tensor([0, 2, 1000]), torch.tensor([0.5, 0.7])
    check_stats(BinStats(edges, count, torch.zeros(3), count.float()))
    check_stats(BinStats(edges, count, torch.tensor([0.0, 2.0019, 1000.9]), torch.zeros(3)))

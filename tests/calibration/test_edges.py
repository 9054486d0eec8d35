# SPDX-License-Identifier: Apache-2.0
"""Edges, and the side on which a bin is closed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adafocal.calibration import assign_bins, equal_mass_edges, equal_width_edges
from adafocal.calibration.edges import assign_equal_width_bins, cut_ranks, find_bins, mass_edges
from calibration.strategies import N_BINS, TIED_CONFIDENCE, quick, samples


def test_equal_width_edges_are_the_multiples_of_one_over_n_bins():
    assert equal_width_edges(5).tolist() == [0.2, 0.4, 0.6, 0.8]


def test_one_bin_has_no_inner_edge():
    assert equal_width_edges(1).shape == (0,)
    assert equal_mass_edges(torch.tensor([0.3, 0.7]), 1).shape == (0,)


def test_equal_width_edges_keep_the_dtype_asked_for():
    assert equal_width_edges(4, dtype=torch.float32).dtype == torch.float32


def test_bins_are_open_below_and_closed_above_with_zero_in_the_first():
    edges = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    confidence = torch.tensor([0.0, 0.25, 0.2500001, 0.5, 0.75, 0.7500001, 1.0], dtype=torch.float64)

    assert assign_bins(confidence, edges).tolist() == [0, 0, 1, 1, 2, 3, 3]


def test_assigning_keeps_the_shape():
    assert assign_bins(torch.rand(2, 3, 4), torch.tensor([0.5])).shape == (2, 3, 4)


def test_equal_mass_edges_are_the_confidences_of_the_ranks_that_cut_evenly():
    confidence = torch.tensor([0.7, 0.1, 0.5, 0.3, 0.9, 0.2, 0.4])

    # Ranks ceil(7 / 3) = 3 and ceil(14 / 3) = 5 of the sorted values.
    torch.testing.assert_close(equal_mass_edges(confidence, 3), torch.tensor([0.3, 0.5]))


@quick
@given(n=st.integers(min_value=1, max_value=200), n_bins=N_BINS, seed=st.integers(0, 100))
def test_equal_mass_sizes_differ_by_at_most_one_without_ties(n, n_bins, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    confidence = (order.double() + 1) / n
    sizes = assign_bins(confidence, equal_mass_edges(confidence, n_bins)).bincount(minlength=n_bins)

    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1


@quick
@given(data=samples(), n_bins=N_BINS)
def test_equal_confidences_share_an_equal_mass_bin(data, n_bins):
    confidence, _ = data
    index = assign_bins(confidence, equal_mass_edges(confidence, n_bins))
    for value in confidence.unique():
        assert index[confidence == value].unique().numel() == 1


@quick
@given(data=samples(), n_bins=N_BINS, seed=st.integers(0, 100))
def test_equal_mass_edges_do_not_depend_on_the_order_of_the_samples(data, n_bins, seed):
    confidence, _ = data
    order = torch.randperm(len(confidence), generator=torch.Generator().manual_seed(seed))

    assert torch.equal(equal_mass_edges(confidence, n_bins), equal_mass_edges(confidence[order], n_bins))


@quick
@given(value=TIED_CONFIDENCE, n=st.integers(1, 30), n_bins=N_BINS)
def test_confidences_that_are_all_equal_share_one_bin(value, n, n_bins):
    confidence = torch.full((n,), value, dtype=torch.float64)

    assert assign_bins(confidence, equal_mass_edges(confidence, n_bins)).unique().tolist() == [0]


@pytest.mark.parametrize("n_bins", [2, 3, 15])
def test_doubling_the_bins_refines_equal_mass_bins(n_bins):
    confidence = torch.rand(1000, dtype=torch.float64)
    coarse, fine = equal_mass_edges(confidence, n_bins), equal_mass_edges(confidence, 2 * n_bins)

    assert torch.isin(coarse, fine).all()


def test_edges_reject_a_number_of_bins_below_one(rejects):
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        equal_width_edges(0)
    with rejects(TypeError, "`n_bins` must be an integer >= 1, got 2.0."):
        equal_mass_edges(torch.tensor([0.5]), 2.0)
    with rejects(TypeError, "`n_bins` must be an integer >= 1, got True."):
        equal_width_edges(True)


def test_equal_mass_edges_reject_what_has_no_quantiles(rejects):
    with rejects(ValueError, "`confidence` must have shape (N,) with N >= 1, got (0,)."):
        equal_mass_edges(torch.zeros(0), 2)
    with rejects(ValueError, "`confidence` must have shape (N,) with N >= 1, got (2, 2)."):
        equal_mass_edges(torch.zeros(2, 2), 2)
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
        equal_mass_edges(torch.tensor([1, 0]), 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_bins", [1, 2, 3, 7, 10, 15, 49, 100, 4097])
def test_equal_width_bins_without_a_search_are_those_of_the_search(n_bins, dtype):
    edges = equal_width_edges(n_bins, dtype=dtype)
    above, below = (torch.nextafter(edges, torch.full_like(edges, end)) for end in (2.0, -1.0))
    odd = torch.tensor([0.0, 1.0, 1e-40, 1 - 2**-24, -1.0, 2.0, torch.nan, torch.inf, -torch.inf], dtype=dtype)
    values = torch.cat([edges, above, below, odd, torch.rand(10_000, dtype=dtype)])
    assert assign_equal_width_bins(values, n_bins).tolist() == find_bins(values, edges).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 5, 5000])
def test_many_values_are_binned_and_cut_as_few_are(n, dtype):
    """Quicker ways for long vectors, few edges and plain dtypes: bit for bit what sorting and searching give."""
    values = torch.rand(n).to(dtype)
    values[::3] = values[0].clone()
    values[0] = -0.0
    for n_bins in (1, 2, 15, 33, 34):
        edges = mass_edges(values, n_bins)
        assert torch.equal(edges, values.sort().values[cut_ranks(n, n_bins, device=torch.device("cpu")) - 1])
        spoilt = torch.cat([values, values.new_tensor([float("nan")])])
        assert torch.equal(find_bins(spoilt, edges), torch.bucketize(spoilt, edges))

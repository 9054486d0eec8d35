# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.calibration import (
    assign_bins,
    bin_stats,
    binned_error,
    equal_mass_edges,
    grid_edges,
    grid_ks_error,
    grid_stats,
    join_cells,
    joined_equal_mass,
    joined_sweep,
    merge,
)
from adafocal.calibration.edges import find_bins
from adafocal.calibration.grid import sum_cells

N_CELLS = 4352


def sample(n=10_000, sharpness=3.0):
    confidence = (sharpness * torch.randn(n, 5)).softmax(dim=1).amax(dim=1)
    return confidence, torch.rand(n) < confidence**2


def test_edges_are_float32_numbers_dense_towards_one():
    edges = grid_edges()
    assert edges.shape == (N_CELLS - 1,)
    assert torch.equal(edges, edges.float().double())
    assert bool((edges.diff() > 0).all())
    assert edges[-1] == 1 - 2.0**-24
    coarse = edges[edges <= 1 - 2.0**-16]
    assert float((coarse.diff() / (1 - coarse[:-1])).max()) <= 1 / 256


def test_every_edge_and_its_neighbours_fall_in_the_cell_that_bins_assign():
    edges = grid_edges(dtype=torch.float32)
    ends = torch.tensor([0.0, 1e-30, 1e-9, 0.5, 1.0, 1.0005, -1e-4])
    beside = [edges, torch.nextafter(edges, torch.tensor(2.0)), torch.nextafter(edges, torch.tensor(-1.0)), ends]
    confidence = torch.cat(beside)
    expected = torch.bincount(find_bins(confidence, edges), minlength=N_CELLS)
    assert torch.equal(expected, sum_cells(confidence, confidence > 0.5).count)


def test_float64_values_a_rounding_beside_an_edge_fall_in_their_cell():
    edges = grid_edges()
    beside = [torch.nextafter(edges, torch.full_like(edges, end)) for end in (0.0, 2.0)]
    for confidence in (edges, *beside):
        expected = torch.bincount(find_bins(confidence, edges), minlength=N_CELLS)
        assert torch.equal(expected, sum_cells(confidence, confidence > 0.5).count)


@pytest.mark.parametrize("seed", range(20))
def test_the_sweep_stops_before_the_first_number_of_bins_whose_accuracy_falls(seed):
    # Few distinct values, so that bins are empty, hold one sample, or share an accuracy.
    generator = torch.Generator().manual_seed(seed)
    confidence = torch.randint(1, 12, (25,), generator=generator) / 12
    cells = grid_stats(confidence, torch.rand(25, generator=generator) < confidence)
    best = joined_equal_mass(cells, 1)
    for n_bins in range(2, len(confidence.unique()) + 1):
        finer = joined_equal_mass(cells, n_bins)
        shares = [k / n for k, n in zip(finer.correct_sum.tolist(), finer.count.tolist(), strict=True) if n]
        if shares != sorted(shares):
            break
        best = finer

    assert torch.equal(joined_sweep(cells).edges, best.edges)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_samples_in_one_cell_have_their_mean_gap_as_ks_error(n):
    assert grid_ks_error(grid_stats(torch.full((n,), 0.75), torch.zeros(n))).item() == 0.75


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_cells_agree_with_bins_of_the_same_edges(dtype):
    confidence, correct = sample()
    confidence = confidence.to(dtype)
    cells = grid_stats(confidence, correct)
    expected = bin_stats(confidence.double(), correct, grid_edges())
    assert torch.equal(expected.count, cells.count)
    assert torch.equal(expected.correct_sum, cells.correct_sum)
    torch.testing.assert_close(cells.confidence_sum, expected.confidence_sum, rtol=1e-12, atol=0.0)


def test_no_sample_gives_empty_cells():
    cells = grid_stats(torch.empty(0), torch.empty(0, dtype=torch.bool))
    assert int(cells.count.sum()) == 0
    assert bool(grid_ks_error(cells).isnan())


@pytest.mark.parametrize("n_bins", [1, 2, 15, 100])
def test_joined_bins_are_exact_for_the_edges_that_they_report(n_bins):
    confidence, correct = sample()
    joined = joined_equal_mass(grid_stats(confidence, correct), n_bins)
    direct = bin_stats(confidence, correct, joined.edges)
    assert torch.equal(direct.count, joined.count)
    assert torch.equal(direct.correct_sum, joined.correct_sum)
    torch.testing.assert_close(joined.confidence_sum, direct.confidence_sum, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("n_bins", [2, 15, 50])
def test_edges_miss_equal_mass_by_at_most_one_cell(sharpness, n_bins):
    confidence, correct = sample(sharpness=sharpness)
    cells = grid_stats(confidence, correct)
    exact = assign_bins(equal_mass_edges(confidence, n_bins), cells.edges)
    upper = torch.cat([cells.edges, torch.ones(1)])
    assert torch.equal(upper[exact], joined_equal_mass(cells, n_bins).edges)


def test_merged_batches_are_the_whole():
    confidence, correct = sample()
    whole = grid_stats(confidence, correct)
    parts = [grid_stats(c, k) for c, k in zip(confidence.split(777), correct.split(777), strict=True)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merge(merged, part)
    assert torch.equal(whole.count, merged.count)
    torch.testing.assert_close(merged.confidence_sum, whole.confidence_sum, rtol=1e-12, atol=0.0)


def test_confidences_that_have_their_own_cells_give_exact_equal_mass_and_sweep_bins():
    confidence = 1 - 2.0**-17 * torch.rand(1000)
    correct = torch.rand(1000) < 0.9
    cells = grid_stats(confidence, correct)
    exact = bin_stats(confidence, correct, equal_mass_edges(confidence, 10))
    assert torch.equal(exact.count, joined_equal_mass(cells, 10).count)
    n_bins = 1
    while True:
        finer = bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins + 1))
        if bool((finer.accuracy[finer.count > 0].diff() < 0).any()):
            break
        n_bins += 1
    expected = bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins))
    assert torch.equal(expected.count, joined_sweep(cells).count)


def test_sweep_takes_one_bin_where_two_already_fall():
    confidence = torch.tensor([0.125, 0.375, 0.625, 0.875])
    falling = joined_sweep(grid_stats(confidence, torch.tensor([True, True, False, False])))
    assert (falling.n_bins, float(binned_error(falling))) == (1, 0.0)
    rising = joined_sweep(grid_stats(confidence, torch.tensor([False, False, True, True])))
    assert rising.n_bins == 4
    assert float(binned_error(rising)) == (0.125 + 0.375 + 0.375 + 0.125) / 4


def test_ks_error_is_the_largest_cumulated_gap_at_cell_edges():
    confidence, correct = sample()
    order = confidence.argsort()
    exact = float((confidence.double() - correct.double())[order].cumsum(0).abs().max() / len(confidence))
    cells = grid_stats(confidence, correct)
    largest_cell = float(cells.count.max() / len(confidence))
    assert exact - largest_cell <= float(grid_ks_error(cells)) <= exact + 1e-12


def test_cells_join_into_any_edges_by_their_upper_edge():
    cells = grid_stats(torch.tensor([0.1, 0.6, 0.9]), torch.tensor([True, True, False]))
    joined = join_cells(cells, torch.tensor([0.5, 0.75]))
    assert torch.equal(joined.count, torch.tensor([1, 1, 1]))
    assert torch.equal(joined.correct_sum, torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))


def test_unusable_arguments_are_refused_in_one_sentence(rejects):
    none = grid_stats(torch.empty(0), torch.empty(0))
    with rejects(ValueError, "`stats` must hold at least one sample, got 0."):
        joined_equal_mass(none, 15)
    with rejects(ValueError, "`stats` must hold at least one sample, got 0."):
        joined_sweep(none)
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        joined_equal_mass(none, 0)
    with rejects(ValueError, "`confidence` must have shape (N,), got (2, 2)."):
        grid_stats(torch.zeros(2, 2), torch.zeros(2, 2))
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (2,), got (3,)."):
        grid_stats(torch.zeros(2), torch.zeros(3))
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
        grid_stats(torch.zeros(2, dtype=torch.int64), torch.zeros(2))


@pytest.mark.parametrize(
    ("dtype", "of_edges"), [(torch.float64,) * 2, (torch.float32,) * 2, (torch.float16, torch.float32)]
)
def test_cells_keep_their_edges_in_the_dtype_of_the_confidences_but_no_narrower_than_float32(dtype, of_edges):
    assert grid_stats(torch.rand(5).to(dtype), torch.ones(5)).edges.dtype == of_edges


@pytest.mark.parametrize(
    ("n", "n_bins", "counts"), [(5, 2, [3, 2]), (4, 3, [2, 1, 1]), (7, 3, [3, 2, 2]), (6, 3, [2] * 3)]
)
def test_a_joined_bin_ends_at_the_rank_rounded_up(n, n_bins, counts):
    cells = grid_stats(torch.linspace(0.1, 0.9, n), torch.ones(n))

    assert joined_equal_mass(cells, n_bins).count.tolist() == counts


def test_an_empty_bin_does_not_end_the_sweep_and_a_bin_of_one_may():
    tied = grid_stats(torch.tensor([0.1] + [0.9] * 10), torch.tensor([0] + [1] * 10))
    falling = grid_stats(torch.tensor([0.2, 0.9]), torch.tensor([1, 0]))

    assert joined_sweep(tied).count.tolist() == [11, 0]
    assert joined_sweep(falling).count.tolist() == [2]

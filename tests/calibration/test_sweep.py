# SPDX-License-Identifier: Apache-2.0
"""The monotonic sweep."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adafocal.calibration import assign_bins, expected_calibration_error, sweep_calibration_error, sweep_edges
from calibration.strategies import quick, samples


def sweep_by_the_book(confidence: np.ndarray, correct: np.ndarray, power: int) -> float:
    """Algorithm 1 of Roelofs et al. for distinct confidences, with one array per bin."""
    order = np.argsort(confidence)
    confidence, correct = confidence[order], correct[order]
    n = len(confidence)

    def bins(count):
        index = np.arange(n) * count // n
        return [(confidence[index == b], correct[index == b]) for b in range(count)]

    best = 1
    for count in range(2, n + 1):
        accuracy = [c.mean() for _, c in bins(count)]
        if any(later < earlier for earlier, later in pairwise(accuracy)):
            break
        best = count
    return sum(len(f) / n * abs(f.mean() - c.mean()) ** power for f, c in bins(best)) ** (1 / power)


@pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("l2", 2)])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 1000])
def test_it_is_the_algorithm_of_the_paper(norm, power, n):
    for _ in range(5):
        confidence = torch.rand(n, dtype=torch.float64)
        correct = torch.rand(n, dtype=torch.float64) < confidence.square()
        expected = sweep_by_the_book(confidence.numpy(), correct.numpy(), power)

        assert sweep_calibration_error(confidence, correct, norm=norm).item() == pytest.approx(expected, abs=1e-12)


def test_one_bin_is_left_where_two_already_fall():
    confidence, correct = torch.tensor([0.2, 0.8], dtype=torch.float64), torch.tensor([True, False])

    assert sweep_edges(confidence, correct).shape == (0,)
    assert sweep_calibration_error(confidence, correct).item() == pytest.approx(0.0, abs=1e-12)


def test_perfect_order_needs_no_search():
    n = 200_000
    confidence, correct = torch.rand(n, dtype=torch.float64), torch.ones(n, dtype=torch.bool)

    assert sweep_edges(confidence, correct).shape == (1_999,)
    assert sweep_calibration_error(confidence, correct).item() == pytest.approx(1 - confidence.mean().item())


def test_almost_perfect_order_ends_at_the_largest_number_of_bins():
    confidence = torch.linspace(0.5, 1.0, 50_000, dtype=torch.float64)
    correct = torch.ones(50_000, dtype=torch.bool)
    correct[1] = False

    assert sweep_edges(confidence, correct).shape == (1_999,)


@quick
@given(data=samples(), seed=st.integers(0, 100))
def test_the_order_of_the_samples_does_not_matter(data, seed):
    confidence, correct = data
    order = torch.randperm(len(confidence), generator=torch.Generator().manual_seed(seed))
    first = sweep_calibration_error(confidence, correct)

    torch.testing.assert_close(first, sweep_calibration_error(confidence[order], correct[order]), rtol=0, atol=1e-12)


@quick
@given(data=samples())
def test_the_accuracies_of_the_bins_never_fall(data):
    confidence, correct = data
    edges = sweep_edges(confidence, correct)
    index = assign_bins(confidence, edges)
    accuracy = [correct[index == b].double().mean().item() for b in index.unique()]

    assert accuracy == sorted(accuracy)


@quick
@given(data=samples())
def test_the_error_is_that_of_its_own_bins(data):
    confidence, correct = data
    n_bins = sweep_edges(confidence, correct).numel() + 1
    fixed = expected_calibration_error(confidence, correct, n_bins=n_bins, binning="equal_mass")

    torch.testing.assert_close(sweep_calibration_error(confidence, correct), fixed, rtol=0, atol=1e-12)


def test_bad_arguments_are_rejected(rejects):
    with rejects(ValueError, "`norm` must be one of 'l1', 'l2', 'max', got 'l0'."):
        sweep_calibration_error(torch.tensor([0.5]), torch.tensor([True]), norm="l0")
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        sweep_edges(torch.zeros(0), torch.zeros(0))
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (1,), got (2,)."):
        sweep_edges(torch.tensor([0.5]), torch.tensor([True, False]))

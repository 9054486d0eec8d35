# SPDX-License-Identifier: Apache-2.0
"""Intervals that cover and a test that keeps its level: a small version of benchmarks/interval_coverage.py."""

import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import given
from torch.utils._python_dispatch import TorchDispatchMode

from adafocal.calibration import (
    bin_stats,
    calibration_test,
    consistency,
    equal_mass_edges,
    expected_calibration_error,
    overconfidence_interval,
    rms_calibration_interval,
    rms_interval_from_bins,
)
from calibration.strategies import N_BINS, quick, samples


@pytest.fixture(scope="module")
def simulation():
    path = Path(__file__).parents[2] / "benchmarks" / "interval_coverage.py"
    spec = importlib.util.spec_from_file_location("interval_coverage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_predictors_of_the_simulation_have_the_error_they_are_said_to_have(simulation):
    generator = torch.Generator().manual_seed(0)
    for spread, gap in simulation.PREDICTORS.values():
        for error in simulation.ERRORS:
            strength = simulation.strength_of(spread, gap, error)
            quantile = torch.rand(400_000, dtype=torch.float64, generator=generator)
            confidence = spread(quantile)
            truth = gap(confidence, quantile, strength)
            sampled = (confidence - truth).square().mean().sqrt().item()

            assert truth.min() >= 0
            assert truth.max() <= 1
            assert sampled == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize(("error", "n"), [(0.0, 500), (0.03, 2000)])
def test_the_interval_covers_the_true_error(simulation, unchecked_shapes, error, n):
    generator = torch.Generator().manual_seed(1)
    spread, gap = simulation.PREDICTORS["sharp, temperature"]
    held, *_, bias_held = simulation.coverage(spread, gap, error, n, 200, generator)

    # 95 % of 200, give or take 2.6 standard deviations.
    assert 0.91 <= held <= 0.99
    assert 0.91 <= bias_held <= 0.99


def test_the_test_rejects_a_calibrated_model_at_its_level(simulation, unchecked_shapes):
    rejected = simulation.rejections(simulation.sharp, 500, 200, torch.Generator().manual_seed(2))

    assert 0.01 <= rejected <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("n", [500, 2000, 10000])
@pytest.mark.parametrize("error", [0.01, 0.1])
def test_the_interval_covers_at_every_size(simulation, unchecked_shapes, n, error):
    spread, gap = simulation.PREDICTORS["sharp, temperature"]
    held, *_ = simulation.coverage(spread, gap, error, n, 500, torch.Generator().manual_seed(3))

    # 93 to 97 % is what is promised; five hundred simulations are uncertain by 1 %, twice that is allowed.
    assert held >= 0.91
    assert held <= 0.99


def test_a_model_with_hardly_any_expected_mistakes_is_not_called_miscalibrated_too_often(unchecked_shapes):
    # 0.1 mistakes expected among 100 samples: one happens in 10 % of the data sets, and proves little.
    rejected = 0
    for _ in range(120):
        confidence = torch.full((100,), 0.999, dtype=torch.float64) + 1e-4 * torch.rand(100, dtype=torch.float64)
        correct = torch.rand(100, dtype=torch.float64) < confidence
        rejected += rms_calibration_interval(confidence, correct)[0].item() > 0

    assert rejected / 120 <= 0.09


@quick
@given(data=samples(), n_bins=N_BINS)
def test_the_interval_lies_in_zero_and_one_and_holds_the_debiased_estimate(data, n_bins):
    low, high = (end.item() for end in rms_calibration_interval(*data, n_bins=n_bins))
    estimate = expected_calibration_error(*data, n_bins=n_bins, binning="equal_mass", norm="l2", debias=True).item()

    assert 0 <= low <= high <= 1
    if high < 1:  # where every bin holds one sample nothing is known
        counted = bin_stats(*data, equal_mass_edges(data[0], n_bins)).count
        share = (counted[counted > 1].sum() / counted.sum()).item()
        assert low - 1e-5 <= estimate / share**0.5 <= high + 1e-5


def test_a_wider_level_gives_a_wider_interval_and_more_samples_a_narrower_one():
    confidence = torch.linspace(0.5, 1.0, 4000, dtype=torch.float64)
    correct = torch.rand(4000, dtype=torch.float64) < confidence - 0.1
    (low_90, high_90), (low_99, high_99) = (
        rms_calibration_interval(confidence, correct, level=level) for level in (0.9, 0.99)
    )
    low_few, high_few = rms_calibration_interval(confidence[::10], correct[::10], level=0.9)

    assert low_99 < low_90 < 0.1 < high_90 < high_99
    assert high_few - low_few > 2 * (high_90 - low_90)


def test_the_interval_of_bins_is_the_interval_of_their_samples():
    confidence, correct = torch.rand(300, dtype=torch.float64), torch.rand(300) > 0.5
    stats = bin_stats(confidence, correct, equal_mass_edges(confidence, 15))

    of_bins, of_samples = rms_interval_from_bins(stats), rms_calibration_interval(confidence, correct)
    assert [float(end) for end in of_bins] == pytest.approx([float(end) for end in of_samples], rel=1e-12)


@pytest.mark.parametrize(("confidence", "right"), [(1.0, True), (0.0, False)])
def test_a_certain_model_that_is_always_right_may_still_err_a_little(confidence, right):
    low, high = rms_calibration_interval(torch.full((100,), confidence), torch.full((100,), right))

    assert low.item() == 0
    # The exact one-sided limit for no event in 100 trials at 2.5 % is 1 - 0.025^(1/100) = 0.036.
    assert high.item() == pytest.approx(0.036, abs=0.01)


def test_a_certain_model_that_is_always_wrong_errs_by_one():
    low, high = rms_calibration_interval(torch.ones(100), torch.zeros(100))

    assert low.item() > 0.9
    assert high.item() == pytest.approx(1.0)


def test_samples_in_bins_of_their_own_tell_nothing():
    low, high = rms_calibration_interval(torch.rand(10), torch.ones(10), n_bins=15)

    assert (low.item(), high.item()) == (0.0, 1.0)


def test_the_same_data_give_the_same_p_value():
    confidence, correct = torch.rand(300), torch.rand(300) > 0.5

    assert calibration_test(confidence, correct) == calibration_test(confidence, correct)


def test_the_p_value_counts_the_drawn_data_sets_at_least_as_far_off():
    confidence, correct = torch.full((50,), 0.5, dtype=torch.float64), torch.arange(50) < 33
    p_value = calibration_test(confidence, correct, n_bins=1, n_resamples=9999).item()

    # The exact binomial probability of 33 or more, or 17 or fewer, of 50: 0.0328.
    assert p_value == pytest.approx(0.0328, abs=0.006)


def test_a_far_off_model_gets_the_smallest_p_value():
    confidence = torch.full((1000,), 0.9)

    assert calibration_test(confidence, torch.zeros(1000), n_resamples=99).item() == pytest.approx(0.01)


def test_many_samples_share_cells_and_the_test_still_keeps_its_level(unchecked_shapes):
    generator = torch.Generator().manual_seed(0)
    rejected = 0
    for _ in range(100):
        confidence = torch.rand(5000, dtype=torch.float64, generator=generator)
        correct = torch.rand(5000, dtype=torch.float64, generator=generator) < confidence
        rejected += calibration_test(confidence, correct, n_bins=5, n_resamples=99, generator=generator).item() <= 0.1

    assert 2 <= rejected <= 20


def test_overconfidence_interval_is_the_normal_one():
    confidence, correct = torch.full((100,), 0.8, dtype=torch.float64), torch.arange(100) < 70
    low, high = overconfidence_interval(confidence, correct)
    half = 1.959964 * (100 / 99 * 0.21 / 100) ** 0.5

    assert low.item() == pytest.approx(0.1 - half, abs=1e-6)
    assert high.item() == pytest.approx(0.1 + half, abs=1e-6)


def test_bad_arguments_are_rejected(rejects):
    confidence, correct = torch.tensor([0.5]), torch.tensor([True])
    for interval in (rms_calibration_interval, overconfidence_interval):
        with rejects(ValueError, "`level` must be a number > 0 and < 1, got 95."):
            interval(confidence, correct, level=95)
        with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
            interval(torch.zeros(0), torch.zeros(0))
    with rejects(ValueError, "`n_resamples` must be an integer >= 1, got 0."):
        calibration_test(confidence, correct, n_resamples=0)
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        calibration_test(confidence, correct, n_bins=0)
    with rejects(ValueError, "`correct` must have the shape of `confidence`, (1,), got (2,)."):
        calibration_test(confidence, torch.tensor([True, False]))


class Largest(TorchDispatchMode):
    """Note the most elements of any tensor that is made."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = result if isinstance(result, (tuple, list)) else (result,)
        # What is expanded takes no memory: count what lies in it.
        stored = [part.untyped_storage().nbytes() // 8 for part in made if isinstance(part, torch.Tensor)]
        self.elements = max([self.elements, *stored])
        return result


@pytest.mark.parametrize("n_bins", [15, 100, 500, 5000])
def test_drawn_labels_take_bounded_memory_whatever_the_number_of_bins(n_bins):
    confidence = torch.rand(20_000)
    with Largest() as largest:
        calibration_test(confidence, torch.rand(20_000) < confidence, n_bins=n_bins, n_resamples=99)
    # A block of draws, or one row where a row is longer; all draws at once were 32 million for 500 bins and 999 draws.
    assert largest.elements <= max(1 << 20, 2 * n_bins * 64)


def test_labels_drawn_in_blocks_are_those_drawn_at_once(monkeypatch):
    confidence = torch.rand(3000)
    correct = torch.rand(3000) < confidence
    for seed in (None, 0, 1):
        values = []
        for block in (1 << 40, 1 << 20, 1 << 13, 4 * 64 * 40, 1):  # of four rows the last block has three
            monkeypatch.setattr(consistency, "DRAWN_AT_A_TIME", block)
            generator = None if seed is None else torch.Generator().manual_seed(seed)
            values.append(float(calibration_test(confidence, correct, n_bins=40, n_resamples=99, generator=generator)))
        assert len(set(values)) == 1

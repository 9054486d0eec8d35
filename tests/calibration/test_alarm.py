# SPDX-License-Identifier: Apache-2.0
"""The alarm on calibration over time: its mean is 1 while confidences are true, and a drift is found."""

import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch

from adafocal.calibration.alarm import BOTH, evidence, log_means, log_ratios
from adafocal.calibration.edges import assign_equal_width_bins

path = Path(__file__).parents[2] / "benchmarks" / "monitor_alarm.py"
spec = importlib.util.spec_from_file_location("monitor_alarm", path)
BENCHMARK = importlib.util.module_from_spec(spec)
spec.loader.exec_module(BENCHMARK)

N_BINS = 5
CONFIDENCE = torch.tensor([[0.2, 0.55, 0.9], [0.0, 0.7, 1.0], [0.95, 0.95, 0.4]], dtype=torch.float64)


def martingale(labels, tolerance=0.0):
    """The evidence after every window of CONFIDENCE, for labels of its shape."""
    windows = []
    for confidence, happened in zip(CONFIDENCE, labels, strict=True):
        place = assign_equal_width_bins(confidence, N_BINS)
        parts = torch.cat([(happened - confidence)[:, None], log_means(confidence, tolerance)], dim=1)
        sums = torch.zeros(N_BINS, parts.shape[1], dtype=torch.float64).index_add_(0, place, parts)
        windows.append(log_ratios(sums[:, 0], sums[:, 1:]))
    return [math.exp(one) for one in evidence(windows, N_BINS)]


def mean_over_labels(chance, tolerance=0.0):
    total = torch.zeros(len(CONFIDENCE), dtype=torch.float64)
    for labels in itertools.product([0.0, 1.0], repeat=CONFIDENCE.numel()):
        held = torch.tensor(labels, dtype=torch.float64).view_as(CONFIDENCE)
        weight = float(torch.where(held == 1, chance, 1 - chance).prod())
        if weight > 0:
            total += weight * torch.tensor(martingale(held, tolerance), dtype=torch.float64)
    return total


def test_its_mean_over_all_labels_is_1_after_every_window_while_confidences_are_true():
    torch.testing.assert_close(mean_over_labels(CONFIDENCE), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("side", [-0.1, 0.0, 0.07, 0.1])
def test_its_mean_is_at_most_1_where_confidences_are_off_by_no_more_than_the_tolerance(side):
    chance = (CONFIDENCE + side).clamp(0, 1)

    assert mean_over_labels(chance, 0.1).max() <= 1 + 1e-9
    assert mean_over_labels(chance, 0.1).max() <= mean_over_labels(chance, 0.0).max() + 1e-9


def test_the_mean_of_one_row_is_that_of_its_two_labels():
    confidence = torch.tensor([0.3, 0.0, 1.0], dtype=torch.float64)
    wanted = confidence[:, None] * (BOTH * (1 - confidence[:, None])).exp()
    wanted = wanted + (1 - confidence[:, None]) * (-BOTH * confidence[:, None]).exp()

    torch.testing.assert_close(log_means(confidence, 0.0).exp(), wanted)


def test_a_wrong_answer_that_was_certain_counts_and_does_not_end_it():
    labels = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    found = martingale(labels)

    assert all(math.isfinite(one) for one in found)
    right = labels.clone()
    right[1, 2] = 1.0
    assert found[1] > martingale(right)[1]


def test_what_comes_later_changes_nothing_of_what_was_said():
    labels = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    other = labels.clone()
    other[2] = 1 - other[2]

    assert martingale(labels)[:2] == martingale(other)[:2]


def test_few_calibrated_years_alarm_and_a_drift_is_found_soon():
    generator = torch.Generator().manual_seed(5)
    setting = BENCHMARK.Setting(52, 200, BENCHMARK.sure)
    false = sum(BENCHMARK.alarm_of(setting, 0.0, generator) is not None for _ in range(40))
    late = [BENCHMARK.alarm_of(setting, BENCHMARK.DRIFT, generator) for _ in range(10)]

    assert false <= 4
    assert None not in late
    assert max(late) <= 26 + 15


@pytest.mark.slow
def test_at_most_one_calibrated_year_in_twenty_alarms(unchecked_shapes):
    generator = torch.Generator().manual_seed(6)
    for draw in (BENCHMARK.sure, BENCHMARK.uniform):
        setting = BENCHMARK.Setting(52, 200, draw)
        false = sum(BENCHMARK.alarm_of(setting, 0.0, generator) is not None for _ in range(600))
        assert false <= 0.05 * 600


@pytest.mark.parametrize(("low", "high"), [(0.5, -0.5), (-0.5, 0.5), (0.4, 0.4)])
def test_shifts_to_opposite_sides_and_to_one_are_both_found(low, high):
    generator = torch.Generator().manual_seed(7)
    confidence = torch.rand(4000, dtype=torch.float64, generator=generator)
    chance = (confidence.logit(1e-9) + torch.where(confidence < 0.5, low, high)).sigmoid()
    gap = (torch.rand(4000, dtype=torch.float64, generator=generator) < chance).double() - confidence
    parts = torch.cat([gap[:, None], log_means(confidence, 0.0)], dim=1)
    sums = torch.zeros(15, parts.shape[1], dtype=torch.float64)
    sums.index_add_(0, assign_equal_width_bins(confidence, 15), parts)

    assert evidence([log_ratios(sums[:, 0], sums[:, 1:])], 15)[0] > math.log(20)

# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from adafocal.selective import coverage_at_risk, risk_at_coverage, risk_coverage_curve

CONFIDENCE = torch.tensor([0.5, 0.9, 0.6, 0.8, 0.7])
ERRORS = torch.tensor([True, False, False, True, False])  # by confidence: right, wrong, right, right, wrong


def test_the_curve_is_the_running_mean_of_the_losses():
    curve = risk_coverage_curve(CONFIDENCE, ERRORS)
    torch.testing.assert_close(curve.coverage, torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0], dtype=torch.float64))
    torch.testing.assert_close(curve.risk, torch.tensor([0, 1 / 2, 1 / 3, 1 / 4, 2 / 5], dtype=torch.float64))
    assert torch.equal(curve.threshold, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))


def test_tied_samples_enter_together():
    curve = risk_coverage_curve(torch.tensor([0.5, 0.9, 0.5, 0.5]), torch.tensor([1.0, 0.0, 0.0, 1.0]))
    torch.testing.assert_close(curve.coverage, torch.tensor([0.25, 1.0], dtype=torch.float64))
    torch.testing.assert_close(curve.risk, torch.tensor([0.0, 0.5], dtype=torch.float64))


def test_all_equal_confidences_give_one_point():
    curve = risk_coverage_curve(torch.zeros(4), torch.tensor([0.0, 1.0, 2.0, 3.0]))
    assert (curve.coverage.tolist(), curve.risk.tolist()) == ([1.0], [1.5])


@pytest.mark.parametrize(("risk", "coverage"), [(0.0, 0.2), (0.25, 0.8), (0.3, 0.8), (0.4, 1.0), (1.0, 1.0)])
def test_coverage_at_risk_is_the_largest_that_stays_below(risk, coverage):
    assert coverage_at_risk(CONFIDENCE, ERRORS, risk=risk).item() == pytest.approx(coverage)


def test_coverage_is_zero_where_no_threshold_reaches_the_risk():
    assert coverage_at_risk(CONFIDENCE, torch.ones(5), risk=0.5) == 0


def test_a_risk_that_is_met_exactly_counts_despite_rounding():
    losses = torch.full((10,), 0.1, dtype=torch.float64)
    assert coverage_at_risk(torch.arange(10.0), losses, risk=0.1) == 1


@pytest.mark.parametrize(("coverage", "risk"), [(0.2, 0), (0.4, 1 / 2), (0.41, 1 / 3), (0.8, 1 / 4), (1.0, 2 / 5)])
def test_risk_at_coverage_is_that_of_the_most_confident(coverage, risk):
    assert risk_at_coverage(CONFIDENCE, ERRORS, coverage=coverage).item() == pytest.approx(risk)


def test_ties_at_the_cut_enter_by_their_mean():
    confidence, errors = torch.tensor([0.9, 0.5, 0.5]), torch.tensor([0.0, 1.0, 0.0])
    assert risk_at_coverage(confidence, errors, coverage=2 / 3).item() == pytest.approx(0.25)


def test_the_number_of_answered_samples_does_not_suffer_from_rounding():
    # 0.55 · 100 is 55.000000000000007 in floating point.
    losses = torch.cat([torch.ones(45), torch.zeros(55)])
    assert risk_at_coverage(torch.arange(100.0), losses, coverage=0.55) == 0


def test_infinite_confidences_have_their_rank():
    curve = risk_coverage_curve(torch.tensor([-math.inf, math.inf, 0.0]), torch.tensor([1.0, 0.0, 0.5]))
    torch.testing.assert_close(curve.risk, torch.tensor([0.0, 0.25, 0.5], dtype=torch.float64))


def test_bad_input_is_answered_with_one_sentence(rejects):
    one = torch.tensor([0.5])
    with rejects(ValueError, "`confidence` must have shape (N,) with N >= 1, got (0,)."):
        risk_coverage_curve(torch.tensor([]), torch.tensor([]))
    with rejects(ValueError, "`losses` must have the shape of `confidence`, (1,), got (2,)."):
        risk_coverage_curve(one, torch.zeros(2))
    with rejects(ValueError, "`confidence` must not be NaN, got nan at position 0."):
        risk_coverage_curve(torch.tensor([math.nan]), torch.zeros(1))
    with rejects(ValueError, "`losses` must be finite, got inf at position 1."):
        risk_coverage_curve(torch.zeros(2), torch.tensor([0.0, math.inf]))
    with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
        risk_coverage_curve(torch.tensor([1]), torch.zeros(1))
    with rejects(ValueError, "`coverage` must be a number > 0 and <= 1, got 0.0."):
        risk_at_coverage(one, torch.zeros(1), coverage=0.0)
    with rejects(ValueError, "`risk` must be a finite number, got nan."):
        coverage_at_risk(one, torch.zeros(1), risk=math.nan)

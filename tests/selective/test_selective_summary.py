# SPDX-License-Identifier: Apache-2.0
from dataclasses import fields

import pytest
import torch

from adafocal.selective import augrc, aurc, coverage_at_risk, excess_aurc, risk_at_coverage, selective_summary

MEASURES = ("risk", "aurc", "excess_aurc", "augrc", "coverage_at_risk", "risk_at_coverage")


def drawn(generator, n):
    confidence = 1 - 0.5 * torch.rand(n, generator=generator, dtype=torch.float64).square()
    return confidence, (torch.rand(n, generator=generator, dtype=torch.float64) > confidence).double()


def test_values_are_those_of_the_plain_functions():
    confidence, errors = drawn(torch.Generator().manual_seed(1), 200)
    summary = selective_summary(confidence, errors, estimator="ln", risk=0.1, coverage=0.6)
    assert summary.n == 200
    assert summary.risk.value == pytest.approx(errors.mean().item())
    assert summary.aurc.value == pytest.approx(aurc(confidence, errors, estimator="ln").item())
    assert summary.excess_aurc.value == pytest.approx(excess_aurc(confidence, errors, estimator="ln").item())
    assert summary.augrc.value == pytest.approx(augrc(confidence, errors).item())
    assert summary.coverage_at_risk.value == pytest.approx(coverage_at_risk(confidence, errors, risk=0.1).item())
    assert summary.risk_at_coverage.value == pytest.approx(risk_at_coverage(confidence, errors, coverage=0.6).item())
    assert {field.name for field in fields(summary)} == {"n", *MEASURES}


def rare_errors(generator, n, accuracy=0.957, distance=1.5, steps=None):
    """Normal scores, higher for right samples; benchmarks/small_sample_coverage.py has more settings."""
    wrong = (torch.rand(n, generator=generator, dtype=torch.float64) > accuracy).double()
    score = torch.randn(n, generator=generator, dtype=torch.float64) + distance * (1 - wrong)
    return score if steps is None else (score * steps).round() / steps, wrong


HARD = {
    "few errors": (rare_errors, 300, 0.03),
    "inaccurate": (lambda generator, n: rare_errors(generator, n, 0.63, 1.0), 300, 0.2),
    "small": (lambda generator, n: rare_errors(generator, n, 0.8, 1.0), 80, 0.15),
    "ties": (lambda generator, n: rare_errors(generator, n, 0.8, 1.0, steps=4), 500, 0.1),
    "calibrated": (drawn, 400, 0.1),
}


def hard_settings():
    return [pytest.param(name, marks=() if name in ("few errors", "ties") else pytest.mark.slow) for name in HARD]


@pytest.mark.parametrize("setting", hard_settings())
def test_the_intervals_hold_the_truth_near_their_rate(unchecked_shapes, setting):
    draw, n, risk = HARD[setting]
    large = draw(torch.Generator().manual_seed(2), 1_000_000)
    truths = {
        "risk": large[1].mean(),
        "aurc": aurc(*large),
        "excess_aurc": excess_aurc(*large),
        "augrc": augrc(*large),
        "coverage_at_risk": coverage_at_risk(*large, risk=risk),
        "risk_at_coverage": risk_at_coverage(*large, coverage=0.8),
    }
    generator = torch.Generator().manual_seed(3)
    hits = dict.fromkeys(MEASURES, 0)
    for _ in range(300):
        summary = selective_summary(*draw(generator, n), risk=risk)
        for name in MEASURES:
            estimate = getattr(summary, name)
            hits[name] += estimate.low is not None and estimate.low <= float(truths[name]) <= estimate.high
    rates = {name: count / 300 for name, count in hits.items()}

    assert all(0.91 <= rates[name] <= 0.99 for name in MEASURES), rates


def test_where_a_risk_is_far_from_reached_the_coverage_may_be_nothing(unchecked_shapes):
    generator = torch.Generator().manual_seed(5)
    estimates = [
        selective_summary(*rare_errors(generator, 300, 0.63, 0.0), risk=0.05).coverage_at_risk for _ in range(100)
    ]

    assert all(estimate.low == 0 for estimate in estimates)
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in estimates)


def test_without_errors_the_areas_have_no_interval_and_the_risk_an_honest_one():
    summary = selective_summary(torch.rand(20), torch.zeros(20), risk=0.5)
    for name in ("aurc", "excess_aurc", "augrc"):
        estimate = getattr(summary, name)
        assert (estimate.value, estimate.low, estimate.high) == (0.0, None, None)
    assert (summary.risk.low, summary.risk.value) == (0.0, 0.0)
    assert summary.risk.high == pytest.approx(1 - 0.05 ** (1 / 20), abs=2e-3)
    assert (summary.coverage_at_risk.low, summary.coverage_at_risk.high) == (1.0, 1.0)
    assert selective_summary(torch.rand(20), torch.zeros(20), risk=0.05).coverage_at_risk.low == 0.0


def test_other_losses_have_intervals_where_they_are_known_to_hold():
    generator = torch.Generator().manual_seed(6)
    confidence, losses = torch.rand(300, generator=generator), torch.rand(300, generator=generator)
    enough = selective_summary(confidence, losses)
    for name in ("risk", "aurc", "excess_aurc", "augrc"):
        estimate = getattr(enough, name)
        assert estimate.low < estimate.value < estimate.high
    assert enough.coverage_at_risk.low is None
    assert enough.risk_at_coverage.low is None
    assert selective_summary(confidence[:299], losses[:299]).risk.low is None
    assert selective_summary(confidence, losses - 0.5).risk.low is None


def test_all_equal_confidences_have_finite_estimates():
    summary = selective_summary(torch.zeros(50), torch.tensor([0.0, 1.0]).repeat(25))
    assert summary.aurc.value == pytest.approx(0.5)
    assert summary.coverage_at_risk.value == 0
    assert 0.3 < summary.aurc.low < 0.5 < summary.aurc.high < 0.7


def test_a_wider_level_gives_wider_intervals():
    data = drawn(torch.Generator().manual_seed(4), 200)
    narrow, wide = (selective_summary(*data, level=level, risk=0.1) for level in (0.5, 0.99))
    for name in MEASURES:
        inner, outer = getattr(narrow, name), getattr(wide, name)
        assert outer.low <= inner.low <= inner.value <= inner.high <= outer.high
        assert outer.high - outer.low > inner.high - inner.low


def test_the_options_of_the_former_bootstrap_are_warned_of():
    with pytest.warns(DeprecationWarning, match="^`n_resamples` and `generator` are no longer used"):
        selective_summary(torch.rand(20), torch.zeros(20), n_resamples=20)


def test_one_sample_is_refused(rejects):
    with rejects(ValueError, "`confidence` must hold at least 2 samples for an interval, got 1."):
        selective_summary(torch.tensor([0.5]), torch.tensor([0.0]))

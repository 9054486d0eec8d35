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
    summary = selective_summary(confidence, errors, estimator="ln", risk=0.1, coverage=0.6, n_resamples=5)
    assert summary.n == 200
    assert summary.risk.value == pytest.approx(errors.mean().item())
    assert summary.aurc.value == pytest.approx(aurc(confidence, errors, estimator="ln").item())
    assert summary.excess_aurc.value == pytest.approx(excess_aurc(confidence, errors, estimator="ln").item())
    assert summary.augrc.value == pytest.approx(augrc(confidence, errors).item())
    assert summary.coverage_at_risk.value == pytest.approx(coverage_at_risk(confidence, errors, risk=0.1).item())
    assert summary.risk_at_coverage.value == pytest.approx(risk_at_coverage(confidence, errors, coverage=0.6).item())
    assert {field.name for field in fields(summary)} == {"n", *MEASURES}


def test_the_intervals_hold_the_truth_near_their_rate():
    large = selective_summary(*drawn(torch.Generator().manual_seed(2), 1_000_000), risk=0.1, n_resamples=1)
    generator = torch.Generator().manual_seed(3)
    hits = dict.fromkeys(MEASURES, 0)
    for _ in range(200):
        summary = selective_summary(*drawn(generator, 400), risk=0.1, n_resamples=200)
        for name in MEASURES:
            estimate, truth = getattr(summary, name), getattr(large, name).value
            hits[name] += estimate.low <= truth <= estimate.high
    rates = {name: count / 200 for name, count in hits.items()}
    assert all(0.9 <= rates[name] <= 0.99 for name in MEASURES)


def test_no_errors_at_all_give_the_documented_points():
    summary = selective_summary(torch.rand(20), torch.zeros(20), n_resamples=20)
    for name in MEASURES:
        estimate = getattr(summary, name)
        expected = 1.0 if name == "coverage_at_risk" else 0.0
        assert (estimate.low, estimate.value, estimate.high) == (expected, expected, expected)


def test_all_equal_confidences_have_finite_estimates():
    summary = selective_summary(torch.zeros(50), torch.tensor([0.0, 1.0]).repeat(25), n_resamples=20)
    assert summary.aurc.value == pytest.approx(0.5)
    assert summary.coverage_at_risk.value == 0
    assert 0.3 < summary.aurc.low < 0.5 < summary.aurc.high < 0.7


def test_equal_data_give_equal_intervals_and_chunks_do_not_matter(monkeypatch):
    data = drawn(torch.Generator().manual_seed(4), 100)
    first, second = (selective_summary(*data, n_resamples=60) for _ in range(2))
    assert first == second
    monkeypatch.setattr("adafocal.selective.intervals.CHUNK", 1000)
    assert selective_summary(*data, n_resamples=60).aurc.value == first.aurc.value


def test_one_sample_is_refused(rejects):
    with rejects(ValueError, "`confidence` must hold at least 2 samples for an interval, got 1."):
        selective_summary(torch.tensor([0.5]), torch.tensor([0.0]))

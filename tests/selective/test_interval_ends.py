# SPDX-License-Identifier: Apache-2.0
"""Kept ends of the intervals whose coverage docs/selective.md simulates: who changes them simulates anew."""

import pytest
import torch

from adafocal._tails import binomial_interval
from adafocal.selective import selective_summary

# Samples, step and modulus of the confidences, scale of the errors, options; then value, low and high of each.
KEPT = {
    "few errors": (
        (400, 37, 1009, 0.03, {}),
        {
            "risk": (0.035, 0.020057694879142773, 0.05666343716716496),
            "aurc": (0.017430586882543116, 0.00806036277506659, 0.03769375740875064),
            "excess_aurc": (0.016767100427630643, 0.007738025086590051, 0.036331706553582775),
            "augrc": (0.0119375, 0.00592292839175309, 0.02405970439359321),
            "coverage_at_risk": (1.0, 0.892415190258224, 1.0),
            "risk_at_coverage": (0.03125, 0.015979574838838124, 0.054990222476958096),
        },
    ),
    "ties": (
        (120, 37, 11, 0.3, {"risk": 0.25, "coverage": 0.6}),
        {
            "risk": (0.325, 0.24576034225741353, 0.41258985103740686),
            "aurc": (0.15590157703456137, 0.09881141851747124, 0.24597665013346362),
            "excess_aurc": (0.0948558243765458, 0.05636339044429927, 0.15963602166633223),
            "augrc": (0.10472222222222222, 0.07100651792782423, 0.1544470021513775),
            "coverage_at_risk": (0.725, 0.4520459147459074, 1.0),
            "risk_at_coverage": (0.16035353535353541, 0.08515228215349778, 0.26576284857534177),
        },
    ),
    "small": (
        (30, 7, 101, 0.4, {"risk": 0.3, "level": 0.8}),
        {
            "risk": (0.4, 0.2905202904772141, 0.5187685609221677),
            "aurc": (0.1555721737823303, 0.08828340762630242, 0.2741477918229883),
            "excess_aurc": (0.05549960541677684, 0.02610371200253498, 0.1179987812123732),
            "augrc": (0.1133333333333333, 0.06831097164443203, 0.18802901108333708),
            "coverage_at_risk": (0.8, 0.5383203973630746, 1.0),
            "risk_at_coverage": (0.2916666666666667, 0.17740652821084613, 0.4337391043351109),
        },
    ),
    "one tie": (
        (60, 0, 1, 0.5, {}),
        {
            "risk": (1.0, 0.951666188698962, 1.0),
            "aurc": (1.0, None, None),
            "excess_aurc": (0.0, None, None),
            "augrc": (0.5, None, None),
            "coverage_at_risk": (0.0, 0.0, 0.0),
            "risk_at_coverage": (1.0, 0.9399600194693882, 1.0),
        },
    ),
}


def scattered(n, step, modulus):
    return (torch.arange(n, dtype=torch.float64) * step) % modulus / modulus


@pytest.mark.parametrize("setting", KEPT)
def test_the_ends_are_those_whose_coverage_was_simulated(setting):
    (n, step, modulus, scale, options), kept = KEPT[setting]
    confidence = scattered(n, step, modulus)
    errors = (scattered(n, 53, 199) < scale * (2 - 2 * confidence)).double()
    summary = selective_summary(confidence, errors, **options)

    for name, expected in kept.items():
        for end, value in zip(("value", "low", "high"), expected, strict=True):
            near = None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)
            assert getattr(getattr(summary, name), end) == near, (name, end)


@pytest.mark.parametrize("n_errors", [1, 2, 3])
def test_the_areas_of_fewer_than_two_errors_have_no_interval(n_errors):
    errors = torch.zeros(40)
    errors[torch.tensor([3, 17, 29])[:n_errors]] = 1
    summary = selective_summary(torch.arange(40.0), errors)

    assert (summary.aurc.low is None) == (n_errors < 2)
    assert (summary.augrc.high is None) == (n_errors < 2)


@pytest.mark.parametrize(("risk", "coverage"), [(0.0, 0.5), (1.0, 1.0), (1.5, 1.0), (-0.1, 0.0)])
def test_a_risk_that_every_error_or_none_contradicts_has_its_coverage_exactly(risk, coverage):
    errors = torch.tensor([1.0, 1.0, 0.0, 0.0])
    found = selective_summary(torch.arange(4.0), errors, risk=risk).coverage_at_risk

    assert (found.value, found.low, found.high) == (coverage, coverage, coverage)


def test_with_every_sample_answered_the_risk_has_its_binomial_interval():
    errors = (torch.arange(50) % 7 == 0).double()
    found = selective_summary(torch.arange(50.0), errors, coverage=1.0).risk_at_coverage

    assert (found.low, found.high) == pytest.approx(binomial_interval(8, 50, level=0.95), abs=1e-9)

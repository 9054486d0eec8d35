# SPDX-License-Identifier: Apache-2.0
"""Kept ends of the intervals whose coverage docs/selective.md simulates: who changes them simulates anew."""

import pytest
import torch

from adafocal._tails import binomial_interval
from adafocal.selective import coverage_at_risk, selective_summary

# Samples, step and modulus of the confidences, scale of the errors, options; then value, low and high of some or all.
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
    "inaccurate": (
        (400, 37, 1009, 0.5, {"risk": 0.1}),
        {
            "coverage_at_risk": (0.1925, 0.0, 0.3025828399544111),
            "risk_at_coverage": (0.41875, 0.362513278196255, 0.4766244114776586),
        },
    ),
    "inaccurate, nine values": (
        (500, 37, 9, 0.5, {"risk": 0.2}),
        {
            "coverage_at_risk": (0.22, 0.0, 0.37215044358135485),
            "risk_at_coverage": (0.4567857142857143, 0.40545285154599653, 0.5088197365378836),
        },
    ),
    "inaccurate, four values": (
        (300, 37, 4, 0.6, {"risk": 0.2}),
        {"coverage_at_risk": (0.0, 0.0, 0.3013466127739495)},
    ),
    "one answered": ((30, 7, 101, 0.4, {"coverage": 0.01}), {"risk_at_coverage": (0.0, 0.0, 0.9494025511521327)}),
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


def test_other_losses_have_the_ends_that_were_simulated():
    confidence = scattered(320, 37, 1009)
    losses = scattered(320, 53, 199) * (1.2 - confidence)
    assert losses.min() == 0
    summary = selective_summary(confidence, losses)

    ends = [
        (getattr(summary, name).low, getattr(summary, name).high) for name in ("risk", "aurc", "excess_aurc", "augrc")
    ]
    assert ends == [
        pytest.approx((0.3302341381261296, 0.38913633471423864)),
        pytest.approx((0.20648322432864924, 0.2524372033949744)),
        pytest.approx((0.06224273202141381, 0.08773981230609648)),
        pytest.approx((0.12462451804615833, 0.1496570255085185)),
    ]


def test_of_two_errors_little_is_known_and_nothing_impossible_said():
    errors = torch.zeros(40)
    errors[[3, 29]] = 1
    summary = selective_summary(torch.arange(40.0), errors)

    assert (summary.aurc.low, summary.aurc.high) == pytest.approx((1.9779513415666953e-09, 1.0), rel=1e-6)
    assert (summary.augrc.high, summary.excess_aurc.high) == (1.0, 1.0)


def test_a_perfect_ranking_has_no_excess_and_no_interval_of_it():
    found = selective_summary(torch.arange(40.0), (torch.arange(40) < 5).double()).excess_aurc

    assert (found.value, found.low, found.high) == (0.0, None, None)


def test_two_samples_are_enough():
    assert selective_summary(torch.tensor([0.2, 0.9]), torch.tensor([1.0, 0.0])).risk.value == 0.5


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_is_between_0_and_1(level, rejects):
    with rejects(ValueError, f"`level` must be a number > 0 and < 1, got {level}."):
        selective_summary(torch.tensor([0.2, 0.9]), torch.tensor([1.0, 0.0]), level=level)


@pytest.mark.parametrize("n_errors", [25_003, 25_009])
def test_a_risk_reached_exactly_is_reached_however_it_was_rounded(n_errors):
    n = 100_000
    assert (n_errors / n) * n < n_errors
    errors = (torch.arange(n) < n_errors).double()

    assert coverage_at_risk(torch.ones(n), errors, risk=n_errors / n).item() == 1.0


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


def test_the_surest_samples_count_among_those_near_the_threshold():
    errors = torch.zeros(30)
    errors[[29, 20]] = 1
    found = selective_summary(torch.arange(30.0), errors, coverage=0.1).risk_at_coverage
    moving = (1 / 8 - 1 / 3) ** 2 * (1 - 3 / 30)  # one error among the eight samples within five of the third
    size = 3 * (2 / 9) / (2 / 9 + moving)

    assert (found.low, found.high) == pytest.approx(binomial_interval(size / 3, size, level=0.95), abs=1e-9)


def test_areas_of_losses_above_1_may_be_above_1():
    losses = 10 * scattered(320, 53, 199)
    found = selective_summary(scattered(320, 37, 1009), losses).aurc

    assert 1 < found.low < found.value < found.high

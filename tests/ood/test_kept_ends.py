# SPDX-License-Identifier: Apache-2.0
"""Kept ends of the intervals whose coverage docs/ood.md simulates: who changes them simulates anew."""

import math

import pytest
import torch

from adafocal.ood import detection
from adafocal.ood.intervals import _odds_interval

# Samples of each kind, shift, steps of the scores, level; then value, low and high of AUROC and of FPR95.
KEPT = {
    "even": (
        (120, 110, 0.3, None, 0.95),
        (0.7315909090909091, 0.6635586705500407, 0.7901182580599948),
        (0.65, 0.5513285733498403, 0.7352686515849924),
    ),
    "few found": (
        (300, 15, 0.45, None, 0.95),
        (0.8253333333333334, 0.6840638551515381, 0.9094023630797186),
        (0.5433333333333333, 0.3651431798718771, 1.0),
    ),
    "ties": (
        (90, 70, 0.25, 8, 0.9),
        (0.687936507936508, 0.6161989164535657, 0.7515268699507691),
        (0.8111111111111111, 0.6530175178740439, 0.8718147353069035),
    ),
    "almost apart": (
        (40, 70, 0.8, None, 0.95),
        (0.9775, 0.9397648739954261, 0.9917010412091878),
        (0.15, 0.06833506763977883, 0.3030477569031649),
    ),
    "apart": ((30, 20, 1.5, None, 0.95), (1.0, 0.9159389279347216, 1.0), (0.0, 0.0, 1.0)),
}


def scattered(n, step, modulus):
    return (torch.arange(n, dtype=torch.float64) * step) % modulus / modulus


def kinds(n, m, shift, steps):
    scores = scattered(n, 37, 101), scattered(m, 29, 97) * 0.9 + shift
    return scores if steps is None else tuple((values * steps).round() for values in scores)


@pytest.mark.parametrize("setting", KEPT)
def test_the_ends_are_those_whose_coverage_was_simulated(setting):
    (n, m, shift, steps, level), area, fpr = KEPT[setting]
    found = detection(*kinds(n, m, shift, steps), n_resamples=2, level=level)

    assert (found.auroc.value, found.auroc.low, found.auroc.high) == pytest.approx(area, rel=1e-9)
    assert (found.fpr95.value, found.fpr95.low, found.fpr95.high) == pytest.approx(fpr, rel=1e-9, abs=1e-12)


def test_the_interval_of_a_precision_is_one_of_odds_moved_by_the_bias():
    found = _odds_interval(0.83, torch.linspace(0.7, 0.9, 21, dtype=torch.float64), 0.9, 20)

    assert (found.low, found.high) == pytest.approx((0.7269516442444897, 0.9238672700384994), rel=1e-9)


@pytest.mark.parametrize(("drawn", "beyond"), [(0.1, "high"), (0.9999999, "low")])
def test_the_interval_of_a_precision_holds_it_however_biased_the_resamples(drawn, beyond):
    found = _odds_interval(0.5, torch.full((20,), drawn) + torch.linspace(-1e-8, 1e-8, 20), 0.95, 99)

    assert found.low <= 0.5 <= found.high
    assert (getattr(found, beyond) > 0.5) == (beyond == "high")
    assert all(map(math.isfinite, (found.low, found.high)))


@pytest.mark.parametrize(("n", "m"), [(99, 150), (150, 99), (100, 100)])
def test_precisions_have_intervals_from_a_hundred_samples_of_each_kind(n, m):
    found = detection(*kinds(n, m, 0.3, None), n_resamples=20)

    for estimate in (found.aupr_out, found.aupr_in):
        assert (estimate.low is None) == (min(n, m) < 100)
        assert (estimate.high is None) == (min(n, m) < 100)

# SPDX-License-Identifier: Apache-2.0
"""Kept ends of the intervals whose coverage docs/ood.md simulates: who changes them simulates anew."""

import math

import pytest
import torch

from adafocal.ood import detection, intervals
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
    "reversed": (
        (60, 40, -0.4, None, 0.95),
        (0.14666666666666667, 0.08802093816441586, 0.23589060035612025),
        (1.0, 0.951666188698962, 1.0),
    ),
    "two": (
        (20, 2, 0.3, None, 0.95),
        (0.475, 0.08015673022238387, 0.9045980863903331),
        (0.65, 0.3335690375153533, 1.0),
    ),
    "two sure": ((20, 2, 0.3, None, 0.999), (0.475, 0.0038304079094555058, 0.9953287310295091), (0.65, 0.0, 1.0)),
    "two id": ((2, 20, 0.3, None, 0.95), (0.975, 0.39364800861515326, 0.9994698091410383), (0.0, 0.0, 1.0)),
    "thirty-three": (
        (80, 33, 0.3, None, 0.95),
        (0.734469696969697, 0.623981699735412, 0.8210326388857976),
        (0.6375, 0.4891127817327611, 1.0),
    ),
    "fifty-nine": (
        (80, 59, 0.3, None, 0.95),
        (0.7279661016949153, 0.6372943544730612, 0.8026968221621413),
        (0.6625, 0.5417687178966918, 0.7599845667329335),
    ),
    "sixty": (
        (80, 60, 0.3, None, 0.95),
        (0.7304166666666667, 0.6404454669052901, 0.8044635681963395),
        (0.65, 0.5338867256584822, 0.7514124782810664),
    ),
    "many": (
        (200, 400, 0.4, None, 0.95),
        (0.7990875, 0.7599100665683771, 0.8332552447825652),
        (0.555, 0.4827902149352226, 0.6251117432583341),
    ),
    "eighty": (
        (80, 80, 0.3, None, 0.8),
        (0.72671875, 0.6734462953841303, 0.7741358035947514),
        (0.6625, 0.5870074214488261, 0.7276904501384034),
    ),
    "five": (
        (50, 5, 0.5, None, 0.9),
        (0.796, 0.5304743155969982, 0.9262178572430297),
        (0.48, 0.29113391886911355, 1.0),
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


def test_a_precision_has_the_t_interval_of_its_resamples_by_the_smaller_kind():
    id_scores, ood_scores = kinds(110, 130, 0.3, None)
    draws = [intervals._resample(id_scores, ood_scores, 50, torch.Generator().manual_seed(0)) for _ in range(2)]
    found = detection(id_scores, ood_scores, n_resamples=50)

    assert torch.equal(draws[0][0], draws[1][0])
    assert found.aupr_out == _odds_interval(found.aupr_out.value, draws[0][0], 0.95, 109)
    assert found.aupr_in == _odds_interval(found.aupr_in.value, draws[0][1], 0.95, 109)


@pytest.mark.parametrize("held", [1, 1000, 10_000_000])
def test_there_are_as_many_resamples_as_asked_for_however_few_are_held_at_a_time(held, monkeypatch):
    monkeypatch.setattr(intervals, "CHUNK", held)
    drawn = intervals._resample(*kinds(60, 50, 0.3, None), 37, torch.Generator().manual_seed(0))

    assert [len(of) for of in drawn] == [37, 37]


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


def test_an_out_of_distribution_sample_below_all_others_opens_the_upper_end():
    id_scores, ood_scores = kinds(80, 60, 0.3, None)
    ood_scores[0] = -5.0
    found = detection(id_scores, ood_scores, n_resamples=2).fpr95

    assert (found.value, found.low, found.high) == pytest.approx((0.65, 0.5338867256584822, 1.0), rel=1e-9)

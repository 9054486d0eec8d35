# SPDX-License-Identifier: Apache-2.0
import math
from statistics import NormalDist

import pytest
import torch

from adafocal.ood import aupr, auroc, auroc_interval, detection, fpr_at_tpr


def drawn(generator, *, n=100, m=80, shift=1.0):
    return torch.randn(n, generator=generator), torch.randn(m, generator=generator) + shift


def holds(estimate, truth):
    return estimate.low <= truth <= estimate.high


def test_values_are_those_of_the_plain_functions():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(1))
    result = detection(id_scores, ood_scores, n_resamples=10)
    assert (result.n_id, result.n_ood) == (100, 80)
    assert result.auroc.value == pytest.approx(auroc(id_scores, ood_scores).item())
    assert result.aupr_out.value == pytest.approx(aupr(id_scores, ood_scores).item())
    assert result.aupr_in.value == pytest.approx(aupr(id_scores, ood_scores, positive="id").item())
    assert result.fpr95.value == pytest.approx(fpr_at_tpr(id_scores, ood_scores).item())


def test_the_variance_is_delongs_by_its_definition():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(2), n=12, m=9)
    wins = (ood_scores[:, None] > id_scores).double()
    variance = wins.mean(dim=1).var() / 9 + wins.mean(dim=0).var() / 12
    area = wins.mean().item()
    half = NormalDist().inv_cdf(0.975) * variance.sqrt().item() / (area * (1 - area))
    low = 1 / (1 + math.exp(-(math.log(area / (1 - area)) - half)))
    assert auroc_interval(id_scores, ood_scores).low == pytest.approx(low)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_auroc_interval_holds_the_truth_at_its_rate(shift):
    generator = torch.Generator().manual_seed(3)
    truth = NormalDist().cdf(shift / math.sqrt(2))
    hits = sum(holds(auroc_interval(*drawn(generator, n=60, m=40, shift=shift)), truth) for _ in range(500))
    assert 0.93 <= hits / 500 <= 0.98


def test_the_auroc_interval_holds_the_truth_where_separation_is_often_perfect():
    generator = torch.Generator().manual_seed(4)
    truth = NormalDist().cdf(3.5 / math.sqrt(2))
    estimates = [auroc_interval(*drawn(generator, n=15, m=15, shift=3.5)) for _ in range(400)]
    assert sum(estimate.value == 1 for estimate in estimates) > 100
    assert sum(holds(estimate, truth) for estimate in estimates) / 400 >= 0.93


def test_the_bootstrap_intervals_hold_the_truth_near_their_rate():
    generator = torch.Generator().manual_seed(5)
    normal = NormalDist()
    fpr = 1 - normal.cdf(1.5 + normal.inv_cdf(0.05))
    large = drawn(torch.Generator().manual_seed(6), n=1_000_000, m=1_000_000, shift=1.5)
    # Average precision depends on the share of each kind: both kinds are equally many, here and in the samples.
    truth = (aupr(*large).item(), aupr(*large, positive="id").item(), fpr)
    hits = torch.zeros(3)
    for _ in range(200):
        result = detection(*drawn(generator, n=150, m=150, shift=1.5), n_resamples=200)
        hits += torch.tensor([holds(e, t) for e, t in zip(_three(result), truth, strict=True)])
    assert (hits / 200 >= 0.9).all()
    assert (hits / 200 <= 0.99).all()


def _three(result):
    return result.aupr_out, result.aupr_in, result.fpr95


def test_equal_scores_give_equal_intervals_and_a_generator_others():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(7))
    first, second = (detection(id_scores, ood_scores, n_resamples=50) for _ in range(2))
    other = detection(id_scores, ood_scores, n_resamples=50, generator=torch.Generator().manual_seed(9))
    assert first == second
    assert first.aupr_out != other.aupr_out


def test_chunks_of_resamples_do_not_change_the_measures(monkeypatch):
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(7))
    whole = detection(id_scores, ood_scores, n_resamples=400)
    monkeypatch.setattr("adafocal.ood.intervals.CHUNK", 1000)
    parts = detection(id_scores, ood_scores, n_resamples=400)
    assert parts.aupr_out.value == whole.aupr_out.value
    assert parts.aupr_out.low == pytest.approx(whole.aupr_out.low, abs=0.03)


def test_all_equal_scores_have_an_honest_interval():
    estimate = auroc_interval(torch.zeros(20), torch.zeros(20))
    assert estimate.value == 0.5
    assert estimate.low < 0.35
    assert estimate.high > 0.65


def test_perfect_separation_has_an_honest_interval():
    result = detection(torch.arange(20.0), torch.arange(20.0) + 50, n_resamples=20)
    assert result.auroc.value == result.auroc.high == 1
    assert 0.8 < result.auroc.low < 0.95
    assert result.fpr95.low == result.fpr95.value == 0
    assert result.fpr95.high == pytest.approx(0.161, abs=1e-3)  # Wilson, 0 of 20
    assert (result.aupr_out.low, result.aupr_out.high) == (1, 1)


def test_a_wider_level_gives_a_wider_interval():
    scores = drawn(torch.Generator().manual_seed(8))
    narrow, wide = (auroc_interval(*scores, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_one_sample_of_a_kind_is_refused(rejects):
    with rejects(ValueError, "`ood_scores` must hold at least 2 samples for an interval, got 1."):
        detection(torch.zeros(5), torch.zeros(1))


def test_options_out_of_range_are_named(rejects):
    with rejects(ValueError, "`level` must be a number > 0 and < 1, got 1.0."):
        auroc_interval(torch.zeros(5), torch.zeros(5), level=1.0)
    with rejects(ValueError, "`n_resamples` must be an integer >= 1, got 0."):
        detection(torch.zeros(5), torch.zeros(5), n_resamples=0)
